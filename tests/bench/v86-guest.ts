/** Boots a kernel in v86, its serial port on standard output: v86-guest.ts KERNEL INITRD COMMAND-LINE MEMORY-MIB */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { V86 } from 'v86';

/** Debian package seabios. */
const FIRMWARE = '/usr/share/seabios';
const [kernel, initrd, cmdline, memoryMiB] = process.argv.slice(2);
if (kernel === undefined || initrd === undefined || cmdline === undefined || memoryMiB === undefined)
  throw new Error('usage: v86-guest.ts KERNEL INITRD COMMAND-LINE MEMORY-MIB');

const file = (path: string): { buffer: ArrayBuffer } => ({ buffer: new Uint8Array(readFileSync(path)).buffer });
const machine = new V86({
  wasm_path: fileURLToPath(new URL('./v86.wasm', import.meta.resolve('v86'))),
  bios: file(`${FIRMWARE}/bios.bin`),
  vga_bios: file(`${FIRMWARE}/vgabios-stdvga.bin`),
  bzimage: file(kernel),
  initrd: file(initrd),
  cmdline,
  memory_size: Number(memoryMiB) << 20,
  vga_memory_size: 8 << 20,
  autostart: true,
  disable_speaker: true,
});
machine.add_listener('serial0-output-byte', (byte: number) => process.stdout.write(String.fromCharCode(byte)));
