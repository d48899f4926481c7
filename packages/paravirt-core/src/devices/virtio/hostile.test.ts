/** Guests that do whatever they like: random registers, random rings, random states. Nothing may throw, hang or touch what is not RAM. */
import { TomeiError } from '@tomei/kit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockGuest, RAM_BYTES, pattern } from './block-guest.ts';
import { VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT } from './block-request.ts';
import { VIRTIO_BLK_F_FLUSH } from './block-configuration.ts';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC } from './queue.ts';
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

const BASE_SEED = Number(process.env['TOMEI_SEED'] ?? Date.now() % 2 ** 31);
const seeds = (count: number): number[] => Array.from({ length: count }, (_, i) => BASE_SEED + i);

/** What a save cannot show: accesses to guest memory outside RAM throw RangeError, so getting here at all is the proof. */
function exercise(guest: BlockGuest, next: (below: number) => number): void {
  switch (next(6)) {
    case 0:
      guest.driver.kick();
      return;
    case 1:
      if (guest.disk.pending.length > 0)
        guest.disk.complete(guest.disk.pending[next(guest.disk.pending.length)]!, next(4) > 0);
      return;
    case 2:
      guest.rig.clock.advance(next(3_000));
      return;
    case 3:
      void guest.driver.isr;
      return;
    default:
      scribble(guest, next);
  }
}

/** Plausible nonsense in the rings: mostly small numbers, some of them huge. */
function scribble(guest: BlockGuest, next: (below: number) => number): void {
  const { memory } = guest.rig;
  const at = guest.driver.desc + next(guest.driver.used + 200 - guest.driver.desc);
  const values = [next(20), next(8) * 0x1000, next(2 ** 32), 512, 0xffff_ffff, 1 << next(32)];
  memory.write32(at & ~3, values[next(values.length)]! >>> 0);
  if (next(3) === 0) memory.write16(guest.driver.avail + 2, memory.read16(guest.driver.avail + 2) + next(5));
}

describe('hostile guests', () => {
  it.each(seeds(60))('survives random rings, seed %i', (seed) => {
    const next = random(seed);
    const guest = new BlockGuest({ immediate: next(2) === 0 });
    for (let life = 0; life < 8; life++) {
      guest.disk.completeAll();
      guest.driver.bringUp(ALL.filter((f) => f === VIRTIO_F_VERSION_1 || next(2) === 0));
      for (let i = 0; i < 60; i++) scribble(guest, next);
      for (let step = 0; step < 200; step++) exercise(guest, next);
      expect(guest.rig.device.save()).toBeDefined();
    }
  });

  it.each(seeds(30))('survives random register accesses, seed %i', (seed) => {
    const next = random(seed);
    const guest = new BlockGuest({ immediate: next(2) === 0 });
    const { space } = guest.rig;
    const bar = (guest.rig.configRead(0x10, 4) & ~0xf) >>> 0;
    for (let i = 0; i < RAM_BYTES; i += 4) if (next(3) === 0) guest.rig.memory.write32(i, next(2 ** 32));
    for (let step = 0; step < 5_000; step++) {
      const width = ([1, 2, 4] as const)[next(3)]!;
      const regions = [0x00, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x80, 0x100, 0x800, next(0x1000)];
      const offset = Math.min(regions[next(regions.length)]! + next(8), 0x1000 - width);
      const values = [next(256), 1, 0, 0xf, next(2 ** 32), next(RAM_BYTES) & ~15];
      if (next(3) === 0) space.read(bar + offset, width);
      else space.write(bar + offset, width, values[next(values.length)]! % 2 ** (8 * width));
      if (next(4) === 0) guest.rig.configWrite(0x40 + 4 * next(40), 4, values[next(values.length)]!);
      if (next(10) === 0 && guest.disk.pending.length > 0) guest.disk.complete(guest.disk.pending[0]!);
    }
    expect(guest.rig.device.save()).toBeDefined();
  });

  it('refuses or survives any state, and touches nothing outside RAM', () => {
    const numbers = fc.oneof(fc.nat(20), fc.nat(0xffff), fc.nat(2 ** 32 - 1), fc.constant(2 ** 40));
    const overrides = fc.record({
      status: fc.nat(255),
      queue: fc.dictionary(
        fc.constantFrom('size', 'descLow', 'descHigh', 'driverLow', 'deviceLow', 'nextAvailable', 'nextUsed'),
        numbers,
      ),
      request: fc.dictionary(fc.constantFrom('head', 'statusAddress', 'room', 'sector', 'count'), numbers),
      kind: fc.constantFrom('read', 'write', 'flush', 'discard', 'write-zeroes', 'format'),
      segments: fc.array(fc.record({ address: numbers, length: numbers }), { maxLength: 4 }),
    });

    fc.assert(
      fc.property(overrides, ({ status, queue, request, kind, segments }) => {
        const guest = new BlockGuest({ immediate: true });
        guest.driver.bringUp(ALL);
        const saved = structuredClone(guest.rig.device.save());
        const state = saved.state as { transport: { status: number; queues: object[] }; inFlight: object[] };
        state.transport.status = status;
        Object.assign(state.transport.queues[0]!, queue);
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

describe('well-behaved guests under load', () => {
  it.each(seeds(20))('keep data and order of a random workload with saves and restores in between, seed %i', (seed) => {
    const next = random(seed);
    const model = pattern(64 * 512, seed & 0xff);
    let guest = new BlockGuest({ data: model.slice() });
    const features = [VIRTIO_F_VERSION_1, VIRTIO_BLK_F_FLUSH, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX];
    guest.driver.bringUp(features, 8);
    for (let round = 0; round < 60; round++) {
      // Sectors of one round do not overlap, so that any order of completion gives one result.
      const slots = [0, 1, 2].map((slot) => {
        const [sector, count] = [slot * 16 + next(8), 1 + next(8)];
        const kind = [VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH][next(3)]!;
        const out = pattern(count * 512, next(256));
        if (kind === VIRTIO_BLK_T_IN) guest.request(slot, kind, { sector, room: count * 512, indirect: true });
        else if (kind === VIRTIO_BLK_T_OUT) guest.request(slot, kind, { sector, out, indirect: true });
        else guest.request(slot, kind, { indirect: next(2) === 0 });
        if (kind === VIRTIO_BLK_T_OUT) model.set(out, sector * 512);
        return { slot, kind, sector, count };
      });
      guest.driver.usedEvent = guest.rig.memory.read16(guest.driver.used + 2) + 2;
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
  });
});
