/** Discs that are changed while a guest runs: it finds the other one, is told so by its drive, and a replay does the same. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGuest, type Guest, type StartOptions } from './guest-process.ts';
import { discReader, kernel } from './test-kernel.ts';

let folder: string;
const guests: Guest[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-discs-'));
  await writeFile(join(folder, 'kernel'), kernel(discReader()));
  for (const letter of ['A', 'B', 'C']) await writeFile(join(folder, letter), letter.repeat(40 * 2048));
});
afterEach(async () => {
  for (const guest of guests.splice(0)) {
    guest.kill();
    await guest.ended.catch(() => undefined);
  }
  await rm(folder, { recursive: true });
});
interface Reader {
  readonly guest: Guest;
  serial: string;
  /** What the drive gives now. */
  read(): Promise<string>;
}
async function start(drive: readonly string[], options: StartOptions = {}): Promise<Reader> {
  const path = join(folder, 'guest.vmx');
  const lines = ['memsize = "8"', 'tomei.kernel = "kernel"', 'serial0.present = "TRUE"', 'ide1:0.present = "TRUE"'];
  await writeFile(path, [...lines, 'ide1:0.deviceType = "cdrom-image"', ...drive].join('\n'));
  const reader: Reader = {
    guest: undefined as never,
    serial: '',
    async read() {
      const before = reader.serial.length;
      reader.guest.type(0, Uint8Array.of(0x2e));
      await expect.poll(() => reader.serial.length, { timeout: 20_000 }).toBe(before + 1);
      return reader.serial.at(-1)!;
    },
  };
  const guest = startGuest(
    path,
    { serial: (_port, bytes) => void (reader.serial += new TextDecoder().decode(bytes)) },
    options,
  );
  guests.push(guest);
  return Object.assign(reader, { guest });
}
const disc = (letter: string): string => join(folder, letter);

describe('a disc', () => {
  it('is changed and taken out while the guest runs, and so it is in a replay', async () => {
    const recording = join(folder, 'run.rec');
    const one = await start(['ide1:0.fileName = "A"'], { timing: { record: recording } });
    expect(await one.read()).toBe('A');
    for (const letter of ['B', 'C', 'A']) {
      await one.guest.changeDisc('ide1:0', disc(letter));
      // UNIT ATTENTION first: the medium may have changed.
      expect([await one.read(), await one.read()]).toEqual(['!', letter]);
    }
    await one.guest.changeDisc('ide1:0');
    expect([await one.read(), await one.read()]).toEqual(['!', '!']);
    await one.guest.changeDisc('ide1:0', disc('B'));
    expect([await one.read(), await one.read()]).toEqual(['!', 'B']);
    one.guest.type(0, new TextEncoder().encode('q'));
    const { end, stats } = await one.guest.ended;

    const again = await start(['ide1:0.fileName = "A"'], { timing: { replay: recording } });
    const ended = await again.guest.ended;
    expect([again.serial, ended.end]).toEqual([one.serial, { ...end, replayed: true }]);
    expect(ended.stats.instructions).toBe(stats.instructions);
  });
  it('is laid into a drive that was empty at first, and is part of a snapshot then', async () => {
    const one = await start(['ide1:0.startConnected = "FALSE"', 'ide1:0.fileName = "A"']);
    expect(await one.read()).toBe('!');
    await one.guest.changeDisc('ide1:0', disc('B'));
    expect([await one.read(), await one.read()]).toEqual(['!', 'B']);
    const snapshot = join(folder, 'snapshot');
    await one.guest.save(snapshot, { stop: true });
    await one.guest.ended;

    const other = await start(['ide1:0.startConnected = "FALSE"', 'ide1:0.fileName = "A"'], { restore: snapshot });
    await expect(other.guest.ended).rejects.toMatchObject({ code: 'snapshot.mismatch' });
    const same = await start(['ide1:0.fileName = "B"'], { restore: snapshot });
    expect(await same.read()).toBe('B');
  });
  it('stays where it is when another one cannot be had', async () => {
    const one = await start(['ide1:0.fileName = "A"']);
    await one.guest.running;
    await expect(one.guest.changeDisc('ide0:0', disc('B'))).rejects.toMatchObject({ code: 'drive.missing' });
    await expect(one.guest.changeDisc('ide1:0', disc('nothing'))).rejects.toMatchObject({ code: 'disk.missing' });
    await writeFile(disc('empty'), '');
    await expect(one.guest.changeDisc('ide1:0', disc('empty'))).rejects.toThrow(/^ide1:0: .*empty is empty/);
    expect(await one.read()).toBe('A');
  });
  it('can be changed more often than disks have numbers, whoever asks at the same time', async () => {
    const one = await start(['ide1:0.fileName = "A"']);
    await one.guest.running;
    await Promise.all(Array.from({ length: 300 }, (_, n) => one.guest.changeDisc('ide1:0', disc('ABC'[n % 3]!))));
    expect([await one.read(), await one.read()]).toEqual(['!', 'C']);
  });
});
