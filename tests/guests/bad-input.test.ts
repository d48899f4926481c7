/** What goes wrong outside, seen from the command line: one clear line that names the file, line or field, and an exit code. */
import { readFileSync } from 'node:fs';
import { chmod, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGuest } from '@tomei/guest';
import { createVmdk, lockHolder } from '@tomei/vmdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Tomei, tomei } from './cli.ts';
import { exit, halt, say, smallKernel, spin, tripleFault } from './small-kernel.ts';

const MiB = 2 ** 20;
const BAD_INPUT = 3,
  GUEST_CRASHED = 4;

let folder = '';
const at = (name: string): string => join(folder, name);
/** A guest that ends at once with status 7, changed by `lines`. */
async function vmx(name: string, lines: readonly string[] = [], kernel = 'exit.elf'): Promise<string> {
  const text = ['memsize = "16"', 'serial0.present = "TRUE"', `tomei.kernel = "${kernel}"`, ...lines];
  await writeFile(at(name), `${text.join('\n')}\n`);
  return at(name);
}
const withDisk = (file: string): string[] => ['ide0:0.present = "TRUE"', `ide0:0.fileName = "${file}"`];
async function poke(file: string, position: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(at(file), 'r+');
  await handle.write(bytes, 0, bytes.length, position);
  await handle.close();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-bad-input-'));
  await writeFile(at('exit.elf'), smallKernel([...say('hello\r\n'), ...exit(3)]));
  await writeFile(at('triple.elf'), smallKernel([...say('so far\r\n'), ...tripleFault()]));
  await writeFile(at('noise.elf'), smallKernel(Array.from({ length: 64 }, () => 0xff)));
  await writeFile(at('halt.elf'), smallKernel([...say('done\r\n'), ...halt]));
  await writeFile(at('spin.elf'), smallKernel([...say('spinning\r\n'), ...spin]));
  await writeFile(at('noise.bin'), Uint8Array.from({ length: 5000 }, (_, i) => (i * 37 + 11) & 0xff));
  await createVmdk(at('good.vmdk'), { sizeBytes: 4 * MiB });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function isRunning(pid: number): boolean {
  try {
    // One that has ended and that nobody collects (an orphan where process 1 is no init) is not running either.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
/** Standard error holds this one line, and nothing else. */
const oneLine = (pattern: RegExp): unknown => expect.stringMatching(new RegExp(`^tomei: [^\\n]*${pattern.source}[^\\n]*\\n$`));

describe('how a guest ends', () => {
  test('by the debug-exit port: its status is the exit code', async () => {
    expect(await tomei('run', await vmx('a.vmx'))).toEqual({ code: 7, stdout: 'hello\r\n', stderr: '' });
  });
  test('by halting for good: 0', async () => {
    expect(await tomei('run', await vmx('h.vmx', [], 'halt.elf'))).toMatchObject({ code: 0, stdout: 'done\r\n' });
  });
  test('by a triple fault: 4, and one line that says where', async () => {
    expect(await tomei('run', await vmx('t.vmx', [], 'triple.elf'))).toEqual({
      code: GUEST_CRASHED,
      stdout: 'so far\r\n',
      stderr: oneLine(/triple fault at [0-9a-f]+:[0-9a-f]{8}/),
    });
  });
  test('by a triple fault while something is expected: 4 too', async () => {
    const run = await tomei('run', await vmx('t.vmx', [], 'triple.elf'), '--expect', 'never');

    expect(run.code).toBe(GUEST_CRASHED);
    expect(run.stderr).toMatch(/did not match never before the guest ended[^]*triple fault/);
  });
  test('by executing what is no code: 4', async () => {
    expect(await tomei('run', await vmx('n.vmx', [], 'noise.elf'))).toMatchObject({
      code: GUEST_CRASHED,
      stderr: oneLine(/triple fault/),
    });
  });
  test('by the death of its process: the parent lives, and says so', async () => {
    const seen = Promise.withResolvers<undefined>();
    const guest = startGuest(await vmx('s.vmx', [], 'spin.elf'), { serial: () => seen.resolve(undefined) });
    await seen.promise;

    guest.kill();

    await expect(guest.ended).rejects.toMatchObject({ code: 'guest.crashed', message: expect.stringMatching(/SIGKILL/) as string });
    await expect(guest.stats()).rejects.toMatchObject({ code: 'guest.ended' });
    guest.type(0, Uint8Array.of(1));
    guest.stop();
  });
  test('by the death of its parent: it closes its disks and goes too', async () => {
    await createVmdk(at('orphan.vmdk'), { sizeBytes: 4 * MiB });
    await using parent = new Tomei(['run', await vmx('o.vmx', withDisk('orphan.vmdk'), 'spin.elf')]);
    await parent.saw(/spinning/);
    const { pid } = (await lockHolder(at('orphan.vmdk')))!.holder;

    parent.kill();

    await expect.poll(() => lockHolder(at('orphan.vmdk')), { timeout: 30_000 }).toBeUndefined();
    await expect.poll(() => isRunning(pid), { timeout: 30_000 }).toBe(false);
  });
  test('asked to stop while it ends by itself: it has ended as it did', async () => {
    const file = await vmx('a.vmx');
    for (let i = 0; i < 12; i++) {
      const guest = startGuest(file);
      await guest.running;
      const asking = setInterval(() => guest.stop(), 0);

      const { end } = await guest.ended.finally(() => clearInterval(asking));

      expect(['exit', 'stopped']).toContain(end.why);
    }
  });
  test('by the end of the time, though it never looks at anything', async () => {
    const run = await tomei('run', await vmx('s.vmx', [], 'spin.elf'), '--expect', 'never', '--timeout', '1');

    expect(run).toMatchObject({ code: 1, stderr: expect.stringMatching(/never within 1 seconds/) as string });
  });
});

describe('a bad .vmx', () => {
  test.for<[string, string[], RegExp]>([
    ['with a syntax error', ['memsize 16'], /bad\.vmx:4: expected key = "value"/],
    ['with an absurd memsize', ['memsize = "999999"'], /bad\.vmx:4: memsize = "999999": memory can be 4 to 3072 MiB/],
    ['with a word for memsize', ['memsize = "lots"'], /bad\.vmx:4: memsize = "lots" is not a whole number/],
    ['with an unknown tomei key', ['tomei.kernal = "x"'], /bad\.vmx:4: .*tomei\.kernal/],
    ['with a disk that is missing', withDisk('gone.vmdk'), /gone\.vmdk does not exist/],
  ])('%s', async ([, lines, message]) => {
    expect(await tomei('run', await vmx('bad.vmx', lines))).toEqual({
      code: BAD_INPUT,
      stdout: '',
      stderr: expect.stringMatching(new RegExp(`tomei: [^\\n]*${message.source}[^\\n]*\\n$`)) as string,
    });
  });
  test('that is missing', async () => {
    expect(await tomei('run', at('gone.vmx'))).toMatchObject({ code: BAD_INPUT, stderr: oneLine(/gone\.vmx does not exist/) });
  });
  test('that is another kind of file', async () => {
    expect(await tomei('run', at('good.vmdk'))).toMatchObject({ code: BAD_INPUT, stderr: oneLine(/good\.vmdk:1: /) });
  });
});

describe('a bad kernel', () => {
  test.for<[string, string, RegExp]>([
    ['that is none', 'noise.bin', /noise\.bin.*(bzImage|multiboot)/],
    ['that is missing', 'gone.elf', /k\.vmx:3: tomei\.kernel: .*gone\.elf does not exist/],
    ['that is a disk', 'good.vmdk', /good\.vmdk.*(bzImage|multiboot)/],
  ])('%s', async ([, kernel, message]) => {
    expect(await tomei('run', await vmx('k.vmx', [], kernel))).toEqual({
      code: BAD_INPUT,
      stdout: '',
      stderr: oneLine(message),
    });
  });
  test('that was cut off', async () => {
    await writeFile(at('cut.elf'), smallKernel(exit(0)).subarray(0, 90));

    expect(await tomei('run', await vmx('k.vmx', [], 'cut.elf'))).toMatchObject({ code: BAD_INPUT, stderr: oneLine(/cut\.elf/) });
  });
  test('that does not fit', async () => {
    const kernel = smallKernel(exit(0));
    new DataView(kernel.buffer).setUint32(52 + 20, 0x7000_0000, true); // p_memsz
    await writeFile(at('huge.elf'), kernel);

    expect(await tomei('run', await vmx('k.vmx', [], 'huge.elf'))).toMatchObject({ code: BAD_INPUT, stderr: oneLine(/huge\.elf/) });
  });
});

describe('a bad disk', () => {
  /** A copy of the good disk, changed. */
  async function disk(name: string, change: () => Promise<void>): Promise<string> {
    await writeFile(at(name), await readFile(at('good.vmdk')));
    await change();
    return vmx('d.vmx', withDisk(name));
  }
  const HOST_TROUBLE = 5;

  test.for<[string, string, () => Promise<void>, RegExp]>([
    ['cut off in its header', 'cut.vmdk', () => truncate(at('cut.vmdk'), 100), /cut\.vmdk.*(cut off|ends at byte)/],
    ['cut off behind its header', 'cut.vmdk', () => truncate(at('cut.vmdk'), 1024), /cut\.vmdk/],
    ['of another magic', 'magic.vmdk', () => poke('magic.vmdk', 0, Uint8Array.of(1, 2, 3, 4)), /magic\.vmdk is no \.vmdk/],
    [
      'whose grain directory is outside of it',
      'outside.vmdk',
      () => poke('outside.vmdk', 48, Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0)),
      /outside\.vmdk.*(rgdOffset|gdOffset)/,
    ],
    [
      'whose grain tables are outside of it',
      'table.vmdk',
      async () => {
        const bytes = await readFile(at('table.vmdk')),
          view = new DataView(bytes.buffer, bytes.byteOffset);
        for (const field of [48, 56])
          await poke('table.vmdk', view.getUint32(field, true) * 512, Uint8Array.of(0xff, 0xff, 0xff, 0x0f));
      },
      /table\.vmdk.*grain/,
    ],
  ])('%s', async ([, name, change, message]) => {
    expect(await tomei('run', await disk(name, change))).toEqual({ code: BAD_INPUT, stdout: '', stderr: oneLine(message) });
  });
  test('that may only be read', async () => {
    const file = await disk('readonly.vmdk', () => chmod(at('readonly.vmdk'), 0o444));
    const run = await tomei('run', file);

    expect(run).toMatchObject({ stdout: '', stderr: oneLine(/readonly\.vmdk is marked read-only/) });
    expect([BAD_INPUT, HOST_TROUBLE]).toContain(run.code);
  });
  test('that another guest uses', async () => {
    const file = await disk('used.vmdk', () => Promise.resolve());
    await writeFile(file, (await readFile(file, 'utf8')).replace('exit.elf', 'spin.elf'));
    const seen = Promise.withResolvers<undefined>();
    const guest = startGuest(file, { serial: () => seen.resolve(undefined) });
    await seen.promise;

    const run = await tomei('run', file);

    guest.stop();
    await guest.ended;
    expect(run).toMatchObject({ code: BAD_INPUT, stderr: oneLine(/used\.vmdk is in use by process \d+/) });
  });
});

describe('a bad snapshot', () => {
  test('missing, no snapshot, of another machine, damaged', async () => {
    const file = await vmx('s.vmx', [], 'spin.elf');
    const saved = await tomei('run', file, '--expect', 'spinning', '--save', at('spin.snapshot'));
    expect(saved).toMatchObject({ code: 0, stderr: '' });
    const bytes = await readFile(at('spin.snapshot'));
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(at('damaged.snapshot'), bytes);
    const restore = (from: string, guest = file) => tomei('run', guest, '--restore', at(from), '--expect', 'x', '--timeout', '60');

    expect(await restore('gone.snapshot')).toMatchObject({ code: BAD_INPUT, stderr: oneLine(/gone\.snapshot does not exist/) });
    expect(await restore('good.vmdk')).toMatchObject({ code: BAD_INPUT, stderr: oneLine(/good\.vmdk is no snapshot/) });
    expect(await restore('damaged.snapshot')).toMatchObject({ code: BAD_INPUT, stderr: oneLine(/damaged\.snapshot/) });
    const larger = await vmx('larger.vmx', ['memsize = "32"'], 'spin.elf');
    expect(await restore('spin.snapshot', larger)).toMatchObject({ code: BAD_INPUT, stderr: expect.stringMatching(/memsize/) as string });
  });
  test('that cannot be written: the guest goes on', async () => {
    const seen = Promise.withResolvers<undefined>();
    const guest = startGuest(await vmx('s.vmx', [], 'spin.elf'), { serial: () => seen.resolve(undefined) });
    await seen.promise;

    await expect(guest.save(at('no/such/folder'))).rejects.toMatchObject({ code: 'snapshot.unwritable' });

    const before = (await guest.stats()).instructions;
    await expect.poll(async () => (await guest.stats()).instructions).toBeGreaterThan(before);
    guest.stop();
    await guest.ended;
  });
});
