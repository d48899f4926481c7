/** Flags that compiled code computes only where someone looks are what the interpreter has computed at once. */
import { describe, expect, it } from 'vitest';
import { TestProcessor, le32, numbers } from '../core/test-processor.ts';
import { compilingEngine, type CompilingEngine } from './compiler.ts';

/** Flags are written down here, and data read there, to the page that is missing. */
const NOTES = 0x38000,
  DATA = 0x3a000,
  HOLE = DATA + 4096,
  STRIDE = 0x1c0;
const ESI = 6,
  EDI = 7;

/** Changes flags, or looks at them, in registers EAX to EBX. */
function instruction(below: (n: number) => number): number[] {
  const a = below(4),
    b = below(4),
    count = below(40),
    wide = below(2);
  const pick = (...of: readonly number[]): number => of[below(of.length)]!;
  switch (below(14)) {
    case 0:
      return [below(8) * 8 + wide, 0xc0 | (a << 3) | b];
    case 1:
      return [0x66, below(8) * 8 + 1, 0xc0 | (a << 3) | b];
    case 2:
      return [0x40 + 8 * wide + a];
    case 3:
    case 4:
      // rol, ror, rcl, rcr, shl, shr, sar by a number, now and then of 16 bits.
      return [...(below(4) === 0 ? [0x66] : []), 0xc0 + wide, 0xc0 | (pick(0, 1, 2, 3, 4, 5, 7) << 3) | a, count];
    case 5:
      return [0xd0 + 2 * below(2) + wide, 0xc0 | (pick(0, 1, 4, 5, 7) << 3) | a];
    case 6:
      return [pick(0xf5, 0xf8, 0xf9)];
    case 7:
      // bt, bts, btr, btc a, n.
      return [0x0f, 0xba, 0xc0 | (pick(4, 5, 6, 7) << 3) | a, count];
    case 8:
      return wide === 1 ? [0x0f, 0xaf, 0xc0 | (a << 3) | b] : [0xf6 + below(2), 0xc0 | (pick(3, 4, 5) << 3) | a];
    case 9:
      return [0x0f, pick(0xa4, 0xac), 0xc0 | (a << 3) | b, count];
    case 10:
      return [0x0f, 0x90 + below(16), 0xc0 | below(8)];
    case 11:
      // mov a, [esi]: where there is nothing, flags come out with the fault.
      return [0x8b, (a << 3) | ESI];
    case 12:
      // pushf; pop [edi]; lea edi, [edi + 4].
      return [0x9c, 0x8f, EDI, 0x8d, 0x7f, 0x04];
    default:
      return [0x0f, pick(0xbc, 0xbd, 0xa3, 0xc1), 0xc0 | (a << 3) | b];
  }
}
/** Goes over and over the same instructions, and some branches over others of them, until there is nothing at ESI. */
function program(seed: number): number[] {
  const below = numbers(seed);
  const body: number[] = [];
  for (let i = 4 + below(10); i > 0; i--) {
    const skipped = Array.from({ length: 1 + below(3) }, () => instruction(below)).flat();
    if (below(3) === 0) body.push(0x70 + below(16), skipped.length);
    body.push(...skipped);
  }
  // lea esi, [esi + STRIDE]; mov edx, [esi]; and back.
  body.push(0x8d, 0xb6, ...le32(STRIDE), 0x8b, 0x16);
  body.push(0xe9, ...le32(-(body.length + 5)));
  return [0xbe, ...le32(DATA), 0xbf, ...le32(NOTES), ...body];
}
function play(t: TestProcessor, seed: number): unknown {
  t.reset();
  t.enablePaging().page(HOLE, HOLE, 0);
  const below = numbers(~seed);
  for (let at = NOTES; at < HOLE; at += 4) t.view.setUint32(at, at < DATA ? 0 : below(2 ** 32), true);
  for (let n = 0; n < 4; n++) t.cpu.setRegister(n, below(2 ** 32));
  const { exception } = t.execute(...program(seed));
  return {
    exception,
    flags: t.cpu.eflags,
    registers: [0, 1, 2, 3, ESI, EDI].map((n) => t.register(n)),
    notes: new Uint32Array(t.ram.slice(NOTES, t.register(EDI)).buffer),
  };
}

describe('flags of random programs', () => {
  const interpreter = new TestProcessor();
  let engine: CompilingEngine | undefined;
  const compiled = new TestProcessor({
    engine: (parts) => (engine = compilingEngine(parts, { hotLandings: 2, hotEntries: 1 })),
  });

  it('are the same, where they are looked at and where a fault comes out', () => {
    for (let seed = 1; seed <= 150; seed++) {
      const plain = play(interpreter, seed);
      expect(play(compiled, seed), `seed ${seed}`).toEqual(plain);
      expect(plain).toMatchObject({ exception: { vector: 14 } });
    }
    expect(engine!.counts.regions).toBeGreaterThan(120);
  });
});
