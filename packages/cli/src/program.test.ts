import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { EXIT } from '@tomei/kit';
import type { DisasmOptions } from './commands/disasm.ts';
import type { RunOptions } from './commands/run.ts';
import { runProgram } from './program.ts';

/** The program with a machine that only remembers what it was asked for, and what it printed. */
const start = async (...args: string[]) => {
  const runs: RunOptions[] = [];
  const disassembled: DisasmOptions[] = [];
  const code = await runProgram(args, {
    runGuest: (options) => Promise.resolve(runs.push(options) * 0),
    disassemble: (options) => Promise.resolve([`${disassembled.push(options)}`]),
  });
  return { code, runs, disassembled, out: printed.out, err: printed.err };
};
let printed = { out: '', err: '' };
beforeEach(() => {
  printed = { out: '', err: '' };
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((printed.out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((printed.err += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

describe('tomei', () => {
  test('--help teaches with examples and exit codes', async () => {
    const { code, out } = await start('--help');

    expect(code).toBe(EXIT.ok);
    expect(out).toContain('tomei guest build tiny');
    expect(out).toContain('Exit codes');
  });

  test.each([
    ['nope'],
    ['run'],
    ['run', 'x', '--nope'],
    ['run', 'x', '--timeout', '-1'],
    ['run', 'x', '--engine', 'fast'],
    ['disasm'],
    ['guest', 'build'],
    ['power', 'up', 'tiny'],
    ['power', 'on'],
    ['memory'],
    ['memory', 'tiny', '512'],
    ['memory', 'tiny', '512M', '--timeout', '0'],
    ['console', 'tiny', '--serial', '4'],
    ['lab', '--port', '70000'],
    ['events', '--limit', '0'],
    ['list', '--server', 'nowhere'],
    ['top', '--interval', '0'],
    ['top', '--sort', 'colour'],
  ])('wrong usage is one line, a hint, and exit code 2: %s %s %s %s', async (...args) => {
    const { code, err } = await start(...args.filter((arg) => arg !== undefined));

    expect(code).toBe(EXIT.usage);
    expect(err).toMatch(/^tomei: /);
  });
});

describe('tomei run', () => {
  test('keeps the order of --expect and --send', async () => {
    const { runs, code } = await start('run', 'a.vmx', '--expect', 'login:', '--send', 'root\\n', '--expect', '# ');

    expect(code).toBe(EXIT.ok);
    expect(runs).toHaveLength(1);
    expect(runs[0]!.steps.map((step) => step.kind)).toEqual(['expect', 'send', 'expect']);
  });

  test('has its options in units of the program', async () => {
    const { runs } = await start('run', 'a.vmx', '--timeout', '1.5', '--stats', '--screenshot', 'x.png');

    expect(runs).toEqual([
      {
        vmx: 'a.vmx',
        steps: [],
        timeoutMs: 1500,
        clock: 'host',
        gdbWait: false,
        screenshot: 'x.png',
        stats: true,
        json: false,
      },
    ]);
  });
  test('knows debugger, trace and recordings, and refuses what does not go together', async () => {
    const { runs } = await start(
      ...['run', 'a.vmx', '--gdb', '1234', '--gdb-wait', '--clock', 'virtual'],
      ...['--trace', 't.txt', '--trace-from', 'start_kernel', '--trace-count', '5', '--trace-symbols', 'System.map'],
    );
    expect(runs).toMatchObject([
      {
        ...{ gdb: '1234', gdbWait: true, clock: 'virtual' },
        ...{ trace: 't.txt', traceFrom: 'start_kernel', traceCount: 5, traceSymbols: 'System.map' },
      },
    ]);
    for (const bad of [
      ['--replay', 'a', '--record', 'b'],
      ['--record', 'a', '--gdb', '1'],
      ['--clock', 'sun'],
      ['--trace-count', '0'],
    ])
      expect((await start('run', 'a.vmx', ...bad)).code, bad.join(' ')).toBe(EXIT.usage);
  });

  test('a pattern that is none is wrong usage', async () => {
    const { code, err } = await start('run', 'a.vmx', '--expect', '(');

    expect(code).toBe(EXIT.usage);
    expect(err).toMatch(/--expect "\("/);
  });
});

describe('tomei disasm', () => {
  test('takes code in hexadecimal, an address and a size', async () => {
    const { disassembled } = await start('disasm', '--hex', '89 d8c3', '--address', '0x7c00', '--bits', '16');

    expect(disassembled).toEqual([{ code: Uint8Array.of(0x89, 0xd8, 0xc3), address: 0x7c00, bits: 16 }]);
  });

  test.each([
    ['--hex', '8'],
    ['--hex', 'zz'],
    ['--hex', '90', '--bits', '64'],
    ['--hex', '90', '--address', '0x100000000'],
  ])('refuses %s %s %s %s', async (...args) => {
    expect((await start('disasm', ...args)).code).toBe(EXIT.usage);
  });

  test('a file that is not there is bad input', async () => {
    const { code, err } = await start('disasm', '/nowhere/x');

    expect(code).toBe(EXIT.badInput);
    expect(err).toBe('tomei: /nowhere/x does not exist\n');
  });
});

describe('tomei vmx check', () => {
  test('a file that is not there: one line for the finding, one for the whole, exit code 3', async () => {
    const { code, out } = await start('vmx', 'check', '/nowhere/a.vmx');

    expect(code).toBe(EXIT.badInput);
    expect(out).toMatch(/^error: .*\n.*no guest can start from it\n$/);
  });
});

describe('tomei disk', () => {
  test('check of a file that is no disk: exit code 3', async () => {
    expect((await start('disk', 'check', import.meta.filename)).code).toBe(EXIT.badInput);
  });

  test('info of a file that is no disk: one line, exit code 3', async () => {
    const { code, err } = await start('disk', 'info', import.meta.filename);

    expect(code).toBe(EXIT.badInput);
    expect(err).toMatch(/^tomei: .*program\.test\.ts.*\n$/);
  });
});
