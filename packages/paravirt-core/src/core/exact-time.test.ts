/** Where time is work, what reaches out of the processor finds the time of its own instruction, and is done once. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EAX, EBX, ECX, EDI, EDX, EXCEPTION } from '../isa/build.ts';
import type { CpuBus } from './cpu.ts';
import { AT, TestProcessor } from './test-processor.ts';

let now = 0;
const t = new TestProcessor({ timekeeper: { worked: (work) => void (now += work) } });
const times: number[] = [];
beforeEach(() => {
  t.reset();
  [now, times.length] = [0, 0];
  t.bus.onAccess = () => void times.push(now);
  t.bus.timestamp = () => now * 2;
});

const NOP = 0x90,
  HLT = 0xf4,
  INC_EBX = 0x43,
  IN_AL_60 = [0xe4, 0x60],
  OUT_60_AL = [0xe6, 0x60],
  RDTSC = [0x0f, 0x31],
  WRMSR = [0x0f, 0x30],
  nops = (n: number): number[] => Array.from({ length: n }, () => NOP);
function run(...program: readonly number[]): void {
  t.put(AT.code, ...program, HLT);
  t.cpu.set('eip', AT.code);
  const from = t.processor.work;
  while (t.processor.run(1000) !== 'halted') if (t.processor.work - from > 10_000) throw new Error('it does not end');
}

describe('the time of', () => {
  it('ports, each access once', () => {
    run(...nops(3), ...IN_AL_60, INC_EBX, ...OUT_60_AL, ...IN_AL_60, INC_EBX);

    expect(times).toEqual([3, 5, 6]);
    expect(t.bus.log).toEqual(['in1 00000060', 'out1 00000060 ff', 'in1 00000060']);
    expect(t.register(EBX)).toBe(2);
  });
  it('the time stamp counter', () => {
    t.cpu.setRegister(EDX, 77);
    run(...nops(5), ...RDTSC, 0x89, 0xc3, ...RDTSC);

    expect([t.register(EBX), t.register(EAX), t.register(EDX)]).toEqual([10, 14, 0]);
  });
  it('the deadline of the timer, which is written once', () => {
    t.bus.writeDeadline = (low) => void times.push(now, low);
    run(...nops(2), 0xb9, 0xe0, 6, 0, 0, ...WRMSR, 0xfe, 0xc0, ...WRMSR);

    expect(times).toEqual([3, 0, 5, 1]);
  });
  it('the time stamp counter, where CR4.TSD forbids it: the fault, and nothing else', () => {
    t.cr4(4).enterUser();
    const { exception } = t.execute(...nops(2), ...RDTSC);

    expect([exception?.vector, exception?.eip, t.register(EAX)]).toEqual([EXCEPTION.GP, AT.code + 2, 0]);
  });
  it('the end of a loop that polls, to the instruction', () => {
    t.bus.answers.set(0x60, 0);
    t.bus.onAccess = () => void (now >= 600 && t.bus.answers.set(0x60, 1));
    run(...IN_AL_60, INC_EBX, 0xa8, 1, 0x74, 0xf9); // until bit 0 is 1: four instructions a turn

    expect(t.register(EBX)).toBe(151);
  });
  it('a port that is read by code of its last byte before the next page, and by code across it', () => {
    for (const at of [0x2ffe, 0x2fff]) {
      [now, times.length] = [0, 0];
      t.put(at, ...IN_AL_60, HLT).put(at - 1, NOP);
      t.cpu.set('halted', 0);
      t.cpu.set('eip', at - 1);
      while (t.processor.run(1000) !== 'halted');

      expect(times).toEqual([1]);
    }
  });
  it('a port whose write changes the code behind it', () => {
    t.bus.onAccess = () => {
      t.put(AT.code + 3, INC_EBX);
    };
    run(NOP, ...OUT_60_AL, NOP, NOP);

    expect(t.register(EBX)).toBe(1);
  });

  /** REP INSW of `count` words, in runs of at most `slice`, beside a board whose alarms are at `alarms`. */
  function words(count: number, slice: number, alarms: readonly number[], most: number) {
    t.reset();
    now = 0;
    const seen: string[] = [];
    let value = 0;
    Object.assign(t.bus, {
      portRead: () => (seen.push(`${now}: ${value}`), value++),
      portReadBlock: (_port: number, width: number, into: Uint8Array): number => {
        const bytes = Math.min(into.length, most) & -width;
        for (let i = 0; i < bytes; i += width) {
          seen.push(`${now + i / width}: ${value}`);
          [into[i], into[i + 1]] = [value & 0xff, value++ >> 8];
        }
        return bytes;
      },
      blockRoom: () => Math.max(0, (alarms.find((at) => at > now) ?? Infinity) - now - 1),
    } satisfies Partial<CpuBus>);
    t.cpu.setRegister(ECX, count);
    t.cpu.setRegister(EDI, AT.data + 0xf00);
    const { processor } = t;
    const [work, instructions] = [processor.work, processor.instructions];
    t.put(AT.code, ...nops(3), 0x66, 0xf3, 0x6d, INC_EBX, HLT);
    const ends: number[] = [];
    for (let how = ''; how !== 'halted';) {
      const left = (alarms.find((at) => at > now) ?? Infinity) - now;
      how = processor.run(Math.min(slice, left), true);
      if (alarms.includes(now) && ends.at(-1) !== now) ends.push(now);
    }
    const ram = t.ram.slice(AT.data + 0xf00, AT.data + 0xf00 + 2 * count);
    return { seen, ends, ram, work: processor.work - work, instructions: processor.instructions - instructions, now };
  }
  it('words that come in blocks, whatever the blocks, the slices and the alarms: as of words one by one', () => {
    for (const alarms of [[], [5], [100, 101, 600]]) {
      const single = words(1000, 1e6, alarms, 0);
      expect([single.work, single.instructions, single.ends]).toEqual([1005, 6, alarms]);
      for (const slice of [1, 7, 300, 1e6]) {
        for (const most of [0, 2, 50, 512, 4096]) expect(words(1000, slice, alarms, most)).toEqual(single);
      }
    }
  });
});
