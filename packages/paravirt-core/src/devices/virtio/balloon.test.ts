import { describe, expect, it } from 'vitest';
import { deviceBattery, seededRandom } from '../../machine/battery.ts';
import {
  DEFLATE_QUEUE,
  INFLATE_QUEUE,
  REPORTING_QUEUE,
  STATS_QUEUE,
  VIRTIO_BALLOON_F_REPORTING,
  VIRTIO_BALLOON_F_STATS_VQ,
  virtioBalloon,
} from './balloon.ts';
import { GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { LAYOUTS } from './layouts.ts';
import { Rig, SLOT } from './rig.ts';

const PAGE = 4096;
const DATA = 0x8000;
const OFFERED = [VIRTIO_BALLOON_F_STATS_VQ, VIRTIO_BALLOON_F_REPORTING];
const RAM_BYTES = 1 << 20;

function guestWith(ram: Uint8Array = new Uint8Array(RAM_BYTES)) {
  const rig = new Rig({ ram, def: virtioBalloon, config: {} });
  return { rig, driver: new GuestDriver(rig, SLOT) };
}
type Guest = ReturnType<typeof guestWith>;

/** Puts page frame numbers into memory and the chain of them into a queue. */
function give(
  { rig, driver }: Pick<Guest, 'driver'> & { rig: Pick<Guest['rig'], 'memory'> },
  queue: number,
  pfns: readonly number[],
): number {
  pfns.forEach((pfn, i) => {
    rig.memory.write32(DATA + 4 * i, pfn);
  });
  const id = driver.add([{ address: DATA, length: 4 * pfns.length }], undefined, queue);
  driver.kick(queue);
  return id;
}
function tell({ rig, driver }: Guest, statistics: readonly [tag: number, value: number][]): void {
  statistics.forEach(([tag, value], i) => {
    rig.memory.write16(DATA + 10 * i, tag);
    rig.memory.write32(DATA + 10 * i + 2, value >>> 0);
    rig.memory.write32(DATA + 10 * i + 6, Math.floor(value / 2 ** 32));
  });
  driver.add([{ address: DATA, length: 10 * statistics.length }], undefined, STATS_QUEUE);
  driver.kick(STATS_QUEUE);
}

deviceBattery(virtioBalloon, {
  config: {},
  actions: [
    (device, random) => void device.parts.want(random.next(2 ** 32)),
    (device) => void device.parts.ask(),
    (device) => device.parts.look(),
  ],
  disturb(device, rig) {
    const driver = new GuestDriver(rig, 2);
    driver.bringUp([...LAYOUTS[3]![1], ...OFFERED], 16, 0x1000, 5);
    device.parts.want(50);
    driver.write(4, 4, 4, 3);
    give({ rig: { memory: rig.board.ram }, driver }, INFLATE_QUEUE, [40, 41]);
    driver.add([{ address: 0x9000, length: 20 }], undefined, STATS_QUEUE);
    driver.kick(STATS_QUEUE);
  },
});

describe.each(LAYOUTS)('virtio-balloon, %s', (_layout, features) => {
  const started = (): Guest => {
    const guest = guestWith();
    guest.driver.bringUp([...features, ...OFFERED], 16, 0x1000, 5);
    return guest;
  };

  it('tells the driver how much is wanted, no more than there is, and hears how much it has', () => {
    const { rig, driver } = started();
    rig.device.parts.want(77);
    const [isr, wanted] = [driver.isr, driver.read(4, 0, 4)];
    driver.write(4, 4, 4, 12);
    rig.device.parts.want(2 ** 32 - 1);

    expect([isr, wanted]).toEqual([2, 77]);
    expect(rig.device.parts.look()).toEqual({
      ...{ hasDriver: true, wantedPages: RAM_BYTES / PAGE, actualPages: 12, givenBytes: 0, isAsked: false },
    });
  });

  it('keeps what is wanted for a driver that starts later, and says whether one is there', () => {
    const { rig, driver } = guestWith();
    rig.device.parts.want(33);
    const before = rig.device.parts.look();
    driver.bringUp([...features, ...OFFERED], 16, 0x1000, 5);

    expect(before).toMatchObject({ hasDriver: false, wantedPages: 33 });
    expect(rig.device.parts.look().hasDriver).toBe(true);
    expect(driver.read(4, 0, 4)).toBe(33);
  });

  it('zeroes pages that it is given, and those alone', () => {
    const guest = started();
    guest.rig.ram.fill(0xee, 0x4_0000, 0x5_0000);
    const id = give(guest, INFLATE_QUEUE, [0x41, 0x43]);
    const back = give(guest, DEFLATE_QUEUE, [0x41]);
    guest.rig.clock.advance(10_000);

    expect(guest.driver.collect(INFLATE_QUEUE)).toEqual([{ id, length: 0 }]);
    expect(guest.driver.collect(DEFLATE_QUEUE)).toEqual([{ id: back, length: 0 }]);
    const pages = [0x40, 0x41, 0x42, 0x43, 0x44].map(
      (page) => new Set(guest.rig.ram.subarray(page * PAGE, (page + 1) * PAGE)),
    );
    expect(pages.map((set) => [...set])).toEqual([[0xee], [0], [0xee], [0], [0xee]]);
    expect(guest.rig.device.parts.look().givenBytes).toBe(2 * PAGE);
    expect(guest.rig.written).toContainEqual({ address: 0x41 * PAGE, length: PAGE });
  });

  it.each([REPORTING_QUEUE, REPORTING_QUEUE + 1])('zeroes what is reported as free by queue %i', (queue) => {
    const { rig, driver } = started();
    rig.ram.fill(0xee, 0x4_0000, 0x5_0000);
    const id = driver.add(
      [
        { address: 0x4_0000, length: 0x2000, writable: true },
        { address: 0x4_8000, length: 0x8000, writable: true },
      ],
      undefined,
      queue,
    );
    driver.kick(queue);
    rig.clock.advance(10_000);

    expect(driver.collect(queue)).toEqual([{ id, length: 0 }]);
    expect([0x4_0000, 0x4_2000, 0x4_7fff, 0x4_8000, 0x4_ffff].map((at) => rig.ram[at])).toEqual([0, 0xee, 0xee, 0, 0]);
  });

  it('zeroes much in pieces, over a save too', () => {
    const ram = new Uint8Array(32 << 20);
    const { rig, driver } = guestWith(ram);
    driver.bringUp([...features, ...OFFERED], 16, 0x1000, 5);
    ram.fill(0xee, 1 << 20);
    driver.add([{ address: 1 << 20, length: 31 << 20, writable: true }], undefined, REPORTING_QUEUE);
    driver.kick(REPORTING_QUEUE);
    const [early, firstPiece] = [driver.collect(REPORTING_QUEUE), rig.device.parts.look().givenBytes];
    rig.device.restore(structuredClone(rig.device.save()));
    rig.clock.advance(100_000);

    expect([early, firstPiece]).toEqual([[], 8 << 20]);
    expect(driver.collect(REPORTING_QUEUE)).toHaveLength(1);
    expect(ram.subarray(1 << 20).every((byte) => byte === 0)).toBe(true);
  });

  it('gives the statistics that the driver told last, and asks by its buffer', () => {
    const guest = started();
    const before = guest.rig.device.parts.look();
    tell(guest, [[4, 123_456], [5, 2 ** 33], [99, 1], [0, 2 ** 63]]); // prettier-ignore
    const first = guest.rig.device.parts.look().statistics;
    const held = guest.driver.collect(STATS_QUEUE);
    guest.rig.device.parts.ask();
    const asked = guest.driver.collect(STATS_QUEUE);
    const waits = guest.rig.device.parts.look();
    tell(guest, [[4, 7]]);

    expect(before).not.toHaveProperty('statistics');
    expect(first).toMatchObject({ freeMemory: 123_456, totalMemory: 2 ** 33, swapIn: 0 });
    expect([held.length, asked.length]).toEqual([0, 1]);
    expect([before.isAsked, waits.isAsked, waits.statistics?.freeMemory]).toEqual([false, true, 123_456]);
    expect(guest.rig.device.parts.look()).toMatchObject({
      isAsked: false,
      statistics: { freeMemory: 7, totalMemory: 2 ** 33 },
    });
  });

  it.each<[string, (guest: Guest) => unknown]>([
    ['a page beyond RAM', (guest) => give(guest, INFLATE_QUEUE, [0x41, RAM_BYTES / PAGE])],
    ['a page far above', (guest) => give(guest, INFLATE_QUEUE, [0xffff_ffff])],
    ['two buffers for statistics', (guest) => [tell(guest, [[0, 1]]), tell(guest, [[0, 1]])]],
  ])('stops at %s, and touches nothing', (_what, disturb) => {
    const guest = started();
    guest.rig.ram.fill(0xee, 0x4_0000, 0x5_0000);
    disturb(guest);

    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(new Set(guest.rig.ram.subarray(0x4_0000, 0x5_0000))).toEqual(new Set([0xee]));
  });

  it('stops at half a page frame number', () => {
    const { driver } = started();
    driver.add([{ address: DATA, length: 6 }], undefined, INFLATE_QUEUE);
    driver.kick(INFLATE_QUEUE);

    expect(driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
  });

  it('survives whatever page frame numbers there are', () => {
    const random = seededRandom(20_061);
    for (let life = 0; life < 50; life++) {
      const guest = started();
      for (let i = 0; i < 10; i++) {
        const numbers = Array.from(
          { length: 1 + random.next(8) },
          () => 0x10 + random.next(random.next(9) === 0 ? 2 ** 32 : 0xe0),
        );
        give(guest, random.next(2), numbers);
        guest.rig.clock.advance(2000);
        guest.driver.collect(INFLATE_QUEUE);
        guest.driver.collect(DEFLATE_QUEUE);
        if ((guest.driver.status & NEEDS_RESET) !== 0) break;
      }
      expect(guest.rig.device.parts.look().givenBytes % PAGE).toBe(0);
    }
  });
});
