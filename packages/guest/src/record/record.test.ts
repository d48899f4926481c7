/** Guests that are recorded and given again, as a person does it: the same to the last instruction, or a word about where not. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGuest, type Ended, type Guest } from '../guest-process.ts';
import type { Timing } from '../protocol.ts';
import { exit, kernel, obeyPowerButton, say, terminal } from '../test-kernel.ts';

let folder: string;
const guests: Guest[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-record-'));
});
afterEach(async () => {
  for (const guest of guests.splice(0)) {
    guest.kill();
    await guest.ended.catch(() => undefined);
  }
  await rm(folder, { recursive: true });
});
interface Run {
  readonly guest: Guest;
  serial: string;
}
async function start(code: readonly number[], timing: Timing): Promise<Run> {
  const path = join(folder, 'guest.vmx');
  await writeFile(join(folder, 'kernel'), kernel(code));
  await writeFile(path, ['memsize = "8"', 'tomei.kernel = "kernel"', 'serial0.present = "TRUE"'].join('\n'));
  const run: Run = { guest: undefined as never, serial: '' };
  const guest = startGuest(
    path,
    { serial: (_port, bytes) => void (run.serial += new TextDecoder().decode(bytes)) },
    { timing },
  );
  guests.push(guest);
  return Object.assign(run, { guest });
}
const CODE = [...say('ready\n'), ...terminal()];
const file = (): string => join(folder, 'run.rec');
const until = (run: Run, text: string): Promise<void> =>
  expect.poll(() => run.serial, { timeout: 20_000 }).toContain(text);
const type = (run: Run, text: string): void => run.guest.type(0, new TextEncoder().encode(text));

/** Types on the line and on the keyboard; the last `q` ends the guest. */
async function record(): Promise<{ serial: string; ended: Ended }> {
  const run = await start(CODE, { record: file() });
  await until(run, 'ready\n');
  type(run, 'hello ');
  await until(run, 'hello ');
  for (const down of [true, false]) run.guest.input({ kind: 'key', code: 0x1e, down });
  await until(run, '\u001e');
  type(run, 'world');
  await until(run, 'world');
  type(run, 'q');
  return { ended: await run.guest.ended, serial: run.serial };
}

describe('a guest that is given again', () => {
  it('says the same and ends the same after the same instructions, whoever types meanwhile', async () => {
    const recorded = await record();
    expect(recorded.ended.end).toMatchObject({ why: 'exit' });

    const again = await start(CODE, { replay: file() });
    type(again, 'noise');
    const ended = await again.guest.ended;

    expect(again.serial).toBe(recorded.serial);
    expect(ended.end).toEqual({ ...recorded.ended.end, replayed: true });
    expect(ended.stats.instructions).toBe(recorded.ended.stats.instructions);
  });
  it('has its power button pressed again', async () => {
    const run = await start(obeyPowerButton(), { record: file() });
    await until(run, 'ready\n');
    await run.guest.powerButton();
    const { end, stats } = await run.guest.ended;
    expect(end.why).toBe('power-off');

    const again = await start(obeyPowerButton(), { replay: file() });
    const ended = await again.guest.ended;
    expect([again.serial, ended.end]).toEqual([run.serial, { ...end, replayed: true }]);
    expect(ended.stats.instructions).toBe(stats.instructions);
  });
  it('ends where the one that was recorded was stopped', async () => {
    const run = await start(CODE, { record: file() });
    await until(run, 'ready\n');
    type(run, 'abc');
    await until(run, 'abc');
    run.guest.stop();
    const { stats } = await run.guest.ended;

    const again = await start(CODE, { replay: file() });
    const ended = await again.guest.ended;
    expect([again.serial, ended.end.why, ended.end.replayed]).toEqual([run.serial, 'stopped', true]);
    expect(ended.stats.instructions).toBe(stats.instructions);
  });
  it('is refused when it is another guest, and when the file is none', async () => {
    await record();
    const other = await start([...say('other\n'), ...exit(1)], { replay: file() });
    await expect(other.guest.ended).rejects.toMatchObject({ code: 'recording.other-machine' });

    await writeFile(file(), 'nothing');
    const none = await start(CODE, { replay: file() });
    await expect(none.guest.ended).rejects.toMatchObject({ code: 'recording.bad-magic' });
    const missing = await start(CODE, { replay: join(folder, 'missing') });
    await expect(missing.guest.ended).rejects.toMatchObject({ code: 'recording.unreadable' });
  });
  it('does as it was recorded as far as the file goes, and says where that ends', async () => {
    await record();
    const bytes = await readFile(file());
    await writeFile(file(), bytes.subarray(0, bytes.length - 10));
    const again = await start(CODE, { replay: file() });
    await expect(again.guest.ended).rejects.toMatchObject({ code: 'recording.damaged' });
    expect(again.serial).toContain('ready');
  });
});

describe('virtual time', () => {
  it('is counted by instructions: two runs take the same', async () => {
    const times = [];
    for (let n = 0; n < 2; n++) {
      const run = await start([...say('x'), ...exit(2)], { virtualTime: true });
      times.push((await run.guest.ended).stats.instructions);
    }
    expect(times[0]).toBe(times[1]);
  });
});
