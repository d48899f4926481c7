/** `tomei lab`, and the commands that talk to it: processes, HTTP and WebSockets as a person has them. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Tomei, tomei, type Finished } from '../guests/cli.ts';
import { exit, halt, say, smallKernel } from '../guests/small-kernel.ts';
import { buildTiny } from '../guests/tiny-guest.ts';
import { Api, SerialConsole, eventually } from './api.ts';

const SLOW = 600_000;
const BUILT = fileURLToPath(new URL('../../artefacts/guests/tiny/', import.meta.url));
/** in al, 3FDh; test al, 1; jz; in al, 3F8h; out 3F8h, al: what is typed comes back. */
const ECHO = [0x66, 0xba, 0xfd, 3, 0xec, 0xa8, 1, 0x74, 0xf7, 0x66, 0xba, 0xf8, 3, 0xec, 0xee, 0xeb, 0xef];
/** Enables the power button's event and ACPI (ports of firmware/acpi/dsdt.ts), waits for it, and switches itself off. */
const OBEYS = [
  ...[0x66, 0xba, 0x02, 0x06, 0x66, 0xb8, 0x00, 0x01, 0x66, 0xef, 0xb0, 0xf1, 0xe6, 0xb2], // 602h := 100h; B2h := F1h
  ...[0x66, 0xba, 0x00, 0x06, 0x66, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xf9], // until bit 8 of 600h
  ...[0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef, ...halt], // 604h := 2000h
];
/** mov word [0xB8000 + 2 n], a grey letter */
const onScreen = (text: string): number[] =>
  [...text].flatMap((c, n) => [0x66, 0xc7, 0x05, n * 2, 0x80, 0x0b, 0, c.charCodeAt(0), 7]);

const vmx = (name: string): string => `config.version = "8"
virtualHW.version = "8"
displayName = "${name}"
memsize = "16"
serial0.present = "TRUE"
tomei.kernel = "kernel"
`;

let folder: string;
let pool: string;
let lab: Tomei;
let url: string;

/** The lines of JSON that the lab has printed. */
const lines = (): Record<string, unknown>[] =>
  lab.stdout
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const command = (...args: string[]): Promise<Finished> => tomei(...args, '--server', url);
const json = async <T>(...args: string[]): Promise<T> => {
  const { code, stdout, stderr } = await command(...args, '--json');
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as T;
};

async function addSmall(name: string, code: readonly number[]): Promise<void> {
  await mkdir(join(pool, name), { recursive: true });
  await writeFile(join(pool, name, `${name}.vmx`), vmx(name));
  await writeFile(join(pool, name, 'kernel'), smallKernel(code));
}

async function addAndPowerOn(name: string, code: readonly number[]): Promise<void> {
  await addSmall(name, code);
  expect((await command('register', `${name}/${name}.vmx`)).code).toBe(0);
  expect((await command('power', 'on', name, '--wait')).code).toBe(0);
}

beforeAll(async () => {
  await buildTiny();
  folder = await mkdtemp(join(tmpdir(), 'tomei-lab-cli-'));
  pool = join(folder, 'pool');
  await addSmall('echo', [...onScreen('On the screen'), ...say('ready\n'), ...ECHO]);
  await addSmall('exits', exit(1));
  await addSmall('obeys', OBEYS);
  await mkdir(join(pool, 'tiny'));
  for (const file of ['tiny.vmx', 'tiny.vmdk', 'vmlinuz', 'initrd.gz'])
    await copyFile(join(BUILT, file), join(pool, 'tiny', file));
  lab = new Tomei(['lab', join(pool, 'tiny/tiny.vmx'), '--port', '0', '--json']);
  await lab.saw(/"kind":"started"/);
  url = String(lines().find(({ kind }) => kind === 'started')!['url']);
}, SLOW);
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

describe('tomei lab and the commands that talk to it', () => {
  test('the pool around the given guest is registered, and the guest is powered on', async () => {
    const start = lines().find(({ kind }) => kind === 'started')!;
    expect(start).toMatchObject({ pool, guests: expect.arrayContaining(['tiny', 'echo', 'exits']) as string[] });

    const { code, stdout } = await command('list');

    expect(code).toBe(0);
    expect(stdout).toMatch(/^NAME +STATE/);
    expect(stdout).toMatch(/^echo +off/m);
    expect(stdout).toMatch(/^tiny +(pending|starting|running)/m);
  });

  test('power on --wait, show, the screen, power reset --wait', async () => {
    expect(await command('power', 'on', 'echo', '--wait')).toMatchObject({ code: 0, stdout: 'echo: running\n' });

    const view = await json<Record<string, unknown>>('show', 'echo');
    expect(view).toMatchObject({ name: 'echo', phase: 'running', runner: 'lab', memoryMiB: 16 });
    expect((await command('show', 'echo')).stdout).toMatch(/^state +running since /m);

    await eventually('the word is on the screen', async () =>
      (await command('screenshot', 'echo')).stdout.startsWith('On the screen') ? true : undefined,
    );
    const file = join(folder, 'echo.png');
    expect((await command('screenshot', 'echo', file)).code).toBe(0);
    expect([...(await readFile(file)).subarray(1, 4)]).toEqual([...Buffer.from('PNG')]);

    await using reset = new Tomei(['power', 'reset', 'echo', '--wait', '--json', '--server', url]);
    const { code, stdout } = await reset.finished();
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ phase: 'running', run: 2 });
  });

  test('power shutdown presses the power button: who listens ends by itself, who does not is given its time', async () => {
    await command('power', 'on', 'obeys', '--wait');
    // It may not listen yet; the button stays pressed for it.
    expect(await command('power', 'shutdown', 'obeys', '--wait')).toMatchObject({ code: 0, stdout: 'obeys: off\n' });
    const { events } = await json<{ events: { verb: string; message: string }[] }>('events', '--guest', 'obeys');
    expect(events.at(-1)).toMatchObject({ verb: 'stopped', message: 'the guest powered itself off' });

    await addAndPowerOn('deaf', [0xeb, 0xfe]);
    expect((await command('power', 'shutdown', 'deaf', '--grace', '1', '--wait')).stdout).toBe('deaf: off\n');
    const deaf = await json<{ events: { verb: string; message: string }[] }>('events', '--guest', 'deaf');
    expect(deaf.events.at(-1)!.message).toMatch(/did not end within 1 s/);
    expect(deaf.events.map(({ message }) => message)).toContainEqual(expect.stringMatching(/does not listen/));
  });

  test('a guest that wants a folder of the host is refused, with the key that asks for it', async () => {
    await addSmall('nosy', exit(1));
    const keys = [
      'present = "TRUE"',
      'enabled = "TRUE"',
      'readAccess = "TRUE"',
      'hostPath = "/"',
      'guestName = "root"',
    ];
    const shares = keys.map((key) => `sharedFolder0.${key}\n`).join('');
    await writeFile(join(pool, 'nosy', 'nosy.vmx'), vmx('nosy') + shares);

    const { code, stderr } = await command('register', 'nosy/nosy.vmx');

    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(/nosy\/nosy\.vmx:10: sharedFolder0\.hostPath: .*no folder/),
    ]);
  });

  test('memory of a guest without a balloon, or without a driver for it, and of one that is off', async () => {
    expect(await command('memory', 'echo')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^tomei: echo has no balloon: .*tomei\.balloon\.present.*\n$/) as string,
    });
    await addSmall('bare', [0xeb, 0xfe]);
    await writeFile(join(pool, 'bare', 'bare.vmx'), `${vmx('bare')}tomei.balloon.present = "TRUE"\n`);
    await command('register', 'bare/bare.vmx');
    expect((await command('memory', 'bare')).code).toBe(1);
    await command('power', 'on', 'bare', '--wait');

    expect(await json('memory', 'bare')).toMatchObject({
      sizeBytes: 2 ** 24,
      bytes: 2 ** 24,
      driver: false,
      statistics: null,
    });
    expect(await command('memory', 'bare', '16M')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^tomei: bare has no driver for its balloon .*\ntomei: trying again may help\n$/,
      ) as string,
    });
    expect((await command('power', 'off', 'bare', '--wait')).code).toBe(0);
  });

  test('console joins a pipe to the serial port; logs has what it said', async () => {
    await using console = new Tomei(['console', 'echo', '--server', url]);
    await console.saw(/ready/);
    console.type('typed by hand\n');
    await console.saw(/typed by hand/);

    const logs = await command('logs', 'echo');

    expect(logs.code).toBe(0);
    expect(logs.stdout).toContain('ready');
    expect(logs.stdout).toContain('typed by hand');
    // It never sleeps: the rest of the host is needed for others.
    expect(await command('power', 'off', 'echo', '--wait')).toMatchObject({ code: 0, stdout: 'echo: off\n' });
  });

  test('events, with and without --follow', async () => {
    await using following = new Tomei(['events', '--follow', '--guest', 'exits', '--json', '--server', url]);
    await following.saw(/"verb":"registered"/);

    await command('power', 'on', 'exits');
    await following.saw(/"verb":"stopped"/);

    const { events } = await json<{ events: { verb: string }[] }>('events', '--guest', 'exits');
    expect(events.map(({ verb }) => verb).filter((verb) => verb !== 'warning')).toEqual([
      'registered',
      'placed',
      'starting',
      'running',
      'stopped',
    ]);
    expect((await command('events', '--limit', '5')).stdout).toMatch(/^\d\d:\d\d:\d\d {2}exits +stopped/m);
    expect(
      lines().some(({ kind, verb, guestName }) => kind === 'event' && verb === 'stopped' && guestName === 'exits'),
    ).toBe(true);
  });

  test('runners has the one of the lab', async () => {
    const { runners } = await json<{ runners: object[] }>('runners');

    expect(runners).toEqual([expect.objectContaining({ id: 'lab', state: 'ready' })]);
    expect((await command('runners')).stdout).toMatch(/^lab +ready/m);
  });

  test('register under another name, and delete', async () => {
    expect((await command('register', 'exits/exits.vmx', '--name', 'second')).code).toBe(0);
    expect(await json('show', 'second')).toMatchObject({ name: 'second', vmxPath: 'exits/exits.vmx', phase: 'off' });

    expect((await command('delete', 'second')).code).toBe(0);
    await eventually('it is gone', async () => ((await command('show', 'second')).code === 1 ? true : undefined));
  });

  test('a path of this machine is no place in the pool, and the error names the one that is', async () => {
    const { code, stderr } = await command('register', join(pool, 'exits/exits.vmx'));

    expect(code).not.toBe(0);
    expect(stderr).toMatch(/the pool has exits\/exits\.vmx/);
  });

  test('what goes wrong is one line and an exit code', async () => {
    const unknown = await command('show', 'nobody');
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/^tomei: .*nobody.*\n$/) as string });
    expect((await command('console', 'nobody')).code).toBe(1);
    expect((await command('console', 'tiny', '--serial', '3')).stderr).toMatch(/^tomei: .*serial port 3/m);

    const nowhere = await tomei('list', '--server', 'http://127.0.0.1:1');
    expect(nowhere.code).toBe(5);
    expect(nowhere.stderr).toMatch(/^tomei: no Tomei answers at http:\/\/127\.0\.0\.1:1 .*tomei lab/);
  });

  test(
    'the guest that was given boots: a person logs in on its serial console',
    async () => {
      const api = new Api(url);
      await api.until('tiny', 'running', (g) => g.phase === 'running');
      using serial = new SerialConsole(url, 'tiny');
      await serial.expect(/login: /);
      serial.send('root\n');
      await serial.expect(/tiny:~# /);
      serial.send('echo answer-$((6*7))\n');
      await serial.expect(/\nanswer-42/);

      expect((await command('logs', 'tiny')).stdout).toContain('answer-42');
    },
    SLOW,
  );

  test('ends in order when it is asked to: guests are powered off, and nothing is left', async () => {
    lab.signal('SIGINT');
    const { code, stderr } = await lab.finished();

    expect(stderr).toBe('');
    expect(code).toBe(0);
    const last = lines().filter(({ kind, verb }) => kind === 'event' && verb === 'stopped');
    expect(last.at(-1)).toMatchObject({ guestName: 'tiny' });
    expect((await tomei('list', '--server', url)).code).toBe(5);
  }, 60_000);
});
