#!/usr/bin/env node
/**
 * Boots disk, CD and floppy images from SeaBIOS in this process, on virtual time, and shows what comes of it: for whoever works on
 * devices or on the processor. `node tools/boot.ts --help` has the options.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { InstructionClock, Machine, encodePng, renderFrame, textOf } from '../packages/paravirt-core/src/vm/index.ts';
import type { IdeDrive } from '../packages/paravirt-core/src/devices/ide/index.ts';
import { MemoryDisk } from '../packages/paravirt-core/src/devices/virtio/memory-disk.ts';
import { ensureNumerics } from '../packages/paravirt-core/src/numerics/build.ts';

const SEABIOS = '/usr/share/seabios';
const { values } = parseArgs({
  options: {
    memory: { type: 'string', default: '64' },
    millions: { type: 'string', default: '2000' },
    until: { type: 'string' },
    hda: { type: 'string' },
    hdb: { type: 'string' },
    cd: { type: 'string' },
    fda: { type: 'string' },
    png: { type: 'string' },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(
    'node tools/boot.ts [--memory MIB] [--millions N: instructions] [--until TEXT: on the screen] [--hda IMAGE] [--hdb IMAGE] [--cd ISO] [--fda IMAGE] [--png FILE] [--quiet: no firmware log]\n',
  );
  process.exit(0);
}
await ensureNumerics();
const log = (byte: number): void => void (values.quiet || process.stderr.write(String.fromCharCode(byte)));
/** An image in memory: what the guest writes is gone in the end. */
function image(file: string | undefined, readOnly: boolean): MemoryDisk | undefined {
  if (file === undefined) return undefined;
  const bytes = readFileSync(file);
  const sectors = Math.ceil(bytes.length / 512);
  const data = new Uint8Array(sectors * 512);
  data.set(bytes);
  const memory = { view: (address: number, length: number): Uint8Array => machine.board.ioView(address, length) };
  return new MemoryDisk({ memory, sectors, data, readOnly, immediate: true, id: file.slice(-20) });
}
const disk = (file: string | undefined): IdeDrive | undefined => {
  const opened = image(file, false);
  return opened === undefined ? undefined : { kind: 'disk', disk: opened };
};
const clock = new InstructionClock();
const machine: Machine = new Machine(
  {
    ramBytes: Number(values.memory) << 20,
    videoMemoryBytes: 16 << 20,
    epoch: 1_700_000_000,
    commandLine: '',
    firmware: {
      bios: readFileSync(`${SEABIOS}/bios-256k.bin`),
      videoBios: readFileSync(`${SEABIOS}/vgabios-stdvga.bin`),
    },
  },
  {
    serial: [{ write: (byte) => void process.stdout.write(String.fromCharCode(byte)) }],
    disks: [],
    floppies: [image(values.fda, false)],
    ide: [disk(values.hda), disk(values.hdb), { kind: 'cdrom', disc: image(values.cd, true) }],
    firmwareLog: { write: log },
  },
  clock,
);
machine.powerOn();
const limit = Number(values.millions) * 1e6;
const screen = (): string => textOf(machine.view()).join('\n');
for (let n = 0; machine.instructions < limit; n++) {
  const end = machine.runSlice();
  if (end.kind === 'stopped') {
    process.stderr.write(`stopped: ${end.why} ${end.status} ${machine.describe()}\n`);
    break;
  }
  if (end.kind === 'halted' && end.until === null) break;
  if (values.until !== undefined && n % 500 === 0 && screen().includes(values.until)) break;
}
process.stderr.write(`${machine.describe()} after ${machine.instructions} instructions, ${clock.now() / 1e9} s\n`);
process.stderr.write(`${screen()}\n`);
if (values.png !== undefined) {
  const frame = renderFrame(machine.view());
  writeFileSync(values.png, encodePng(frame));
}
