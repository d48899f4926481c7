import { mkdtemp, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { startLab, type Lab, type LabOptions } from './lab.ts';
import { makePrivateFolder } from './private-folder.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const GOOD = `config.version = "8"\nvirtualHW.version = "8"\ndisplayName = "good"\nmemsize = "16"\ntomei.kernel = "kernel"\n`;
/** A pool with files by their place in it. */
async function poolOf(files: Readonly<Record<string, string>>): Promise<string> {
  const pool = await mkdtemp(join(tmpdir(), 'tomei-pool-'));
  cleanups.push(() => rm(pool, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(pool, path, '..'), { recursive: true });
    await writeFile(join(pool, path), text);
  }
  return pool;
}
async function started(options: LabOptions): Promise<Lab> {
  const lab = await startLab({ port: 0, ...options });
  cleanups.push(() => lab.close());
  return lab;
}
const statusWithHost = async (url: string, host: string): Promise<number | undefined> => {
  const asking = request(new URL('/api/v1/guests', url), { headers: { host } }).end();
  const [response] = (await once(asking, 'response')) as [{ statusCode?: number; resume(): void }];
  response.resume();
  return response.statusCode;
};

describe('a lab', () => {
  test('has every guest of its pool, on one port, and says what it cannot register', async () => {
    const warnings: string[] = [];
    const pool = await poolOf({ 'good/good.vmx': GOOD, 'bad/bad.vmx': 'memsize = "many"\n', 'good/kernel': 'x' });

    const lab = await started({ pool, onWarning: (text) => void warnings.push(text) });

    expect(lab.guests.map(({ name, vmxPath }) => [name, vmxPath])).toEqual([['good', 'good/good.vmx']]);
    expect(warnings).toEqual([expect.stringMatching(/^bad\/bad\.vmx is not registered: .*bad\.vmx:1/)]);
    const { guests } = (await (await fetch(new URL('/api/v1/guests', lab.url))).json()) as { guests: object[] };
    expect(guests).toEqual([expect.objectContaining({ name: 'good', phase: 'off', power: 'off' })]);
    expect((await fetch(new URL('/readyz', lab.url))).status).toBe(200);
    expect(await (await fetch(new URL('/metrics', lab.url))).text()).toContain('tomei_runner_guests');
  });

  test('answers no page that only pretends to be its own', async () => {
    const lab = await started({ pool: await poolOf({}) });
    const { port } = new URL(lab.url);

    expect(await statusWithHost(lab.url, `evil.example:${port}`)).toBe(403);
    expect(await statusWithHost(lab.url, `localhost:${port}`)).toBe(200);
  });

  test('a guest to power on that cannot be registered is an error, and nothing is left behind', async () => {
    const pool = await poolOf({ 'bad/bad.vmx': 'memsize = "many"\n' });

    await expect(startLab({ pool, port: 0, powerOn: ['bad/bad.vmx'] })).rejects.toThrow(/bad\.vmx:1/);
  });

  test('a port that is taken, and a pool that is not there, are said', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    cleanups.push(() => new Promise((resolve) => taken.close(resolve)));
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };

    await expect(startLab({ pool: await poolOf({}), port })).rejects.toMatchObject({
      code: 'service.cannot-listen',
      message: expect.stringContaining(`127.0.0.1:${port}`) as string,
    });
    await expect(startLab({ pool: '/nowhere/at/all', port: 0 })).rejects.toMatchObject({ code: 'pool.missing' });
    await expect(startLab({ pool: import.meta.filename, port: 0 })).rejects.toMatchObject({ code: 'pool.missing' });
  });

  test('on an address of the network it says that everybody is let in', async () => {
    const warnings: string[] = [];

    await started({ pool: await poolOf({}), host: '0.0.0.0', onWarning: (text) => void warnings.push(text) });

    expect(warnings).toEqual([expect.stringContaining('everybody')]);
  });

  test('may be closed twice', async () => {
    const lab = await started({ pool: await poolOf({}) });

    await Promise.all([lab.close(), lab.close()]);

    await expect(fetch(lab.url)).rejects.toThrow();
  });
});

test("the folder of sockets is this user's alone, and goes", async () => {
  const folder = await makePrivateFolder();

  expect((await stat(folder.path)).mode & 0o777).toBe(0o700);
  expect(folder.path.length).toBeLessThan(75);
  await folder.remove();
  await expect(stat(folder.path)).rejects.toThrow();
});
