/** Machine code that one process makes and another takes over. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { GUEST_V8_FLAGS } from '@tomei/kit';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const use = (path: string, ...names: string[]): string =>
  `const { ${names.join(', ')} } = await import(${JSON.stringify(here(path))});`;
/** (a) -> a + 1. */
const MODULE = [
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0],
  ...[0x0a, 9, 1, 7, 0, 0x20, 0, 0x41, 1, 0x6a, 0x0b],
];
/** What a process with `flags` says about `script`, as JSON. */
const run = (flags: readonly string[], script: string): unknown =>
  JSON.parse(
    execFileSync(
      process.execPath,
      [
        ...flags,
        '--input-type=module',
        '--eval',
        `const bytes = Uint8Array.from(${JSON.stringify(MODULE)}); ${script}`,
      ],
      { encoding: 'utf8' },
    ),
  );

const make = (): string =>
  run(
    GUEST_V8_FLAGS,
    `${use('./machine-code.ts', 'optimizedCode')}
     console.log(JSON.stringify(Buffer.from(optimizedCode(bytes)).toString('base64')));`,
  ) as string;
/** What came of the code in a process with `flags`: taken or not, what f(41) is, and whether it was optimised code from the first call. */
const take = (flags: readonly string[], code: string): unknown =>
  run(
    flags,
    `${use('./machine-code.ts', 'moduleWithCode')}
     const module = moduleWithCode(bytes, Uint8Array.from(Buffer.from(${JSON.stringify(code)}, 'base64')));
     const { f } = new WebAssembly.Instance(module ?? new WebAssembly.Module(bytes)).exports;
     const sum = f(41);
     const optimised = ${flags.includes('--allow-natives-syntax') ? '%IsTurboFanFunction(f)' : 'null'};
     console.log(JSON.stringify({ taken: module !== undefined, sum, optimised }));`,
  );

it('is optimised from the first call, in a process that asks the same of V8', () => {
  const code = make();
  expect(take(GUEST_V8_FLAGS, code)).toEqual({ taken: true, sum: 42, optimised: true });
  expect(take(GUEST_V8_FLAGS, 'AAAA')).toEqual({ taken: false, sum: 42, optimised: false });
});

it('is not taken by a process that asks other things of V8, or has no words for it', () => {
  const code = make();
  expect(take(['--allow-natives-syntax'], code)).toEqual({ taken: false, sum: 42, optimised: false });
  expect(take([], code)).toEqual({ taken: false, sum: 42, optimised: null });
  expect(
    run(
      [],
      `${use('./machine-code.ts', 'optimizedCode')} console.log(JSON.stringify(optimizedCode(bytes) ?? 'none'));`,
    ),
  ).toBe('none');
});

it('can be had of the whole interpreter', () => {
  expect(
    run(
      GUEST_V8_FLAGS,
      `${use('./machine-code.ts', 'optimizedCode', 'moduleWithCode')}
       ${use('../core/interpreter/generate.ts', 'generateInterpreter')} ${use('../core/processor.ts', 'decoder')}
       const { bytes: whole } = generateInterpreter(decoder().table.forms);
       console.log(JSON.stringify(WebAssembly.Module.exports(moduleWithCode(whole, optimizedCode(whole))).map(({ name }) => name)));`,
    ),
  ).toContain('run');
});
