/** `docker compose up` on a real engine: the whole lab in containers, used as a person uses it, and a runner that is killed. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@tomei/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Api, SerialConsole, eventually } from '../cluster/api.ts';
import { WRITTEN, travel } from '../cluster/journey.ts';
import { diskToolMissing, fileOnDisk } from '../guests/file-on-disk.ts';
import { ComposeProject, engineMissing } from './docker.ts';
import { REPOSITORY, SERVICES, settingsOf } from './settings.ts';

/** Images are built, Debian's packages fetched, a kernel booted. */
const SLOW = 900_000;
const GUEST = 'tiny';

interface ComposeFile {
  readonly services: Readonly<
    Record<string, { readonly environment?: Record<string, string>; readonly read_only?: boolean }>
  >;
}
const file = parse(await readFile(join(REPOSITORY, 'docker-compose.yml'), 'utf8'), { merge: true }) as ComposeFile;

test.each(SERVICES)('%s is told only what it knows, and cannot write its own image', (name) => {
  const service = file.services[name]!;

  expect(settingsOf(name)).toEqual(expect.arrayContaining(Object.keys(service.environment ?? {})));
  expect(service.read_only).toBe(true);
});

const missing = engineMissing();
describe.skipIf(missing !== undefined)(
  `the compose lab${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let project: ComposeProject;
    let api: Api;
    let folder: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tomei-compose-'));
      const port = await freePort();
      project = new ComposeProject({ TOMEI_PORT: String(port) });
      api = new Api(`http://127.0.0.1:${port}`);
      await project.run('build', '--quiet');
      await project.run('up', '--wait', '--detach', '--scale', 'vcpu-runner=2');
    }, SLOW);
    afterAll(async () => {
      await project.run('down', '--volumes', '--timeout', '20');
      await rm(folder, { recursive: true, force: true });
    }, SLOW);

    test(
      'a guest is registered, used through its consoles and powered off; what it wrote is on its disk',
      async () => {
        await travel(api, 'tiny/tiny.vmx', GUEST);

        const [container] = await project.containers('disk-service');
        const disk = join(folder, 'tiny.vmdk');
        execFileSync('docker', ['cp', `${container}:/pool/tiny/tiny.vmdk`, disk]);
        const tool = diskToolMissing();
        if (tool === undefined) expect(await fileOnDisk(disk, WRITTEN.path)).toBe(WRITTEN.text);
      },
      SLOW,
    );

    test(
      'a runner that is killed is seen and told, and its guest runs anew on the other one',
      async () => {
        await api.power(GUEST, 'on');
        const before = await api.until(GUEST, 'running', (g) => g.phase === 'running');
        const all = await project.containers('vcpu-runner');
        const victim = all.find((id) => id.startsWith(before.runner!));

        execFileSync('docker', ['kill', victim!]);

        const events = await eventually('the loss is told', async () => {
          const verbs = (await api.events(before.id)).map((e) => e.verb);
          return verbs.includes('lost') ? verbs : undefined;
        });
        expect(events).toContain('lost');
        const after = await api.until(GUEST, 'running anew', (g) => g.phase === 'running' && g.run > before.run);
        expect(after.runner).not.toBe(before.runner);
        using serial = new SerialConsole(api.url, GUEST);
        await serial.expect(/login: /);
      },
      SLOW,
    );

    test('the services run as an ordinary user', async () => {
      for (const name of SERVICES) expect((await project.run('exec', '-T', name, 'id', '-u')).trim()).toBe('1000');
    });
  },
);
