/** A guest in a process of its own and its console, as a runner and a gateway use them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startGuest, type Guest } from './guest-process.ts';
import type { RemoteGuest } from './protocol.ts';
import { exit, kernel, obeyPowerButton, say, terminal, u32 } from './test-kernel.ts';
import { Viewer } from './console/viewer.ts';

const TOKEN = 'open sesame';
let folder: string;
const guests: Guest[] = [],
  viewers: Viewer[] = [];

async function vmx(code: readonly number[], ...lines: string[]): Promise<string> {
  const path = join(folder, 'guest.vmx');
  await writeFile(join(folder, 'kernel'), kernel(code));
  await writeFile(path, ['memsize = "8"', 'tomei.kernel = "kernel"', 'serial0.present = "TRUE"', ...lines].join('\n'));
  return path;
}
function start(...parameters: Parameters<typeof startGuest>): Guest {
  const guest = startGuest(...parameters);
  guests.push(guest);
  return guest;
}
const withConsole = (path: string): Guest =>
  start(path, {}, { console: { bind: `unix:${folder}/console`, token: TOKEN } });
async function attach(guest: Guest): Promise<Viewer> {
  const viewer = new Viewer(await guest.console, TOKEN);
  viewers.push(viewer);
  return viewer;
}
const said = (viewer: Viewer, text: string) => viewer.until(text, () => viewer.serial[0]!.includes(text));

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-guest-'));
});
afterEach(async () => {
  for (const viewer of viewers.splice(0)) viewer.close();
  for (const guest of guests.splice(0)) {
    guest.kill();
    await guest.ended.catch(() => undefined);
  }
  await rm(folder, { recursive: true });
});

describe('a guest with a console', () => {
  it('shows its screen, hears keys and the line, and says how it ended', async () => {
    const guest = withConsole(await vmx([...say('ready\n'), ...terminal()]));
    const viewer = await attach(guest);
    await said(viewer, 'ready\n');
    const empty = await viewer.until('a picture', () => viewer.picture);
    expect(empty).toMatchObject({ width: 720, height: 400 });

    viewer.type(0, 'HELLO');
    await said(viewer, 'HELLO');
    await viewer.until('characters on the screen', () => {
      const dots = viewer.picture!.rgba;
      return dots.some((value, i) => i % 4 !== 3 && value > 0 && (i >> 2) % 720 > 36);
    });
    const shot = await viewer.client.calls.screenshot({ token: TOKEN });
    expect(shot.text[0]).toBe('HELLO');
    expect(Buffer.from(shot.png.subarray(1, 4)).toString()).toBe('PNG');

    viewer.send({ key: { code: 0x1e, down: true } });
    viewer.send({ key: { code: 0x1e, down: false } });
    await said(viewer, '\u001e\u009e');

    viewer.type(0, 'q');
    expect(await viewer.over).toBeUndefined();
    expect(viewer.messages.at(-1)).toMatchObject({ ended: { why: 'exit' } });
    expect((await guest.ended).end).toEqual({ why: 'exit', status: 3 });
  });

  it('tells its second caller what it said before, and lets both type', async () => {
    const guest = withConsole(await vmx([...say('login: '), ...terminal()]));
    const first = await attach(guest);
    await said(first, 'login: ');
    const second = await attach(guest);
    await said(second, 'login: ');
    second.type(0, 'ab');
    await said(first, 'ab');
    first.type(0, 'cd');
    await said(second, 'cd');
    await second.until('a picture', () => second.picture);
    expect(second.messages[0]!.attached).toEqual({ guestId: '', run: 0, serialPorts: [0], resizable: false });
  });

  it('goes on while a caller reads nothing', async () => {
    const guest = withConsole(await vmx([...say('ready\n'), ...terminal()]));
    const stuck = new Viewer(await guest.console, TOKEN, { reads: false });
    viewers.push(stuck);
    const viewer = await attach(guest);
    await said(viewer, 'ready\n');
    viewer.type(0, `${'z'.repeat(1023)}\n`);
    await viewer.until('all of it', () => viewer.serial[0]!.length >= 1024 + 6);
    viewer.type(0, 'q');
    expect((await guest.ended).end.why).toBe('exit');
    stuck.startReading();
    await stuck.over;
  });

  it('is not drowned by what is typed while it reads nothing: so much is kept, and its parent is told once', async () => {
    const told = Promise.withResolvers<string>();
    const spin = [0xfa, 0xeb, 0xfe];
    const guest = start(
      await vmx([...say('busy'), ...spin]),
      { warning: (text) => told.resolve(text) },
      { console: { bind: `unix:${folder}/console`, token: TOKEN } },
    );
    const viewer = await attach(guest);
    await said(viewer, 'busy');
    for (let i = 0; i < 4; i++) viewer.type(0, 'y'.repeat(500_000));
    expect(await told.promise).toMatch(/^serial0: the guest does not read/);
    guest.stop();
    expect((await guest.ended).end.why).toBe('stopped');
  });

  it('says in its parent and at its console that it was stopped, also before anybody came', async () => {
    const guest = withConsole(await vmx(terminal()));
    const viewer = await attach(guest);
    await viewer.until('attached', () => viewer.messages[0]);
    guest.stop();
    expect((await guest.ended).end.why).toBe('stopped');
    expect(await viewer.over).toBeUndefined();
    expect(viewer.messages.at(-1)).toMatchObject({ ended: { why: 'stopped' } });

    const other = withConsole(await vmx(terminal()));
    other.stop();
    expect((await other.ended).end.why).toBe('stopped');
  });

  it('does not start where nobody can listen', async () => {
    const guest = start(await vmx(terminal()), {}, { console: { bind: 'unix:/nowhere/at/all', token: TOKEN } });
    await expect(guest.ended).rejects.toMatchObject({ code: 'service.cannot-listen' });
    await expect(guest.console).rejects.toMatchObject({ code: 'service.cannot-listen' });
  });
});

describe('a guest without a console', () => {
  it('says so, and passes its serial output to its parent', async () => {
    let text = '';
    const heard = Promise.withResolvers<void>();
    const guest = start(await vmx([...say('hello'), ...terminal()]), {
      serial: (_, bytes) => {
        text += Buffer.from(bytes).toString('latin1');
        if (text === 'hello') heard.resolve();
      },
    });
    await expect(guest.console).rejects.toMatchObject({ code: 'guest.no-console' });
    await heard.promise;
    guest.type(0, Buffer.from('q'));
    expect((await guest.ended).end).toEqual({ why: 'exit', status: 3 });
  });
});

describe('a guest of the pool', () => {
  const remote = (vmxText: string): RemoteGuest => ({
    ...{ guestId: 'g-1', guestName: 'one', run: 2, vmxPath: 'a/one.vmx', vmxText, disks: `unix:${folder}/nobody` },
    console: { bind: `unix:${folder}/console`, token: TOKEN },
  });
  it.each([
    ['with a .vmx that is wrong', 'memsize = "lots"', 'vmx.value'],
    [
      'that wants a folder of the host',
      ['present', 'enabled', 'readAccess']
        .map((key) => `sharedFolder0.${key} = "TRUE"\n`)
        .join('')
        .concat('sharedFolder0.hostPath = "/"\nsharedFolder0.guestName = "root"'),
      'vmx.unsupported',
    ],
    ['whose pool is away', 'memsize = "8"\ntomei.kernel = "kernel"', 'kernel.unreadable'],
  ])('%s does not start, and says why', async (_, text, code) => {
    const guest = start(remote(text));
    await expect(guest.ended).rejects.toMatchObject({ code, message: expect.stringContaining('a/one.vmx') as string });
    await expect(guest.console).rejects.toMatchObject({ code });
  });
});

describe('the power button', () => {
  it('ends a guest that listens, by its own doing', async () => {
    let serial = '';
    const guest = start(await vmx(obeyPowerButton()), {
      serial: (_port, bytes) => void (serial += new TextDecoder().decode(bytes)),
    });
    await expect.poll(() => serial, { timeout: 20_000 }).toContain('ready');
    expect(await guest.powerButton()).toBe(true);
    expect((await guest.ended).end).toEqual({ why: 'power-off', status: 0 });
    expect(serial).toContain('button');
  });
  it('says of a guest that does not listen that it does not', async () => {
    const guest = start(await vmx([...say('ready\n'), ...terminal()]));
    await guest.running;
    expect(await guest.powerButton()).toBe(false);
    expect(await guest.stats()).toBeDefined();
  });
});

describe('the engine', () => {
  /** MOV ECX,5000000 ; DEC ECX ; JNZ back. */
  const LONG_LOOP = [0xb9, ...u32(5_000_000), 0x49, 0x75, 0xfd, ...exit(0)];
  it.each([
    ['compiles what runs often', [], undefined, true],
    ['interprets all where the .vmx says so', ['tomei.engine = "interpreter"'], undefined, false],
    ['goes by what it is started with before the .vmx', ['tomei.engine = "interpreter"'], 'compiled', true],
    ['goes by that the other way round', [], 'interpreter', false],
  ] as const)('%s', async (_, lines, engine, compiles) => {
    const guest = start(await vmx(LONG_LOOP, ...lines), {}, engine === undefined ? {} : { engine });

    const { end, stats } = await guest.ended;

    expect(end.why).toBe('exit');
    expect(stats.compiled !== undefined).toBe(compiles);
    if (!compiles) expect(stats.time.compiled).toBe(0);
  });
});

describe('a profile', () => {
  /** MOV EBP,0 ; CALL outer ; end ; outer: PUSH EBP ; MOV EBP,ESP ; MOV ECX,n ; DEC ECX ; JNZ back ; POP EBP ; RET. */
  const end = exit(0),
    loop = [0x55, 0x89, 0xe5, 0xb9, ...u32(30_000_000), 0x49, 0x75, 0xfd, 0x5d, 0xc3];
  const code = [0xbc, ...u32(0x20_0000), 0xbd, ...u32(0), 0xe8, ...u32(end.length), ...end, ...loop];
  const ENTRY = 0x10_0020,
    BACK = ENTRY + 15,
    DEC = BACK + end.length + 8;

  it('has the loop that a guest spends its time in, and who called it', async () => {
    const guest = start(await vmx(code), {}, { perf: true });

    const { profile } = await guest.ended;

    const { samples, stacks, ms } = profile!;
    const inLoop = stacks.filter(({ addresses: [at] }) => at === DEC || at === DEC + 1);
    expect(samples).toBeGreaterThan(0);
    expect(inLoop.reduce((sum, stack) => sum + stack.ms, 0)).toBeGreaterThan(ms / 2);
    expect(inLoop.every(({ addresses, ring }) => addresses[1] === BACK && ring === 0)).toBe(true);
  });
  it('is there only when it was asked for', async () => {
    const guest = start(await vmx(exit(0)));

    expect(await guest.ended).not.toHaveProperty('profile');
  });
});
