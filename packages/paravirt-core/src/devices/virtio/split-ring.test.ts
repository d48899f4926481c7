import { describe, expect, it } from 'vitest';
import { RamWindow } from '../../machine/guest-memory.ts';
import { Virtqueue } from './queue.ts';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, queueState, type QueueFault } from './queue-state.ts';

const SIZE = 8;
const MAX_SIZE = 16;
const DESC = 0x1000;
const AVAIL = 0x2000;
const USED = 0x3000;
const TABLE = 0x4000;
const RAM_BYTES = 0x1_0000;
const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
const FIRST = { id: 0, slots: 1 };

type Descriptor = readonly [address: number, length: number, flags: number, next: number];

class Fixture {
  readonly memory = new RamWindow(new Uint8Array(RAM_BYTES));
  readonly state = queueState(MAX_SIZE).initial();
  readonly queue: Virtqueue;
  broken = 0;

  constructor(features: readonly number[] = []) {
    Object.assign(this.state, { size: SIZE, enabled: true, descLow: DESC, driverLow: AVAIL, deviceLow: USED });
    this.queue = new Virtqueue({
      state: () => this.state,
      maxSize: MAX_SIZE,
      memory: this.memory,
      accepted: (feature) => features.includes(feature),
      broken: () => this.broken++,
    });
  }

  describe(table: number, descriptors: readonly Descriptor[]): void {
    descriptors.forEach(([address, length, flags, next], i) => {
      this.memory.write32(table + 16 * i, address >>> 0);
      this.memory.write32(table + 16 * i + 4, Math.floor(address / 2 ** 32));
      this.memory.write32(table + 16 * i + 8, length);
      this.memory.write16(table + 16 * i + 12, flags);
      this.memory.write16(table + 16 * i + 14, next);
    });
  }

  offer(...heads: number[]): void {
    const index = this.memory.read16(AVAIL + 2);
    heads.forEach((head, i) => this.memory.write16(AVAIL + 4 + 2 * ((index + i) % SIZE), head));
    this.memory.write16(AVAIL + 2, index + heads.length);
  }
}

describe('taking chains', () => {
  it('takes readable then writable buffers in order, and leaves out empty ones', () => {
    const f = new Fixture();
    f.describe(DESC, [
      [0x5000, 16, NEXT, 2],
      [0x7000, 1, WRITE, 0],
      [0x6000, 0, NEXT, 3],
      [0x6100, 512, NEXT | WRITE, 1],
    ]);
    f.offer(0);

    const chain = f.queue.pop();

    expect(chain).toEqual({
      id: 0,
      slots: 1,
      readable: [{ address: 0x5000, length: 16 }],
      writable: [
        { address: 0x6100, length: 512 },
        { address: 0x7000, length: 1 },
      ],
    });
    expect(f.queue.pop()).toBeUndefined();
    expect(f.state.fault).toBe('none');
  });

  it('follows ordinary descriptors into one indirect table, whose WRITE flag does not count', () => {
    const f = new Fixture([VIRTIO_F_INDIRECT_DESC]);
    f.describe(DESC, [
      [0x5000, 16, NEXT, 5],
      ...Array.from({ length: 4 }, (): Descriptor => [0, 0, 0, 0]),
      [TABLE, 32, INDIRECT | WRITE, 0],
    ]);
    f.describe(TABLE, [
      [0x6000, 8, NEXT, 1],
      [0x7000, 4, WRITE, 0],
    ]);
    f.offer(0);

    const chain = f.queue.pop();

    expect(chain?.readable.map((s) => s.address)).toEqual([0x5000, 0x6000]);
    expect(chain?.writable.map((s) => s.address)).toEqual([0x7000]);
  });

  it('takes indirect chains longer than the ring, up to what the device offers', () => {
    const f = new Fixture([VIRTIO_F_INDIRECT_DESC]);
    const long = Array.from({ length: MAX_SIZE }, (_, i): Descriptor => [
      0x5000,
      1,
      i + 1 < MAX_SIZE ? NEXT : 0,
      i + 1,
    ]);
    f.describe(TABLE, long);
    f.describe(DESC, [[TABLE, 16 * MAX_SIZE, INDIRECT, 0]]);
    f.offer(0);

    expect(f.queue.pop()?.readable).toHaveLength(MAX_SIZE);
  });

  it('wraps its free-running indexes', () => {
    const f = new Fixture();
    Object.assign(f.state, { nextAvailable: 0xffff, nextUsed: 0xffff, signalledUsed: 0xffff });
    f.memory.write16(AVAIL + 2, 0xffff);
    f.describe(DESC, [[0x5000, 1, 0, 0]]);
    f.offer(0, 0);

    const heads = [f.queue.pop()?.id, f.queue.pop()?.id, f.queue.pop()];
    f.queue.push(FIRST, 0);
    f.queue.push(FIRST, 7);

    expect(heads).toEqual([0, 0, undefined]);
    expect(f.memory.read16(USED + 2)).toBe(1);
    expect(f.memory.read32(USED + 4 + 4)).toBe(7);
  });

  const chains: [string, QueueFault, Descriptor[], Descriptor[]][] = [
    ['a next index beyond the table', 'index', [[0x5000, 1, NEXT, SIZE]], []],
    ['a chain that loops', 'loop', [[0x5000, 1, NEXT, 0]], []],
    ['a loop of empty buffers', 'loop', [[0x5000, 0, NEXT, 0]], []],
    ['a buffer beyond RAM', 'buffer', [[RAM_BYTES - 1, 2, 0, 0]], []],
    ['a buffer whose end wraps', 'buffer', [[0xffff_ffff, 0xffff_ffff, 0, 0]], []],
    ['a buffer far above 4 GiB', 'buffer', [[2 ** 63, 1, WRITE, 0]], []],
    [
      'a readable buffer after a writable one',
      'order',
      [
        [0x5000, 1, NEXT | WRITE, 1],
        [0x5000, 1, 0, 0],
      ],
      [],
    ],
    [
      'a readable buffer after an empty writable one',
      'order',
      [
        [0x5000, 0, NEXT | WRITE, 1],
        [0x5000, 1, 0, 0],
      ],
      [],
    ],
    ['an indirect table with a next', 'indirect', [[TABLE, 16, INDIRECT | NEXT, 0]], [[0x5000, 1, 0, 0]]],
    ['an indirect table of no descriptors', 'indirect', [[TABLE, 0, INDIRECT, 0]], []],
    ['an indirect table of half a descriptor', 'indirect', [[TABLE, 24, INDIRECT, 0]], [[0x5000, 1, 0, 0]]],
    ['an indirect table beyond RAM', 'indirect', [[RAM_BYTES - 16, 32, INDIRECT, 0]], []],
    ['a table within a table', 'indirect', [[TABLE, 16, INDIRECT, 0]], [[TABLE, 16, INDIRECT, 0]]],
    ['an indirect next beyond its table', 'index', [[TABLE, 16, INDIRECT, 0]], [[0x5000, 1, NEXT, 1]]],
    ['an indirect chain that loops', 'loop', [[TABLE, 16, INDIRECT, 0]], [[0x5000, 1, NEXT, 0]]],
  ];
  it.each(chains)('stops at %s: %s', (_what, fault, descriptors, table) => {
    const f = new Fixture([VIRTIO_F_INDIRECT_DESC]);
    f.describe(DESC, descriptors);
    f.describe(TABLE, table);
    f.offer(0);

    expect([f.queue.pop(), f.queue.pop()]).toEqual([undefined, undefined]);
    expect(f.state.fault).toBe(fault);
    expect(f.broken).toBe(1);
  });

  it('stops at an indirect table that was not negotiated', () => {
    const f = new Fixture();
    f.describe(DESC, [[TABLE, 16, INDIRECT, 0]]);
    f.offer(0);

    expect(f.queue.pop()).toBeUndefined();
    expect(f.state.fault).toBe('indirect');
  });

  it('stops at a head beyond the table, and at more chains than the ring has entries', () => {
    const head = new Fixture();
    head.offer(SIZE);
    const flood = new Fixture();
    flood.memory.write16(AVAIL + 2, SIZE + 1);

    expect([head.queue.pop(), flood.queue.pop()]).toEqual([undefined, undefined]);
    expect([head.state.fault, flood.state.fault]).toEqual(['index', 'index']);
  });

  it.each([
    ['a descriptor table off 16 bytes', { descLow: DESC + 8 }],
    ['an available ring off 2 bytes', { driverLow: AVAIL + 1 }],
    ['a used ring off 4 bytes', { deviceLow: USED + 2 }],
    ['a descriptor table whose end is beyond RAM', { descLow: RAM_BYTES - 16 * SIZE + 16 }],
    ['an available ring without room for used_event', { driverLow: RAM_BYTES - (4 + 2 * SIZE) }],
    ['a used ring without room for avail_event', { deviceLow: RAM_BYTES - (4 + 8 * SIZE) }],
    ['a high half outside RAM', { descHigh: 1 }],
    ['a ring whose size is no power of two', { size: 6 }],
    ['the highest addresses', { deviceHigh: 0xffff_ffff, deviceLow: 0xffff_fffc }],
  ])('does not touch %s', (_what, change) => {
    const f = new Fixture();
    Object.assign(f.state, change);

    f.queue.push(FIRST, 0);

    expect(f.queue.pop()).toBeUndefined();
    expect(f.queue.takeInterrupt()).toBe(false);
    expect(f.state.fault).toBe('layout');
    expect(f.broken).toBe(1);
  });

  it('takes parts that end exactly where RAM ends', () => {
    const f = new Fixture();
    Object.assign(f.state, { deviceLow: RAM_BYTES - (6 + 8 * SIZE) - 2 });

    expect(f.queue.pop()).toBeUndefined();
    expect(f.state.fault).toBe('none');
  });
});

describe('wanting interrupts', () => {
  it('follows the flag when event indexes were not negotiated', () => {
    const f = new Fixture();
    f.queue.push(FIRST, 0);
    const wanted = [f.queue.takeInterrupt(), f.queue.takeInterrupt()];
    f.memory.write16(AVAIL, 1);
    f.queue.push(FIRST, 0);

    expect([...wanted, f.queue.takeInterrupt()]).toEqual([true, false, false]);
  });

  it.each([
    [0, 1, 0, true],
    [0, 1, 1, false],
    [0, 3, 2, true],
    [0, 3, 3, false],
    [5, 6, 4, false],
    [5, 6, 5, true],
    [0xfffe, 2, 0xffff, true],
    [0xfffe, 2, 1, true],
    [0xfffe, 2, 2, false],
    [0xfffe, 2, 0xfffd, false],
  ])('with event indexes, from %i to %i and used_event %i: %s', (before, after, event, wanted) => {
    const f = new Fixture([VIRTIO_F_EVENT_IDX]);
    Object.assign(f.state, { nextUsed: before, signalledUsed: before });
    f.memory.write16(AVAIL, 1);
    f.memory.write16(AVAIL + 4 + 2 * SIZE, event);

    for (let i = before; i !== after; i = (i + 1) & 0xffff) f.queue.push(FIRST, 0);

    expect(f.queue.takeInterrupt()).toBe(wanted);
  });
});

describe('the state of a queue', () => {
  it.each([0, 17, 32])('refuses size %i', (size) => {
    const state = { ...queueState(MAX_SIZE).initial(), size };

    expect(() => queueState(MAX_SIZE).parse(state)).toThrowError('is not 1 to 16');
  });
});
