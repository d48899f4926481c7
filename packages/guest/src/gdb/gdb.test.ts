/** The real GDB at a guest: what a person does with it. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGuest, type Guest } from '../guest-process.ts';
import { kernel, say, u32 } from '../test-kernel.ts';

const hasGdb = spawnSync('gdb', ['--version']).status === 0;
const ENTRY = 0x10_0020;
/** Counts EAX up to 10000h and stores it at 200000h each time; then stands in a loop, where it says so. */
const COUNT = [
  ...[0xb8, ...u32(5)], // +00 MOV EAX,5
  ...[0xbb, ...u32(0x20_0000)], // +05 MOV EBX,200000h
  0x40, // +0a INC EAX
  ...[0x89, 0x03], // +0b MOV [EBX],EAX
  0x90, // +0d NOP
  ...[0x3d, ...u32(0x1_0000)], // +0e CMP EAX,10000h
  ...[0x75, 0xf5], // +13 JNE +0a
  ...say('done\n'), // +15
  ...[0xeb, 0xfe],
];
const at = (offset: number): string => `0x${(ENTRY + offset).toString(16)}`;

let folder: string;
let guest: Guest;
let serial: string;
let address: Promise<string>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-gdb-'));
  serial = '';
});
afterEach(async () => {
  guest.kill();
  await guest.ended.catch(() => undefined);
  await rm(folder, { recursive: true });
});
async function start(first: boolean, listen = '0'): Promise<void> {
  const path = join(folder, 'guest.vmx');
  await writeFile(join(folder, 'kernel'), kernel(COUNT));
  await writeFile(path, ['memsize = "8"', 'tomei.kernel = "kernel"', 'serial0.present = "TRUE"'].join('\n'));
  const known = Promise.withResolvers<string>();
  address = known.promise;
  address.catch(() => undefined);
  guest = startGuest(
    path,
    { serial: (_port, bytes) => void (serial += new TextDecoder().decode(bytes)), debugger: known.resolve },
    { debugger: { listen, first } },
  );
  guest.ended.catch(known.reject);
}
/** What GDB prints for these commands, carried out in order. */
async function gdb(...commands: string[]): Promise<string> {
  const begin = [
    'set pagination off',
    'set confirm off',
    'set remotetimeout 30',
    'set architecture i386',
    `target remote ${await address}`,
  ];
  const args = ['-nx', '-batch', ...[...begin, ...commands].flatMap((command) => ['-ex', command])];
  return new Promise((resolve, reject) =>
    execFile('gdb', args, { timeout: 60_000 }, (error, out, complaints) =>
      error === null ? resolve(out + complaints) : reject(new Error(`${out}\n${complaints}`, { cause: error })),
    ),
  );
}

describe.skipIf(!hasGdb)('GDB (skipped where it is not installed: Debian package gdb)', () => {
  it('finds a guest that waits at its first instruction, steps it, and reads registers by name', async () => {
    await start(true);
    const out = await gdb(
      'p/x $eip',
      'stepi',
      'p $eax',
      'stepi',
      'p/x $ebx',
      'p/x $cs',
      'x/2i $eip',
      'p $fctrl',
      'p $mxcsr',
    );

    expect(out).toContain(`$1 = ${at(0)}`);
    expect(out).toContain('$2 = 5');
    expect(out).toContain('$3 = 0x200000');
    expect(out).toMatch(/=> 0x10002a:\s+inc\s+%eax\n\s+0x10002b:\s+mov\s+%eax,\(%ebx\)/);
  });
  it('stops at breakpoints and behind watched writes, and is told the address', async () => {
    await start(true);
    const out = await gdb(
      `break *${at(0x0d)}`,
      'continue',
      'p $eax',
      'continue',
      'p $eax',
      'delete',
      'watch *(int*)0x200000',
      'continue',
      'p/x $eip',
      'p *(int*)0x200000',
      'delete',
      'rwatch *(int*)0x200000',
      'awatch *(char*)0x200003',
      'continue',
    );

    expect(out).toContain('$1 = 6');
    expect(out).toContain('$2 = 7');
    expect(out).toMatch(/Hardware watchpoint 2: \*\(int\*\)0x200000\n\nOld value = 7\nNew value = 8/);
    expect(out).toContain(`$3 = ${at(0x0d)}`);
    expect(out).toContain('$4 = 8');
    expect(out).toMatch(/Hardware access \(read\/write\) watchpoint 4/);
  });
  it('changes memory and registers, code that has run among them', async () => {
    await start(true);
    const out = await gdb(
      `break *${at(0x13)}`,
      'continue',
      `set *(unsigned char*)${at(0x0a)} = 0x48`, // DEC EAX
      'set $eax = 100',
      'set $xmm3.v4_int32[1] = 77',
      'continue',
      'p $eax',
      'p $xmm3.v4_int32',
      'p *(int*)0x200000',
      'set *(int*)0xf0000000 = 1',
      'p $eflags',
    );

    expect(out).toContain('$1 = 99');
    expect(out).toContain('{0, 77, 0, 0}');
    expect(out).toContain('$3 = 99');
    expect(out).toContain('Cannot access memory at address 0xf0000000');
  });
  it('interrupts a guest that runs, and lets it go', async () => {
    await start(false);
    await expect.poll(() => serial, { timeout: 20_000 }).toContain('done');
    const out = await gdb('p/x $eip', 'p $eax != 0', 'monitor registers', 'monitor nonsense', 'detach');

    expect(out).toContain('$1 = 0x1000');
    expect(out).toMatch(/CR0 [0-9a-f]{8}/);
    expect(out).toContain("there is no command 'nonsense'");
    // It still runs, and can be attached to once more.
    expect(await gdb('p/x $eip', 'kill')).toContain('$1 = 0x1000');
    expect((await guest.ended).end.why).toBe('stopped');
  });
  it('comes by a unix socket too, and resets the machine', async () => {
    await start(true, `unix:${join(folder, 'gdb')}`);
    const out = await gdb(`break *${at(0x15)}`, 'continue', 'p $eax', 'monitor reset', 'flushregs', 'p/x $eip');

    expect(out).toContain('$1 = 65536');
    expect(out).toContain(`$2 = ${at(0)}`);
  });
});

describe('an address', () => {
  it('that is none, or is taken, is refused with the reason', async () => {
    await start(false, 'nowhere');
    await expect(guest.ended).rejects.toMatchObject({ code: 'gdb.bad-address' });
    await start(false, 'unix:/nonexistent/gdb');
    await expect(guest.ended).rejects.toMatchObject({ code: 'gdb.cannot-listen' });
  });
});
