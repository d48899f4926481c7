/**
 * The kernel that knows VMI on one, two and four processors, with the ROM and without: the same results, which are QEMU's too. With the
 * ROM it starts its processors in states of its own, and tries wrong ones.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { HostClock, InstructionClock, type VmiMode } from '@tomei/paravirt-core';
import { buildKernels, missingCompiler } from './build.ts';
import { qemuRunner, tomei, type KernelRun } from './runners.ts';

const SLOW = 120_000;
const missing = missingCompiler();
let kernel = '';
beforeAll(() => {
  if (missing === undefined) kernel = `${buildKernels()}/vmi-smp.elf`;
});
const ENGINES = [
  ['interpreted', () => new InstructionClock(), undefined],
  ['compiled', () => new HostClock(), { hotLandings: 1 }],
] as const;
const isOfVmi = (line: string): boolean => line.includes('VMI: ');
const withoutVmi = ({ lines, end }: KernelRun): KernelRun => ({ lines: lines.filter((line) => !isOfVmi(line)), end });
/** States that are tried with each kind of page tables. */
const WRONG_STATES = 23;

/** What is the same wherever the kernel runs, for so many processors. */
function expected(processors: number): KernelRun {
  const started = ((1 << processors) - 1).toString(16);
  const times = (n: number): string => ` ${n}`.repeat(processors);
  const round = (name: string): string[] => [
    `ok ${name} started ${started}`,
    `ok ${name} processes ${2 * processors} wrong 0 faults ${16 * processors} everywhere 1`,
    `ok ${name} sysenters ${8 * processors}`,
    `ok ${name} slept on ${processors} timers as often as asked`,
    'ok threads',
    `ok ${name} threads ${processors - 1} counted ${500 * (processors - 1)}`,
    `ok messages${times(processors - 1)} and${times(processors)}`,
  ];
  return { lines: [`ok processors ${processors}`, ...round('plain'), ...round('PAE')], end: 'exit 0' };
}

describe.each([1, 2, 4])('%i processors', (processors) => {
  const wrong = qemuRunner.missing();
  test('of QEMU, without VMI', { timeout: SLOW }, async ({ skip }) => {
    skip(missing !== undefined, missing);
    skip(wrong !== undefined, wrong);
    expect(withoutVmi(await qemuRunner.run(kernel, processors))).toEqual(expected(processors));
  });

  describe.each(ENGINES)('%s', (_, clock, compiling) => {
    const run = async (vmi: VmiMode): Promise<readonly [KernelRun, readonly string[]]> => {
      const troubles: string[] = [];
      const runner = tomei('vmi-smp', clock, compiling, { vmi, trouble: (_device, what) => void troubles.push(what) });
      return [await runner.run(kernel, processors), troubles];
    };
    test('without the ROM', { timeout: SLOW }, async ({ skip }) => {
      skip(missing !== undefined, missing);
      const [found, troubles] = await run('off');
      expect(withoutVmi(found)).toEqual(expected(processors));
      expect(found.lines).toContain('VMI: none');
      expect(troubles).toEqual([]);
    });
    test.for([
      ['measured', 'none 53 call 19 jump 1 nop 1'],
      ['every-call', 'none 1 call 73 jump 0 nop 0'],
    ] as const)('with %s answers', { timeout: SLOW }, async ([vmi, answers], { skip }) => {
      skip(missing !== undefined, missing);
      const [found, troubles] = await run(vmi);

      expect(withoutVmi(found)).toEqual(expected(processors));
      const clocks = ['ok VMI: clocks', 'ok VMI: alarm of one'],
        states = [`VMI: refused states ${WRONG_STATES} of ${WRONG_STATES}`, 'ok VMI: right state', 'ok VMI: registers'];
      const each = processors === 1 ? clocks : [...clocks, ...states];
      expect(found.lines.filter(isOfVmi)).toEqual([
        ...['VMI: version 3.0 init 0', 'ok VMI: ROM is read-only', `VMI: answers ${answers}`, 'ok VMI: unknown call'],
        ...[...each, ...each],
      ]);
      if (processors === 1) return expect(troubles).toEqual([]);
      // By each wrong state: one that shows by itself is refused when it is given, others at both start-up messages.
      const last = processors - 1,
        start = new RegExp(`^starts processor ${last}, and has given it no state|^starts processor ${last} in a state`);
      const refusals = troubles.filter((what) => start.test(what)),
        others = troubles.filter((what) => !start.test(what));
      expect(refusals).toHaveLength(2 * 2 * WRONG_STATES);
      const whole = [
        ...[/without protection/, /without protection/, /virtual-8086/],
        ...[`processor ${processors} in, which there is not`, /processor 255 in/, /processor 4294967295 in/],
        /processor 0 in, which runs/,
      ].map((what) => expect.stringMatching(what) as unknown);
      expect(others).toEqual([...whole, ...whole]);
    });
  });
});
