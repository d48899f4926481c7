import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commonConfig } from './common-config.ts';
import { defineConfig, field, settings, type Environment } from './config.ts';

const config = defineConfig({
  pool: field('TOMEI_POOL', settings.text(), { doc: 'Folder of images.' }),
  memoryMib: field('TOMEI_MEMORY_MIB', settings.whole({ min: 16, max: 4096 }), { doc: 'Memory.', default: 512 }),
  bind: field('TOMEI_BIND', settings.address(), { doc: 'Where it listens.', default: '0.0.0.0:0' }),
  advertise: field('TOMEI_ADVERTISE', settings.text(), { doc: 'Its name.', default: undefined }),
  token: field('TOMEI_TOKEN', settings.text(), { doc: 'What a caller must know.', default: undefined, secret: true }),
  isQuiet: field('TOMEI_QUIET', settings.flag(), { doc: 'Says less | or more.', default: false }),
});
/** What is said to be wrong, a line each. */
function problems(environment: Environment): readonly string[] {
  try {
    config.load(environment);
    return [];
  } catch (error) {
    expect(error).toMatchObject({ code: 'config.bad' });
    return (error as { data: { problems: string[] } }).data.problems;
  }
}

describe('a configuration', () => {
  test('has the values of the environment, and its own where there are none', () => {
    const environment = { PATH: '/bin', TOMEI_POOL: '/pool', TOMEI_QUIET: 'true', TOMEI_MEMORY_MIB: '' };

    const loaded = config.load(environment);

    expect(loaded).toEqual({
      pool: '/pool',
      memoryMib: 512,
      bind: '0.0.0.0:0',
      advertise: undefined,
      token: undefined,
      isQuiet: true,
    });
    // The types follow from the schemas.
    const text: string = loaded.pool;
    const number: number = loaded.memoryMib;
    const optional: string | undefined = loaded.advertise;
    expect([text, number, optional]).toEqual(['/pool', 512, undefined]);
  });

  test('says all that is wrong at once', () => {
    expect(
      problems({
        TOMEI_POOLS: '/pool',
        TOMEI_MEMORY_MIB: '8',
        TOMEI_BIND: 'nonsense',
        TOMEI_QUIET: 'yes',
        TOMEI_SOMETHING_ELSE: '1',
      }),
    ).toEqual([
      'TOMEI_POOLS: nothing has this name; is TOMEI_POOL meant?',
      'TOMEI_SOMETHING_ELSE: nothing has this name',
      'TOMEI_POOL: it must be set. Folder of images.',
      'TOMEI_MEMORY_MIB: "8": less than 16',
      'TOMEI_BIND: "nonsense": neither host:port nor unix:/path',
      'TOMEI_QUIET: "yes": neither true nor false',
    ]);
  });

  test('never shows a secret', () => {
    const secret = defineConfig({
      digit: field('TOMEI_DIGIT', settings.whole({ max: 9 }), { doc: 'One digit.', secret: true }),
    });

    expect(() => secret.load({ TOMEI_DIGIT: 'hunter2' })).toThrow(
      /^the configuration is wrong:\n {2}TOMEI_DIGIT: its value is not acceptable \(it is secret and not shown\)\. One digit\.$/,
    );
  });

  test('with one name twice is a bug', () => {
    const one = field('TOMEI_A', settings.text(), { doc: 'A.' });

    expect(() => defineConfig({ a: one, b: one })).toThrow(/one name/);
  });

  test('of any environment is loaded or refused', () => {
    const name = fc.constantFrom('TOMEI_POOL', 'TOMEI_MEMORY_MIB', 'TOMEI_BIND', 'TOMEI_QUIET', 'TOMEI_X', 'X');
    fc.assert(
      fc.property(fc.dictionary(name, fc.string({ unit: 'binary' })), (environment) => {
        const wrong = problems(environment);
        if (wrong.length > 0) return;
        const { memoryMib, bind } = config.load(environment);
        expect(memoryMib >= 16 && memoryMib <= 4096).toBe(true);
        expect(bind).toMatch(/:/);
      }),
    );
  });

  test('says what can be set', () => {
    expect(config.help()).toContain('  TOMEI_POOL\n      Folder of images. (required)\n');
    expect(config.help()).toContain('  TOMEI_MEMORY_MIB\n      Memory. (default: 512)\n');
    expect(config.help()).toContain('  TOMEI_ADVERTISE\n      Its name. (optional)\n');
  });

  test('is a table for the documentation', () => {
    expect(config.table().split('\n')).toEqual([
      '| variable | meaning | when it is not set |',
      '| --- | --- | --- |',
      '| `TOMEI_POOL` | Folder of images. | it must be set |',
      '| `TOMEI_MEMORY_MIB` | Memory. | `512` |',
      '| `TOMEI_BIND` | Where it listens. | `0.0.0.0:0` |',
      '| `TOMEI_ADVERTISE` | Its name. |  |',
      '| `TOMEI_TOKEN` | What a caller must know. |  |',
      '| `TOMEI_QUIET` | Says less \\| or more. | `false` |',
    ]);
  });
});

describe('a setting', () => {
  const accepts = (
    schema: ReturnType<(typeof settings)['text']> | ReturnType<(typeof settings)['port']>,
    text: string,
  ) => schema.safeParse(text).success;

  test.each(['host:1', '127.0.0.1:0', '[::1]:80', 'unix:/run/x.sock'])('%s is an address', (text) => {
    expect(accepts(settings.address(), text)).toBe(true);
  });
  test.each(['host', ':1', 'host:', 'unix:x', 'http://host:1', 'a b:1', 'host:123456'])('%s is none', (text) => {
    expect(accepts(settings.address(), text)).toBe(false);
  });
  test.each(['1.5', '0x10', '1e3', ' 1', '--1', '65536', '-1', '99999999999999999999'])('%s is no port', (text) => {
    expect(accepts(settings.port(), text)).toBe(false);
  });
  test.each(['nats://a', 'tls://a:1,nats://u:p@b'])('%s is a URL of NATS', (text) => {
    expect(commonConfig.load({ TOMEI_NATS_URL: text }).natsUrl).toBe(text);
  });
  test.each(['a:4222', 'http://a', 'nats://a,', 'nats://a,http://b'])('%s is none', (text) => {
    expect(() => commonConfig.load({ TOMEI_NATS_URL: text })).toThrow(/TOMEI_NATS_URL/);
  });
});
