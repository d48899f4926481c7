/** GDB at a machine that boots from its BIOS: addresses are linear ones, in real mode as with paging. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGuest, type Guest } from '../guest-process.ts';

const missing =
  spawnSync('gdb', ['--version']).status !== 0 || !existsSync('/usr/share/seabios/bios-256k.bin')
    ? 'gdb or seabios is not installed'
    : undefined;
const FLOPPY_BYTES = 1_474_560,
  SECTOR = 512;
/**
 * A boot sector. At 7C00h: CLI, a stack, a jump to 07C0:000F. There: 1234h to [500h]; NOP at 07C0:0015; page tables of 4 MiB pages that
 * show the first 4 MiB at C0000000h too; protected mode with paging, C0007C66h; a loop from C0007C71h that stores 1, 2, 3... at C0000600h.
 */
const CODE = [
  'fa31c08ed88ed0bc0070ea0f00c007b83412a30005900f0116987cb800108ec031ff6631c0b9000466f3ab2666c70600',
  '00830000002666c706000c8300000066b8000001000f22d80f20e06683c8100f22e00f20c0660d010000800f22c066ea',
  '667c00c0080066b810008ed8b901000000890d000600c041ebf78db6000000000000000000000000ffff0000009acf00',
  'ffff00000092cf001700807c0000',
].join('');

let folder: string;
let guest: Guest | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-gdb-'));
});
afterEach(async () => {
  guest?.kill();
  await guest?.ended.catch(() => undefined);
  await rm(folder, { recursive: true });
});

describe.skipIf(missing !== undefined)(`GDB at a BIOS (${missing ?? 'all there'})`, () => {
  it('stops at linear addresses in real mode, wherever CS begins, and with paging', async () => {
    const floppy = new Uint8Array(FLOPPY_BYTES);
    floppy.set(Buffer.from(CODE, 'hex'));
    floppy.set([0x55, 0xaa], SECTOR - 2);
    await writeFile(join(folder, 'a.img'), floppy);
    const path = join(folder, 'guest.vmx');
    await writeFile(path, 'memsize = "32"\nfloppy0.present = "TRUE"\nfloppy0.fileName = "a.img"\n');
    const known = Promise.withResolvers<string>();
    guest = startGuest(path, { debugger: known.resolve }, { debugger: { listen: '0', first: true } });
    guest.ended.catch(known.reject);
    const commands = [
      ...['set pagination off', 'set confirm off', 'set remotetimeout 60', 'set architecture i386'],
      ...[`target remote ${await known.promise}`, 'p/x $eip', 'p/x $cs'],
      ...['break *0x7c00', 'continue', 'p/x $eip', 'delete'],
      ...['break *0x7c12', 'continue', 'p/x $cs', 'p/x $eip', 'delete'],
      ...['watch *(short*)0x500', 'continue', 'p/x $eip', 'p/x *(short*)0x500', 'delete'],
      ...['break *0xc0007c6c', 'continue', 'p/x $eip', 'delete'],
      ...['watch *(int*)0xc0000600', 'continue', 'continue', 'p/x $eip', 'p *(int*)0x600', 'x/1wx 0x80000000'],
    ];
    const out = await new Promise<string>((resolve) =>
      execFile(
        'gdb',
        ['-nx', '-batch', ...commands.flatMap((command) => ['-ex', command])],
        { timeout: 100_000 },
        (_error, printed, complaints) => resolve(printed + complaints),
      ),
    );

    const values = [...out.matchAll(/^\$\d+ = (.*)$/gm)].map((match) => match[1]);
    expect(values, out).toEqual([
      ...['0xfff0', '0xf000', '0x7c00', '0x7c0', '0x12', '0x15', '0x1234'],
      ...['0xc0007c6c', '0xc0007c77', '2'],
    ]);
    expect(out).toContain('Cannot access memory at address 0x80000000');
  }, 120_000);
});
