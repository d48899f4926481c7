/** A service as a process of its own, with real servers and real signals. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { connect } from 'nats';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import {
  freePort,
  natsServerMissing,
  redisServerMissing,
  startNatsServer,
  startRedisServer,
  type NatsServer,
  type RedisServer,
} from '@tomei/testkit';

/** Nothing here is measured: slow machines have room. */
const SOON = { timeout: 60_000, interval: 2 };

const PROGRAM = join(import.meta.dirname, 'run.example.ts');
type Line = Readonly<Record<string, unknown>>;

/** The example, running. */
class Example {
  readonly lines: Line[] = [];
  stdout = '';
  stderr = '';
  readonly exit: Promise<number | null>;
  private readonly child: ChildProcess;
  private wake = Promise.withResolvers<void>();
  private ended = false;

  constructor(environment: Readonly<Record<string, string>>, args: readonly string[] = []) {
    const { PATH = '' } = process.env;
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      env: { PATH, TOMEI_OPS_HOST: '127.0.0.1', TOMEI_OPS_PORT: '0', TOMEI_GREETING: 'hi', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child = child;
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line.startsWith('{')) this.lines.push(JSON.parse(line) as Line);
      this.change();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exit = new Promise((resolve) => {
      child.on('close', (code) => {
        this.ended = true;
        this.change();
        resolve(code);
      });
    });
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await this.exit;
    });
  }
  private change(): void {
    this.wake.resolve();
    this.wake = Promise.withResolvers();
  }
  /** The first line with this message. */
  async line(message: string): Promise<Line> {
    for (;;) {
      const found = this.lines.find(({ msg }) => msg === message);
      if (found !== undefined) return found;
      if (this.ended) throw new Error(`ended without "${message}":\n${this.stdout}${this.stderr}`);
      await this.wake.promise;
    }
  }
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
  /** Status and text of one of its pages. */
  async page(path: string): Promise<[number, string]> {
    const { opsPort } = await this.line('starting');
    const response = await fetch(`http://127.0.0.1:${String(opsPort)}${path}`);
    return [response.status, await response.text()];
  }
}

test('--help says what can be set, and ends', async () => {
  const example = new Example({}, ['--help']);

  expect(await example.exit).toBe(0);
  for (const name of ['TOMEI_GREETING', 'TOMEI_TOKEN', 'TOMEI_NATS_URL', 'TOMEI_REDIS_URL', 'TOMEI_LOG_LEVEL'])
    expect(example.stdout).toContain(name);
});

test('a wrong configuration ends it with 2, all that is wrong on standard error', async () => {
  const example = new Example({ TOMEI_GREETING: '', TOMEI_TOKEN: '1234', TOMEI_NATS_UR: 'x', TOMEI_OPS_PORT: '65536' });

  expect(await example.exit).toBe(2);
  expect(example.stdout).toBe('');
  expect(example.stderr).toMatch(/^example: the configuration is wrong:/);
  for (const name of ['TOMEI_GREETING', 'TOMEI_TOKEN', 'TOMEI_NATS_UR:', 'TOMEI_OPS_PORT'])
    expect(example.stderr).toContain(name);
  expect(example.stderr).not.toContain('1234');
});

test('a port that is taken ends it with 1, and says so', async () => {
  const server = (await import('node:http')).createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const example = new Example({ TOMEI_OPS_PORT: String(port), TOMEI_NATS_URL: 'nats://127.0.0.1:1' });

  expect(await example.exit).toBe(1);
  expect(await example.line('the service cannot run')).toMatchObject({
    level: 'fatal',
    code: 'service.cannot-listen',
    why: expect.stringContaining(String(port)) as string,
  });
});

test('a signal while it waits for its servers ends it with 0', async () => {
  const away = await freePort();
  const example = new Example({
    TOMEI_NATS_URL: `nats://user:secret@127.0.0.1:${away}`,
    TOMEI_REDIS_URL: `redis://:secret@127.0.0.1:${away}`,
  });
  await example.line('the message bus cannot be reached; trying again');

  expect(await example.page('/healthz')).toEqual([200, 'ok\n']);
  expect(await example.page('/readyz')).toEqual([503, 'waiting for the message bus and the store\n']);
  example.signal('SIGTERM');

  expect(await example.exit).toBe(0);
  expect(example.stdout).not.toContain('secret');
});

const missing = natsServerMissing() ?? redisServerMissing();
describe.skipIf(missing !== undefined)(missing ?? 'with its servers', () => {
  let nats: NatsServer;
  let redis: RedisServer;
  beforeAll(async () => {
    nats = await startNatsServer();
    redis = await startRedisServer();
    return async () => {
      await nats.close();
      await redis.close();
    };
  });
  const start = (environment: Readonly<Record<string, string>> = {}): Example =>
    new Example({ TOMEI_NATS_URL: nats.url, TOMEI_REDIS_URL: redis.url, ...environment });

  test('it starts, is ready, has metrics, and ends with 0, its last event stored', async () => {
    const example = start({ TOMEI_TOKEN: '7' });
    await example.line('started');

    expect(await example.line('hello')).toMatchObject({
      level: 'info',
      service: 'example',
      greeting: 'hi',
      token: '[secret]',
    });
    expect(await example.page('/readyz')).toEqual([200, 'ready\n']);
    const [, metrics] = await example.page('/metrics');
    expect(metrics).toContain('tomei_example_starts_total{service="example"} 1');
    expect(metrics).toMatch(/^process_cpu_seconds_total\{service="example"\} /m);
    example.signal('SIGTERM');

    expect(await example.exit).toBe(0);
    expect(example.lines.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['starting', 'started', 'closed', 'ended']) as unknown,
    );
    const raw = await connect({ servers: `127.0.0.1:${nats.port}` });
    onTestFinished(() => raw.close());
    const { streams } = await raw.jetstreamManager();
    const last = await streams.getMessage('TOMEI_EVENTS', { last_by_subj: 'tomei.v1.event.>' });
    expect(last.subject).toBe('tomei.v1.event.runner.example.left');
  });

  test('it waits for servers that are away at first, and tells of a server that is lost later', async () => {
    await nats.stop();
    await redis.stop();
    const example = start();
    await example.line('the message bus cannot be reached; trying again');
    await example.line('the store cannot be reached; trying again');
    expect(await example.page('/readyz')).toEqual([503, 'waiting for the message bus and the store\n']);

    await nats.start();
    await expect.poll(() => example.page('/readyz'), SOON).toEqual([503, 'waiting for the store\n']);
    await redis.start();
    await example.line('started');
    expect(await example.page('/readyz')).toEqual([200, 'ready\n']);
    await nats.stop();
    await expect.poll(() => example.page('/readyz'), SOON).toEqual([503, 'waiting for the message bus\n']);
    await nats.start();
    await expect.poll(() => example.page('/readyz'), SOON).toEqual([200, 'ready\n']);

    const away = example.lines.filter(({ msg }) => msg === 'the message bus cannot be reached; trying again');
    expect(away).toHaveLength(2);
  });

  test('a second signal ends it at once', async () => {
    const example = start({ TOMEI_TROUBLE: 'slow-close' });
    await example.line('started');

    example.signal('SIGINT');
    await example.line('closed');
    expect(await example.page('/readyz')).toEqual([503, 'it is ending\n']);
    example.signal('SIGINT');

    expect(await example.exit).toBe(1);
  });

  test.each([
    ['start', { code: 'example.broken', why: 'the example is broken: mend it' }],
    ['bug-in-start', { error: expect.objectContaining({ type: 'TypeError', message: 'a bug' }) as unknown }],
  ])('what goes wrong in %s ends it with 1', async (trouble, fields) => {
    const example = start({ TOMEI_TROUBLE: trouble });

    expect(await example.exit).toBe(1);
    expect(await example.line('the service cannot run')).toMatchObject({ level: 'fatal', ...fields });
  });

  test.each(['uncaught', 'rejection'])(
    'an error that nobody caught (%s) ends it with 1 after closing',
    async (trouble) => {
      const example = start({ TOMEI_TROUBLE: trouble });

      expect(await example.exit).toBe(1);
      expect(await example.line('an error that nobody caught')).toMatchObject({
        level: 'fatal',
        error: { message: 'nobody catches this' },
      });
      await example.line('closed');
    },
  );

  test('a service that cannot close ends with 1, and the rest is closed', async () => {
    const example = start({ TOMEI_TROUBLE: 'close' });
    await example.line('started');

    example.signal('SIGTERM');

    expect(await example.exit).toBe(1);
    expect(await example.line('a part did not end well')).toMatchObject({ what: 'service' });
    await example.line('ended');
  });
});
