import { describe, expect, onTestFinished, test } from 'vitest';
import { Metrics } from './metrics.ts';
import { startOpsServer } from './ops.ts';

describe('the pages of a service', () => {
  test('say that it lives, whether it is ready, and what it counts', async () => {
    let waits: string | undefined = 'waiting for the store';
    const metrics = [new Metrics('controller').collectProcess(), new Metrics('runner')];
    for (const one of metrics) {
      one.counter({ name: 'tomei_things_total', help: 'Things.', labelNames: ['kind'] }).inc({ kind: 'a' }, 2);
    }
    const server = await startOpsServer({ host: '127.0.0.1', port: 0, metrics, readiness: () => waits });
    onTestFinished(() => server.close());
    const page = async (path: string): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return [response.status, await response.text()];
    };

    expect(await page('/healthz')).toEqual([200, 'ok\n']);
    expect(await page('/readyz')).toEqual([503, 'waiting for the store\n']);
    waits = undefined;
    expect(await page('/readyz')).toEqual([200, 'ready\n']);
    expect((await page('/none'))[0]).toBe(404);
    const [, text] = await page('/metrics');
    expect(text.match(/# TYPE tomei_things_total/g)).toHaveLength(1);
    expect(text).toContain(
      'tomei_things_total{kind="a",service="controller"} 2\ntomei_things_total{kind="a",service="runner"} 2\n',
    );
    expect(text).toMatch(/^nodejs_version_info\{.*service="controller"\} 1$/m);
  });

  test('are not served where somebody else listens', async () => {
    const options = { host: '127.0.0.1', metrics: [], readiness: (): undefined => undefined };
    const first = await startOpsServer({ ...options, port: 0 });
    onTestFinished(() => first.close());

    await expect(startOpsServer({ ...options, port: first.port })).rejects.toMatchObject({
      code: 'service.cannot-listen',
    });
  });
});
