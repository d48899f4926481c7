import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../machine/battery.ts';
import { RamWindow } from '../../machine/guest-memory.ts';
import { DESC_INDIRECT, DESC_NEXT, DESC_WRITE, PackedGuestQueue, type Buffer } from './guest-queue.ts';
import { Virtqueue } from './queue.ts';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_RING_PACKED,
  queueState,
  type QueueFault,
  type Chain,
} from './queue-state.ts';

const MAX_SIZE = 16;
const RAM_BYTES = 0x1_0000;
const RING = 0x1000;
const TABLE = 0x4000;
const ALL = [VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX];

class Fixture {
  readonly written: { address: number; length: number }[] = [];
  readonly memory = new RamWindow(new Uint8Array(RAM_BYTES), (address, length) => {
    this.written.push({ address, length });
  });
  readonly state = queueState(MAX_SIZE).initial();
  readonly driver: PackedGuestQueue;
  readonly queue: Virtqueue;
  readonly faults: QueueFault[] = [];

  constructor(size = 8, features: readonly number[] = [VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC]) {
    const driver = (this.driver = new PackedGuestQueue(this.memory, size, RING));
    const places = { descLow: driver.desc, driverLow: driver.driver, deviceLow: driver.device };
    Object.assign(this.state, { size, enabled: true, ...places });
    this.queue = new Virtqueue({
      state: () => this.state,
      maxSize: MAX_SIZE,
      memory: this.memory,
      accepted: (feature) => features.includes(feature),
      broken: (fault) => this.faults.push(fault),
    });
  }
}
const readable = (address: number, length: number): Buffer => ({ address, length });
const writable = (address: number, length: number): Buffer => ({ address, length, writable: true });

describe('a packed queue', () => {
  it('takes readable then writable buffers in order, leaves out empty ones, and counts their descriptors', () => {
    const f = new Fixture();
    const id = f.driver.add([readable(0x5000, 16), readable(0x6000, 0), writable(0x6100, 512), writable(0x7000, 1)]);

    const chain = f.queue.pop();

    expect(chain).toEqual({
      id,
      slots: 4,
      readable: [{ address: 0x5000, length: 16 }],
      writable: [
        { address: 0x6100, length: 512 },
        { address: 0x7000, length: 1 },
      ],
    });
    expect(f.queue.pop()).toBeUndefined();
    expect(f.state.fault).toBe('none');
  });

  it('takes an indirect table for one descriptor', () => {
    const f = new Fixture();
    const id = f.driver.add([readable(0x5000, 16), writable(0x6000, 8)], TABLE);

    expect(f.queue.pop()).toMatchObject({ id, slots: 1, readable: [{ length: 16 }], writable: [{ length: 8 }] });
  });

  it('gives chains back in any order, over many laps, in rings of any size', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), buffers: fc.nat(4), indirect: fc.boolean() }),
      fc.record({ do: fc.constant('push' as const), which: fc.nat(99), written: fc.nat(600) }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_SIZE }), fc.array(step, { maxLength: 200 }), (size, steps) => {
        const f = new Fixture(size);
        let room = size;
        const out: Chain[] = [];
        for (const now of steps) {
          if (now.do === 'add') {
            const buffers = Array.from({ length: now.buffers + 1 }, (_, i) => readable(0x5000 + 0x100 * i, i + 1));
            const slots = now.indirect ? 1 : buffers.length;
            if (slots > room) continue;
            const id = f.driver.add(buffers, now.indirect ? TABLE : undefined);
            const chain = f.queue.pop()!;
            expect(chain).toEqual({ id, slots, readable: buffers, writable: [] });
            room -= slots;
            out.push(chain);
          } else if (out.length > 0) {
            const [chain] = out.splice(now.which % out.length, 1);
            f.queue.push(chain!, now.written);
            expect(f.driver.collect()).toEqual([{ id: chain!.id, length: now.written }]);
            room += chain!.slots;
          }
        }
        expect(f.queue.pop()).toBeUndefined();
        expect(f.faults).toEqual([]);
      }),
      { seed: 20_061, numRuns: 200 },
    );
  });

  it('says by its event structure which descriptor it waits for', () => {
    const f = new Fixture(4, ALL);
    const seen = [];
    for (let i = 0; i < 6; i++) {
      f.driver.add([readable(0x5000, 1)]);
      f.queue.push(f.queue.pop()!, 0);
      expect(f.queue.pop()).toBeUndefined();
      seen.push(f.driver.deviceEvent);
      f.driver.collect();
    }

    expect(seen.map(({ index, wrap }) => [index, wrap])).toEqual([
      [1, true],
      [2, true],
      [3, true],
      [0, false],
      [1, false],
      [2, false],
    ]);
    expect(new Set(seen.map(({ flags }) => flags))).toEqual(new Set([2]));
  });

  it('leaves the wish of its driver for all notifications alone where event indexes were not negotiated', () => {
    const f = new Fixture();

    expect(f.queue.pop()).toBeUndefined();
    expect(f.written).toEqual([]);
  });
});

describe('interrupts of a packed queue', () => {
  /** Uses `count` single descriptors and asks once. */
  const use = (f: Fixture, count: number): boolean => {
    for (let i = 0; i < count; i++) {
      f.driver.add([readable(0x5000, 1)]);
      f.queue.push(f.queue.pop()!, 0);
      f.driver.collect();
    }
    return f.queue.takeInterrupt();
  };

  it('follow the flags', () => {
    const f = new Fixture();
    const wanted = [use(f, 1), use(f, 0)];
    f.driver.wantInterrupts(1);

    expect([...wanted, use(f, 1)]).toEqual([true, false, false]);
  });

  it.each([
    [0, 1, 0, true, true],
    [0, 1, 1, true, false],
    [0, 3, 2, true, true],
    [0, 3, 3, true, false],
    [3, 1, 2, true, false],
    [3, 1, 3, true, true],
    [3, 1, 3, false, false],
    [3, 2, 0, false, true],
    [3, 2, 0, true, false],
    [6, 1, 2, false, true],
    [7, 3, 0, true, true],
    [7, 3, 2, true, false],
  ])(
    'with event indexes in a ring of 4, from %i on %i used, wish for %i (wrap %s): %s',
    (before, count, index, wrap, wanted) => {
      const f = new Fixture(4, ALL);
      use(f, before);
      f.driver.wantInterrupts(2, { index, wrap });

      expect(use(f, count)).toBe(wanted);
    },
  );

  it('stop at a wish for a descriptor beyond the ring', () => {
    const f = new Fixture(4, ALL);
    f.driver.wantInterrupts(2, { index: 4, wrap: true });

    expect([use(f, 1), use(f, 1)]).toEqual([false, false]);
    expect(f.faults).toEqual(['index']);
  });
});

describe('what a packed queue refuses', () => {
  const chains: [string, QueueFault, [Buffer, number][], Buffer[]][] = [
    ['a chain that never ends', 'loop', Array.from({ length: 8 }, () => [readable(0x5000, 1), DESC_NEXT]), []],
    ['a buffer beyond RAM', 'buffer', [[readable(RAM_BYTES - 1, 2), 0]], []],
    ['a buffer whose end wraps', 'buffer', [[readable(0xffff_ffff, 0xffff_ffff), 0]], []],
    ['a buffer far above 4 GiB', 'buffer', [[writable(2 ** 63, 1), 0]], []],
    [
      'a readable buffer after a writable one',
      'order',
      [
        [writable(0x5000, 1), DESC_NEXT],
        [readable(0x5000, 1), 0],
      ],
      [],
    ],
    ['an indirect table with a next', 'indirect', [[readable(TABLE, 16), DESC_INDIRECT | DESC_NEXT]], []],
    [
      'an indirect table at the end of a list',
      'indirect',
      [
        [readable(0x5000, 1), DESC_NEXT],
        [readable(TABLE, 16), DESC_INDIRECT],
      ],
      [],
    ],
    ['an indirect table of no descriptors', 'indirect', [[readable(TABLE, 0), DESC_INDIRECT]], []],
    ['an indirect table of half a descriptor', 'indirect', [[readable(TABLE, 24), DESC_INDIRECT]], []],
    ['an indirect table beyond RAM', 'indirect', [[readable(RAM_BYTES - 16, 32), DESC_INDIRECT]], []],
    ['an indirect table longer than the queue', 'loop', [[readable(TABLE, 16 * (MAX_SIZE + 1)), DESC_INDIRECT]], []],
    ['a buffer of a table beyond RAM', 'buffer', [[readable(TABLE, 16), DESC_INDIRECT]], [readable(2 ** 33, 1)]],
  ];
  it.each(chains)('%s: %s', (_what, fault, descriptors, table) => {
    const f = new Fixture();
    table.forEach(({ address, length }, i) => {
      f.memory.write32(TABLE + 16 * i, address >>> 0);
      f.memory.write32(TABLE + 16 * i + 4, Math.floor(address / 2 ** 32));
      f.memory.write32(TABLE + 16 * i + 8, length);
    });
    for (const [buffer, flags] of descriptors) f.driver.exposeRaw(buffer, 1, flags);

    expect([f.queue.pop(), f.queue.pop()]).toEqual([undefined, undefined]);
    expect(f.faults).toEqual([fault]);
  });

  it('a table within a table, and one that was not negotiated', () => {
    const nested = new Fixture();
    nested.memory.write16(TABLE + 14, DESC_INDIRECT);
    nested.driver.exposeRaw(readable(TABLE, 16), 1, DESC_INDIRECT);
    const unknown = new Fixture(8, [VIRTIO_F_RING_PACKED]);
    unknown.driver.exposeRaw(readable(TABLE, 16), 1, DESC_INDIRECT);

    expect([nested.queue.pop(), unknown.queue.pop()]).toEqual([undefined, undefined]);
    expect([nested.faults, unknown.faults]).toEqual([['indirect'], ['indirect']]);
  });

  it.each([
    ['a ring off 16 bytes', { descLow: RING + 8 }],
    ['a driver area off 4 bytes', { driverLow: RING + 2 }],
    ['a device area off 4 bytes', { deviceLow: RING + 2 }],
    ['a ring whose end is beyond RAM', { descLow: RAM_BYTES - 16 * 8 + 16 }],
    ['a driver area beyond RAM', { driverLow: RAM_BYTES }],
    ['a device area far above', { deviceHigh: 0xffff_ffff, deviceLow: 0xffff_fffc }],
    ['a place beyond the ring to take from', { nextAvailable: 8 }],
    ['a place beyond the ring to give back to', { nextUsed: 0x8000 + 9 }],
  ])('does not touch %s', (_what, change) => {
    const f = new Fixture();
    Object.assign(f.state, change);

    f.queue.push({ id: 0, slots: 1 }, 0);

    expect(f.queue.pop()).toBeUndefined();
    expect(f.queue.takeInterrupt()).toBe(false);
    expect(f.faults).toEqual(['layout']);
    expect(f.written).toEqual([]);
  });
});

describe('a hostile driver of a packed queue', () => {
  const seen = new Set<QueueFault>();

  it.each(Array.from({ length: 40 }, (_, i) => 20_061 + i))('reaches nothing but its ring, seed %i', (seed) => {
    const random = seededRandom(seed);
    const pick = <T>(...choices: readonly T[]): T => choices[random.next(choices.length)]!;
    for (let life = 0; life < 40; life++) {
      const f = new Fixture(
        1 + random.next(MAX_SIZE),
        ALL.filter((x) => x === VIRTIO_F_RING_PACKED || random.next(3) > 0),
      );
      const { desc, end } = f.driver;
      const out: Chain[] = [];
      for (let step = 0; step < 60 && f.faults.length === 0; step++) {
        const buffer: Buffer = {
          address: pick(0x5000, 0x6000, TABLE, RAM_BYTES - 1, RAM_BYTES, 2 ** 32 - 8, 2 ** 63, random.next(RAM_BYTES)),
          length: pick(0, 1, 1, 16, 16, 64, 512, random.next(40) === 0 ? 2 ** 32 - 1 : 32),
          writable: random.next(2) === 0,
        };
        const flags = pick(0, 0, 0, DESC_NEXT, DESC_INDIRECT, DESC_WRITE, DESC_INDIRECT | DESC_NEXT);
        f.driver.exposeRaw(buffer, random.next(0x1_0000), random.next(8) === 0 ? random.next(0x1_0000) : flags);
        if (random.next(6) === 0)
          f.memory.write32(TABLE + 4 * random.next(64), pick(0, 0x5000, 16, random.next(2 ** 32)));
        if (random.next(6) === 0) f.memory.write32(desc + 4 * random.next((end - desc) / 4), random.next(2 ** 32));
        f.written.length = 0;
        const chain = f.queue.pop();
        if (chain !== undefined) out.push(chain);
        for (const { address, length } of [...(chain?.readable ?? []), ...(chain?.writable ?? [])]) {
          expect(f.memory.contains(address, length)).toBe(true);
        }
        if (random.next(3) > 0 && out.length > 0)
          f.queue.push(out.splice(random.next(out.length), 1)[0]!, random.next(4096));
        f.queue.takeInterrupt();
        for (const { address, length } of f.written) {
          expect(address >= desc && address + length <= end).toBe(true);
        }
      }
      seen.add(f.state.fault);
    }
  });

  it('came across every fault', () => {
    expect([...seen].sort()).toEqual(['buffer', 'index', 'indirect', 'loop', 'none', 'order']);
  });
});
