/** Repeated moves and stores in WebAssembly end as those do that go element by element. */
import { expect, it } from 'vitest';
import { DS, EAX, ECX, EDI, EFLAGS, ESI, FS } from '../../isa/build.ts';
import { AT, FLAT, PTE, SELECTOR, TestProcessor, numbers } from '../test-processor.ts';

const DATA = 0x2_0000,
  BYTES = 0x8000;

const PROGRAMS = [
  [0xf3, 0xa4],
  [0xf3, 0x66, 0xa5],
  [0xf3, 0xa5],
  [0xf3, 0x64, 0xa5],
  [0xf3, 0xaa],
  [0xf3, 0x66, 0xab],
  [0xf3, 0xab],
];

function prepare(t: TestProcessor, seed: number): void {
  const random = numbers(seed);
  t.reset();
  for (let i = 0; i < BYTES; i++) t.ram[DATA + i] = random(256);
  t.enablePaging();
  // A page that may not be written, and one that is not there: what comes behind them is a fault in the middle.
  if (random(4) === 0) t.page(DATA + 0x5000, DATA + 0x5000, random(2) === 0 ? PTE.P | PTE.U : 0);
  if (random(2) === 0) t.enterUser();
  // FS is another one, so that DS is not what moves read.
  if (random(2) === 0) t.cpu.setSegment(FS, SELECTOR.data, DATA, 0xfffff, FLAT.userData);
  if (random(6) === 0) t.cpu.eflags = EFLAGS.DF | 2;
  const { cpu } = t;
  cpu.setRegister(EAX, [0, 0x01010101, 0xffff_ffff, 0x1234_1234, 0x1234_5656, random(2 ** 31)][random(6)]!);
  cpu.setRegister(ECX, random(3) === 0 ? random(20) : random(1500));
  cpu.setRegister(ESI, DATA + random(0x6000));
  cpu.setRegister(EDI, random(3) === 0 ? cpu.getRegister(ESI) + random(64) - 32 : DATA + random(0x6000));
  t.put(AT.code, ...PROGRAMS[random(PROGRAMS.length)]!, 0xf4);
}
const stateOf = (t: TestProcessor): unknown => ({
  registers: Array.from({ length: 8 }, (_, n) => t.register(n)),
  eip: t.cpu.get('eip'),
  cr2: t.cpu.get('cr2'),
  instructions: t.processor.instructions,
  work: t.processor.work,
  ds: t.cpu.segment(DS, 'selector'),
});

it('repeated moves and stores between flat segments end as one by one', () => {
  const flat = new TestProcessor(),
    core = new TestProcessor();
  // Whoever looks at each repetition keeps the processor out of its flat modes.
  core.processor.observer = { before: () => {}, delivered: () => {} };
  const { services } = spied(flat);
  for (let seed = 1; seed <= 300; seed++) {
    const [a, b] = [flat, core].map((t) => {
      t.processor.instructions = t.processor.work = 0;
      prepare(t, seed);
      const { reason, exception } = t.run(AT.code, 1_000_000);
      return { seed, reason, exception, state: stateOf(t) };
    });
    expect(a).toEqual(b);
    expect(Buffer.compare(flat.ram.subarray(0, 1 << 18), core.ram.subarray(0, 1 << 18)), `RAM, seed ${seed}`).toBe(0);
  }
  // Whole pages went at once, most of them without the core.
  expect(services.asked).toBeGreaterThan(0);
  expect(services.asked).toBeLessThan(500);
});

/** Counts how often the core is asked where an address lies, which it is twice for each piece that it does itself. */
function spied(t: TestProcessor): { services: { asked: number } } {
  const services = { asked: 0 };
  const { mmu } = t.processor,
    hostOf = mmu.hostOf.bind(mmu);
  mmu.hostOf = (...args) => {
    services.asked++;
    return hostOf(...args);
  };
  return { services };
}
