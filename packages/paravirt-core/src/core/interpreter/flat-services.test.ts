/** What is done in WebAssembly between flat segments is what the core does: states at random, each by both ways. */
import { describe, expect, it } from 'vitest';
import { DS, ECX, EDX, EFLAGS, ES, ESP, FS, GS } from '../../isa/build.ts';
import { OFFSET, type FieldName } from '../layout.ts';
import { AT, FLAT, SELECTOR, TestProcessor, le32, numbers } from '../test-processor.ts';

const VECTOR = 0x50,
  BASE = 0x6000,
  TARGETS = 0x3000;
/** Descriptors as systems have them, by attributes; each may have a bit changed. */
const KINDS = [0xc09b, 0xc093, 0xc0fb, 0xc0f3, 0xc0f3, 0x4093, 0x40f2, 0xc091, 0xc09f, 0xc097, 0x89, 0x00];
const GATES = [0xee, 0xef, 0x8e, 0x8f, 0xee, 0x8e, 0xe6, 0x87, 0x0e, 0xec];
const FLAGS = [
  0,
  0,
  0,
  0,
  0,
  0,
  EFLAGS.IF,
  EFLAGS.IF,
  EFLAGS.DF,
  EFLAGS.ID,
  EFLAGS.AC,
  EFLAGS.NT,
  EFLAGS.IOPL,
  EFLAGS.RF,
  EFLAGS.TF,
  EFLAGS.VIF,
];
type Random = ReturnType<typeof numbers>;
const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)]!;
const flagsOf = (random: Random): number => 2 | pick(random, FLAGS) | pick(random, FLAGS) | (random(0x1000) & 0x8d5);

/** Puts a processor into a state and gives what it is to execute; the same for the same numbers. */
function prepare(t: TestProcessor, random: Random): void {
  t.reset();
  const user = random(2) === 1;
  // Everything that does not lead elsewhere halts, or faults into a handler that does.
  t.ram.fill(0xf4, AT.code, 0x4000);
  for (let selector = 8; selector < 0x80; selector += 8) {
    if (selector === 0x28 || (selector < 0x28 && random(8) > 0)) continue;
    const attributes = pick(random, KINDS) ^ (random(3) === 0 ? 1 << random(16) : 0);
    const whole = random(3) > 0;
    t.descriptor(
      selector,
      whole ? 0 : pick(random, [1, 0x123456, 0x9000_0000]),
      whole ? 0xfffff : random(0x100000),
      attributes,
    );
  }
  if (random(6) === 0) t.cpu.set('gdtLimit', random(0x80));
  const selector = random(3) > 0 ? 8 : random(0x80);
  t.gate(VECTOR, TARGETS, pick(random, GATES), selector);
  if (random(8) === 0) t.cpu.set('idtLimit', VECTOR * 8 + random(8));
  if (random(4) === 0) t.view.setUint16(AT.tss + 8, random(0x80), true);
  if (random(4) === 0) t.view.setUint32(AT.tss + 4, AT.innerStack + random(40) - 20, true);
  t.enablePaging();
  if (user) t.enterUser();
  else if (random(2) === 0) {
    // As systems have them that load data segments once for both privileges.
    for (const n of [ES, DS, FS, GS]) t.cpu.setSegment(n, SELECTOR.userData, 0, 0xffffffff, FLAT.userData);
  }
  t.cpu.eflags = flagsOf(random) & ~EFLAGS.TF & ~(user ? 0 : EFLAGS.NT);
  t.cpu.refreshMode();
  t.cpu.set('sysenterCs', pick(random, [8, 8, 9, 0, 3, 0xfff8]));
  t.cpu.set('sysenterEsp', AT.innerStack);
  t.cpu.set('sysenterEip', TARGETS + 0x100);
  t.cpu.setRegister(EDX, TARGETS + 0x200);
  t.cpu.setRegister(ECX, AT.stack - 64);
  const esp = BASE + (random(6) === 0 ? 0x1000 - random(32) : 0x800);
  t.cpu.setRegister(ESP, esp);
  const sel = (): number => (random(2) === 0 ? pick(random, [0x08, 0x10, 0x1b, 0x23, 0]) : random(0x80));
  // What IRET may find there.
  const outward = random(2) === 0;
  [
    TARGETS + 0x300 + random(64),
    outward ? pick(random, [0x1b, 0x1b, sel()]) : pick(random, [0x08, 0x08, sel()]),
    flagsOf(random),
    AT.stack - 128,
    outward ? pick(random, [0x23, 0x23, sel()]) : sel(),
  ].forEach((word, i) => t.view.setUint32(esp + i * 4, word, true));
  if (random(3) > 0) {
    // The TLB knows all pages, as after a while.
    for (let page = 0; page < 0x20000; page += 0x1000) {
      t.processor.mmu.readLinear(page, 4, false);
      if (page !== AT.code && page !== TARGETS) t.processor.mmu.writeLinear(page, 4, t.u32(page), false);
    }
  }
  const to = (register: number): number[] => [0x66, 0xb8, sel(), 0, 0x8e, 0xc0 | (register << 3)];
  const program = pick(random, [
    to(pick(random, [0, 3, 4, 5])),
    [...to(4), ...to(5), ...to(0)],
    [0x68, ...le32(sel()), 0x0f, 0xa1],
    [0x68, ...le32(sel()), 0x1f],
    [...to(4), ...to(3), 0x0f, 0x34],
    [...to(5), 0x0f, 0x34],
    [0x0f, 0x35],
    ...(user ? [] : [[0xcf], [0xcf], [0xcf], [0xcf], [0xcf]]),
    [0xcf],
    [...to(4), 0xcf],
    [0xcd, VECTOR],
    [...to(5), 0xcd, VECTOR],
    [0x0f, 0x0b],
    [0xcd, VECTOR + 1],
  ]);
  t.put(AT.code, ...program, 0xf4);
}

/** Not the guest's: how far a run was, where its code lies, what stands for segments. */
const INTERNAL = new Set<FieldName>([
  'pageEip',
  'pageMap',
  'exit',
  'pollBudget',
  'instructionsLeft',
  'instructionsReturned',
  'compiledMode',
  'tlb',
  'codeTlb',
  'scratch',
  'address16',
  // Some fields of a processor at rest say nothing.
  'faultVector',
  'faultCode',
]);
const names = (Object.keys(OFFSET) as FieldName[]).filter((name) => !INTERNAL.has(name));
const sizes = new Map<FieldName, number>();
{
  const all = Object.entries(OFFSET).sort(([, a], [, b]) => a - b) as [FieldName, number][];
  all.forEach(([name, at], i) => sizes.set(name, (all[i + 1]?.[1] ?? at + 128) - at));
}
const stateOf = ({ cpu }: TestProcessor): Record<string, string> =>
  Object.fromEntries(
    names.map((name) => {
      const first = cpu.base + OFFSET[name];
      return [name, Buffer.from(cpu.u8.slice(first, first + sizes.get(name)!)).toString('hex')];
    }),
  );

describe('services between flat segments', () => {
  it('leave each state as the core does', () => {
    const flat = new TestProcessor(),
      core = new TestProcessor();
    // Whoever looks at each instruction keeps the processor out of its flat modes.
    core.processor.observer = { before: () => {}, delivered: () => {} };
    const counts = { load: 0, enterSystem: 0, exitSystem: 0, returnInterrupt: 0, deliver: 0 };
    const count = (t: TestProcessor, by: number): void => {
      const { segments, transfers } = t.processor;
      for (const name of ['enterSystem', 'exitSystem', 'returnInterrupt'] as const) {
        const original = transfers[name].bind(transfers) as (size: number) => void;
        transfers[name] = (size?: number) => {
          counts[name] += by;
          original(size ?? 0);
        };
      }
      const load = segments.load.bind(segments);
      segments.load = (index, selector) => {
        counts.load += by;
        load(index, selector);
      };
    };
    count(flat, -1);
    count(core, 1);
    const { delivery } = flat.processor.transfers,
      deliver = delivery.flat;
    delivery.flat = (...args) => {
      const how = deliver(...args);
      counts.deliver += how;
      return how;
    };
    for (let seed = 1; seed <= 1200; seed++) {
      const ends = [flat, core].map((t) => {
        prepare(t, numbers(seed));
        return t.run(AT.code, 40).reason;
      });
      const [a, b] = [stateOf(flat), stateOf(core)];
      // A guest that goes on for ever is somewhere else after some work by one way than by the other.
      if (ends[0] === 'budget' && ends[1] === 'budget') continue;
      expect({ seed, end: ends[0], ...a }).toEqual({ seed, end: ends[1], ...b });
      expect(Buffer.compare(flat.ram.subarray(0, 1 << 18), core.ram.subarray(0, 1 << 18)), `RAM, seed ${seed}`).toBe(0);
    }
    // Each of them was in use.
    for (const [name, times] of Object.entries(counts)) expect([name, times > 10]).toEqual([name, true]);
  });

  it('deliver what waits at STI, though the instruction behind that is done by itself', () => {
    const t = new TestProcessor(),
      { delivery } = t.processor.transfers,
      deliver = delivery.flat,
      answers: number[] = [];
    delivery.flat = (...args) => {
      answers.push(deliver(...args));
      return answers.at(-1)!;
    };
    t.enablePaging();
    t.gate(VECTOR, TARGETS).put(TARGETS, 0xf4);
    // CLI, STI, NOP
    t.put(AT.code, 0xfa, 0xfb, 0x90);
    // What delivering reaches has been reached before: tables, and the stack.
    for (const linear of [AT.idt + VECTOR * 8, AT.gdt + 8]) t.processor.mmu.translate(linear, false, false);
    t.processor.mmu.translate(t.cpu.getRegister(ESP) - 4, true, false);
    t.cpu.eflags = 2;
    t.bus.vectors.push(VECTOR);
    t.processor.setInterruptRequest(true);

    t.run(AT.code);

    expect([answers, t.cpu.get('eip')]).toEqual([[1], TARGETS + 1]);
  });
});
