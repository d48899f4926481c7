/**
 * Guests that do whatever they like: random registers, random rings, random states. Nothing may throw, hang or touch
 * what is not RAM.
 */
import { TomeiError } from '@tomei/kit';
import { type GuestMemory } from '../../machine/device.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockGuest, RAM_BYTES, pattern } from './block-guest.ts';
import { VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT } from './block-request.ts';
import { VIRTIO_BLK_F_FLUSH } from './block-configuration.ts';
import { COMMON, DESC_NEXT } from './guest-driver.ts';
import { PackedGuestQueue, SplitGuestQueue, type GuestQueue } from './guest-queue.ts';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED } from './queue-state.ts';
import { VIRTIO_F_VERSION_1 } from './transport-pci.ts';

const ALL = [VIRTIO_F_VERSION_1, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX];

/** A repeatable source of numbers (mulberry32). */
function random(seed: number): (below: number) => number {
  let a = seed;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const BASE_SEED = Number(process.env['TOMEI_SEED'] ?? 20_061);
const seeds = (count: number): number[] => Array.from({ length: count }, (_, i) => BASE_SEED + i);

const SIZE = 16;
const RINGS = 0x1000;
const TABLES = 0x4000;
const BUFFERS = 0x8000;

type Next = ReturnType<typeof random>;
const pick = <T>(next: Next, ...choices: readonly T[]): T => choices[next(choices.length)]!;

/** Mostly buffers in RAM, among them request headers; sometimes what crosses its end or lies far outside. */
const anyAddress = (next: Next): number =>
  next(12) > 0
    ? BUFFERS + 0x200 * next(16)
    : pick(next, RAM_BYTES - 1, RAM_BYTES - 512, RAM_BYTES, 2 ** 32 - 8, 2 ** 32 + BUFFERS, 2 ** 63, TABLES);
const anyLength = (next: Next): number =>
  pick(next, 16, 16, 16, 512, 512, 1024, 1, 1, 0, 17, 4096, next(12) > 0 ? 512 : 2 ** 32 - next(2));

const anyTable = (next: Next): number =>
  next(6) > 0 ? TABLES + 0x100 * next(4) : pick(next, RAM_BYTES - 16 * next(20), RAM_BYTES, 2 ** 40);

/** Descriptors that make up whole chains as often as not: any table, any buffer, any flags, any next. */
function scribble(guest: BlockGuest, next: Next): void {
  const { driver } = guest;
  const { memory } = guest.rig;
  const table = next(3) > 0 ? driver.desc : TABLES + 0x100 * next(4);
  if (next(8) === 0) {
    driver.describe(
      driver.desc,
      next(SIZE),
      { address: anyTable(next), length: 16 * next(20) },
      pick(next, 4, 4, 4, 5, 6),
      0,
    );
  } else {
    const buffer = { address: anyAddress(next), length: anyLength(next) };
    driver.describe(
      table,
      next(SIZE),
      buffer,
      pick(next, 0, 1, 1, 1, 2, 2, 3),
      next(20) > 0 ? next(SIZE) : next(0x1_0000),
    );
  }
  if (next(4) === 0) {
    const header = BUFFERS + 0x200 * next(16);
    memory.write32(header, pick(next, 0, 0, 1, 1, 4, 8, 11, 13, 99));
    memory.write32(header + 8, next(8) > 0 ? next(70) : next(2 ** 32));
    memory.write32(header + 12, next(8) > 0 ? 0 : next(2 ** 32));
  }
}

/** A whole request, which makes its way to the disk unless something else scribbles over it first. */
function compose(guest: BlockGuest, next: Next): void {
  const { driver } = guest;
  const { memory } = guest.rig;
  const first = next(SIZE - 3);
  const header = BUFFERS + 0x200 * next(16);
  const type = pick(next, 0, 1, 4, 11, 13);
  memory.write32(header, type);
  memory.write32(header + 8, next(70));
  memory.write32(header + 12, 0);
  driver.describe(driver.desc, first, { address: header, length: 16 }, DESC_NEXT, first + 1);
  const data = BUFFERS + 0x200 * next(16);
  const range = type === 11 || type === 13;
  if (range) {
    memory.write32(data, next(70));
    memory.write32(data + 4, 0);
    memory.write32(data + 8, next(5));
    memory.write32(data + 12, next(3));
  }
  const buffer = { address: data, length: range ? 16 : 512 * next(4), writable: type === 0 };
  driver.describe(driver.desc, first + 1, buffer, DESC_NEXT, first + 2);
  driver.describe(driver.desc, first + 2, { address: anyAddress(next), length: 1, writable: true }, 0, 0);
  driver.expose(first);
}

/** One thing that a guest, the disk or time may do next. */
function exercise(guest: BlockGuest, next: Next): void {
  const { driver, disk, rig } = guest;
  switch (next(8)) {
    case 0:
    case 1:
      driver.expose(next(60) > 0 ? next(SIZE) : next(0x1_0000));
      driver.kick();
      return;
    case 2:
      if (disk.pending.length > 0) disk.complete(pick(next, ...disk.pending), next(4) > 0);
      return;
    case 3:
      rig.clock.advance(next(3_000));
      return;
    case 4:
      void driver.isr;
      return;
    case 5:
      if (next(50) === 0) rig.memory.write16(driver.avail + 2, next(0x1_0000));
      return;
    case 6:
      compose(guest, next);
      driver.kick();
      return;
    default:
      scribble(guest, next);
  }
}

/** A queue as the driver should lay it out, or with one of its parts somewhere else. */
function layOut(guest: BlockGuest, next: Next): void {
  const { driver } = guest;
  driver.queue(SIZE, RINGS);
  if (next(4) > 0) return;
  driver.negotiate(ALL);
  const register = pick(next, COMMON.queueDesc, COMMON.queueDriver, COMMON.queueDevice);
  driver.write(1, COMMON.queueSize, 2, SIZE);
  driver.write(1, COMMON.queueDesc, 4, driver.desc);
  driver.write(1, COMMON.queueDriver, 4, driver.avail);
  driver.write(1, COMMON.queueDevice, 4, driver.used);
  driver.write(1, register, 4, pick(next, RAM_BYTES, RAM_BYTES - 16 * next(20), 2 ** 32 - 16, RINGS + next(64)));
  driver.write(1, register + 4, 4, next(3) > 0 ? 0 : next(2 ** 32));
  driver.write(1, COMMON.queueEnable, 2, 1);
}

describe('hostile guests', () => {
  /** What the random rings led to, so that the generator cannot quietly stop reaching it. */
  const seen = new Set<string>();

  it.each(seeds(60))('survives random rings, seed %i', (seed) => {
    const next = random(seed);
    const guest = new BlockGuest({ immediate: next(2) === 0 });
    for (let life = 0; life < 20; life++) {
      guest.disk.completeAll();
      guest.driver.negotiate(ALL.filter((f) => f === VIRTIO_F_VERSION_1 || next(3) > 0));
      layOut(guest, next);
      for (let i = 0; i < 60; i++) scribble(guest, next);
      guest.driver.start();
      for (let step = 0; step < 100; step++) exercise(guest, next);
      seen.add(
        (guest.rig.device.save().state as { transport: { queues: { fault: string }[] } }).transport.queues[0]!.fault,
      );
    }
    for (const { kind } of guest.disk.submitted) seen.add(kind);
  });

  it('came across every fault and every kind of request on the way', () => {
    expect([...seen].sort()).toEqual([
      'buffer',
      'discard',
      'flush',
      'index',
      'indirect',
      'layout',
      'loop',
      'none',
      'order',
      'read',
      'request',
      'write',
      'write-zeroes',
    ]);
  });

  it.each(seeds(30))('survives random register accesses, seed %i', (seed) => {
    const next = random(seed);
    const guest = new BlockGuest({ immediate: next(2) === 0 });
    const { board } = guest.rig;
    const bar = (guest.driver.configRead(0x10, 4) & ~0xf) >>> 0;
    for (let i = 0; i < RAM_BYTES; i += 4) if (next(3) === 0) guest.rig.memory.write32(i, next(2 ** 32));
    for (let step = 0; step < 5_000; step++) {
      const width = ([1, 2, 4] as const)[next(3)]!;
      const regions = [0x00, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x80, 0x100, 0x400, 0x410, 0x600, 0x800, next(0x1000)];
      const offset = Math.min(regions[next(regions.length)]! + next(8), 0x1000 - width);
      const values = [next(256), 1, 0, 0xf, next(2 ** 32), next(RAM_BYTES) & ~15];
      if (next(3) === 0) board.memoryRead(bar + offset, width);
      else board.memoryWrite(bar + offset, width, values[next(values.length)]! % 2 ** (8 * width));
      if (next(4) === 0) guest.driver.configWrite(0x40 + 4 * next(40), 4, values[next(values.length)]!);
      if (next(10) === 0 && guest.disk.pending.length > 0) guest.disk.complete(guest.disk.pending[0]!);
    }
    expect(guest.rig.device.save()).toBeDefined();
  });

  it('refuses or survives any state, and touches nothing outside RAM', () => {
    const numbers = fc.oneof(fc.nat(20), fc.nat(0xffff), fc.nat(2 ** 32 - 1), fc.constant(2 ** 40));
    const overrides = fc.record({
      status: fc.nat(255),
      vector: fc.oneof({ weight: 9, arbitrary: fc.nat(4) }, numbers),
      message: fc.record(
        {
          addressLow: numbers.map((n) => n - (n % 4)),
          addressHigh: numbers,
          data: numbers,
          masked: fc.boolean(),
          pending: fc.boolean(),
        },
        { requiredKeys: [] },
      ),
      queue: fc.dictionary(
        fc.constantFrom('size', 'descLow', 'descHigh', 'driverLow', 'deviceLow', 'nextAvailable', 'nextUsed'),
        numbers,
      ),
      request: fc.dictionary(fc.constantFrom('head', 'statusAddress', 'room', 'sector', 'count'), numbers),
      kind: fc.constantFrom('read', 'write', 'flush', 'discard', 'write-zeroes', 'format'),
      segments: fc.array(fc.record({ address: numbers, length: numbers }), { maxLength: 4 }),
    });

    fc.assert(
      fc.property(overrides, ({ status, vector, message, queue, request, kind, segments }) => {
        const guest = new BlockGuest({ immediate: true });
        guest.driver.bringUp(ALL);
        const saved = structuredClone(guest.rig.device.save());
        const state = saved.state as {
          transport: {
            status: number;
            vector: number;
            queues: object[];
            msix: { enabled: boolean; entries: object[] };
          };
          inFlight: object[];
        };
        Object.assign(state.transport, { status, vector });
        state.transport.msix.enabled = status % 2 === 1;
        Object.assign(state.transport.msix.entries[1]!, message);
        Object.assign(state.transport.queues[0]!, { vector: 1 }, queue);
        const blank = { head: 0, statusAddress: 0, room: 0, sector: 0, count: 0, unmap: false };
        state.inFlight.push({ ...blank, ...request, kind, segments });
        try {
          guest.rig.device.restore(saved);
        } catch (error) {
          expect(error).toBeInstanceOf(TomeiError);
        }
        guest.driver.kick();
      }),
      { numRuns: 300, seed: BASE_SEED },
    );
  });
});

/** Has the device interrupt when so many more single descriptors have been used, by event indexes. */
function wantInterruptAfter(queue: GuestQueue, count: number, memory: GuestMemory): void {
  if (queue instanceof SplitGuestQueue) queue.usedEvent = memory.read16(queue.device + 2) + count - 1;
  else if (queue instanceof PackedGuestQueue) {
    const { index, wrap } = queue.usedPlace;
    const at = index + count - 1;
    queue.wantInterrupts(2, { index: at % queue.size, wrap: at < queue.size ? wrap : !wrap });
  }
}

describe('well-behaved guests under load', () => {
  const layouts = ['split', 'packed'].flatMap((layout) => seeds(20).map((seed) => [layout, seed] as const));
  it.each(layouts)(
    'keep data and order of a random workload with saves and restores in between, %s, seed %i',
    (layout, seed) => {
      const next = random(seed);
      const packed = layout === 'packed';
      const model = pattern(64 * 512, seed & 0xff);
      const guest = new BlockGuest({ data: model.slice() });
      const features = [VIRTIO_F_VERSION_1, VIRTIO_BLK_F_FLUSH, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX];
      if (packed) features.push(VIRTIO_F_RING_PACKED);
      guest.driver.bringUp(features, 8);
      for (let round = 0; round < 60; round++) {
        // Sectors of one round do not overlap, so that any order of completion gives one result.
        const slots = [0, 1, 2].map((slot) => {
          const [sector, count] = [slot * 16 + next(8), 1 + next(8)];
          const kind = [VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH][next(3)]!;
          const out = pattern(count * 512, next(256));
          if (kind === VIRTIO_BLK_T_IN) guest.request(slot, kind, { sector, room: count * 512, indirect: true });
          else if (kind === VIRTIO_BLK_T_OUT) guest.request(slot, kind, { sector, out, indirect: true });
          else guest.request(slot, kind, { indirect: packed || next(2) === 0 });
          if (kind === VIRTIO_BLK_T_OUT) model.set(out, sector * 512);
          return { slot, kind, sector, count };
        });
        wantInterruptAfter(guest.driver.queues[0]!, 3, guest.rig.memory);
        const before = guest.rig.interrupts;
        guest.driver.kick();
        if (next(3) === 0) guest.disk.complete(guest.disk.pending[next(guest.disk.pending.length)]!);
        if (next(3) === 0) guest.rig.device.restore(structuredClone(guest.rig.device.save()));
        while (guest.disk.pending.length > 0) guest.disk.complete(guest.disk.pending[next(guest.disk.pending.length)]!);

        expect(guest.driver.collect()).toHaveLength(3);
        expect(guest.rig.interrupts - before).toBe(1);
        expect(slots.map(({ slot }) => guest.statusOf(slot))).toEqual([0, 0, 0]);
        for (const { slot, kind, sector, count } of slots) {
          const expected = model.slice(sector * 512, (sector + count) * 512);
          if (kind === VIRTIO_BLK_T_IN) expect(guest.dataOf(slot, count * 512)).toEqual(expected);
        }
        void guest.driver.isr;
      }
      expect(guest.disk.data).toEqual(model);
    },
  );
});
