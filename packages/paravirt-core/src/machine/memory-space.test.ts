import { describe, expect, it } from 'vitest';
import { seededRandom } from './battery.ts';
import type { MemoryClaim, Width } from './device.ts';
import { MemorySpace } from './memory-space.ts';

function registers(base: number, size: number, tag: number, unit?: Width): MemoryClaim {
  return {
    base,
    size,
    ...(unit === undefined ? {} : { unit }),
    read: (_offset, width) => Number.parseInt(tag.toString(16).padStart(2, '0').repeat(width), 16),
    write: () => undefined,
  };
}

describe('MemorySpace', () => {
  it('finds claims at both of their ends and nothing beside them', () => {
    const space = new MemorySpace();
    space.claim('lapic', registers(0xfee0_0000, 0x1000, 0x11));
    space.claim('ioapic', registers(0xfec0_0000, 0x1000, 0x22));

    expect(space.read(0xfee0_0000, 4)).toBe(0x11111111);
    expect(space.read(0xfec0_0ffc, 4)).toBe(0x22222222);
    expect(space.read(0xfec0_0ffe, 4)).toBe(0xffff2222);
    expect(space.read(0xfec0_1000, 2)).toBe(0xffff);
    expect(space.isClaimed(0xfedf_ffff)).toBe(false);
    expect(space.ranges()).toEqual([
      { owner: 'ioapic', base: 0xfec0_0000, size: 0x1000 },
      { owner: 'lapic', base: 0xfee0_0000, size: 0x1000 },
    ]);
  });

  it('tells of every change of the map and of unclaimed accesses', () => {
    let changes = 0;
    const seen: string[] = [];
    const space = new MemorySpace(
      (kind, address, width) => seen.push(`${kind} ${address.toString(16)} ${width}`),
      () => changes++,
    );

    space.claim('bar', registers(0xe000_0000, 0x1000, 1), 0).release();
    space.write(0xe000_0000, 4, 1);
    expect(changes).toBe(2);
    expect(seen).toEqual(['write e0000000 4']);
  });

  it('refuses two fixed claims on one address', () => {
    const space = new MemorySpace();
    space.claim('first', registers(0x1000, 0x1000, 0));

    expect(() => space.claim('second', registers(0x1fff, 2, 0))).toThrow(
      expect.objectContaining({ code: 'memory.claimed' }),
    );
    expect(() => space.claim('third', registers(-1, 2, 0))).toThrow(
      expect.objectContaining({ code: 'memory.out-of-range' }),
    );
  });

  it('answers like a plain scan over any set of movable claims', () => {
    const random = seededRandom(4);
    for (let round = 0; round < 50; round++) {
      const space = new MemorySpace();
      const claims = Array.from({ length: 1 + random.next(8) }, (_, i) =>
        registers(random.next(64), 1 + random.next(32), i + 1, 1),
      );
      const held = claims.map((claim) => space.claim(`c${claim.base}`, claim, 0));
      const gone = random.next(claims.length);
      held[gone]!.release();
      const left = claims.filter((_, i) => i !== gone);

      for (let address = 0; address < 100; address++) {
        const holder = left.find((c) => address >= c.base && address < c.base + c.size);
        expect(space.read(address, 1)).toBe(holder?.read(0, 1) ?? 0xff);
      }
    }
  });
});
