import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../../machine/battery.ts';
import { GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { EV, EVENT_BYTES, SELECT, virtioInput, type InputRole } from './input.ts';
import { LAYOUTS } from './layouts.ts';
import { Rig, SLOT } from './rig.ts';

const DATA = 0x2_0000;

function guestWith(role: InputRole) {
  const rig = new Rig({ ram: new Uint8Array(1 << 20), def: virtioInput, config: { role } });
  return { rig, driver: new GuestDriver(rig, SLOT) };
}
type Guest = ReturnType<typeof guestWith>;
const chosen = ({ driver }: Guest, select: number, subsel = 0): number[] => {
  driver.write(4, 0, 1, select);
  driver.write(4, 1, 1, subsel);
  return Array.from({ length: driver.read(4, 2, 1) }, (_, i) => driver.read(4, 8 + i, 1));
};
const listen = ({ driver }: Guest, count: number): void => {
  for (let i = 0; i < count; i++)
    driver.add([{ address: DATA + EVENT_BYTES * i, length: EVENT_BYTES, writable: true }]);
  driver.kick();
};
/** Events that came since `from`, as type, code and value. */
const events = ({ rig, driver }: Guest, from = 0): number[][] =>
  driver.collect().map((_, i) => {
    const at = DATA + EVENT_BYTES * (from + i);
    return [rig.memory.read16(at), rig.memory.read16(at + 2), rig.memory.read32(at + 4) | 0];
  });

deviceBattery(virtioInput, {
  config: { role: 'tablet' },
  actions: [
    (device, random) =>
      device.parts.point(random.next(40_000), random.next(40_000), random.next(8), random.next(3) - 1),
    (device, random) => device.parts.key(random.next(300), random.next(2) === 1),
  ],
  disturb(device, rig) {
    const driver = new GuestDriver(rig, 2);
    driver.bringUp(LAYOUTS[3]![1], 16, 0x1000, 2);
    driver.write(4, 0, 1, SELECT.absInfo);
    driver.write(4, 1, 1, 1);
    driver.add([{ address: DATA, length: EVENT_BYTES, writable: true }]);
    device.parts.point(100, 200, 1, 0);
  },
});

describe('what a virtio input device says of itself', () => {
  it('is a tablet with two axes, three buttons and a wheel', () => {
    const guest = guestWith('tablet');

    expect(Buffer.from(chosen(guest, SELECT.idName)).toString()).toBe('Tomei virtio tablet');
    expect(chosen(guest, SELECT.evBits, EV.abs)).toEqual([3]);
    expect(chosen(guest, SELECT.evBits, EV.key)).toEqual([...Array.from({ length: 0x110 / 8 }, () => 0), 7]);
    expect(chosen(guest, SELECT.evBits, EV.rel)).toEqual([0, 1]);
    expect(chosen(guest, SELECT.absInfo, 1).slice(0, 8)).toEqual([0, 0, 0, 0, 0xff, 0x7f, 0, 0]);
    expect([chosen(guest, SELECT.absInfo, 2), chosen(guest, SELECT.evBits, EV.rep), chosen(guest, 0xff)]).toEqual([
      [],
      [],
      [],
    ]);
  });

  it('is a keyboard that repeats and has lights', () => {
    const guest = guestWith('keyboard');

    expect(chosen(guest, SELECT.evBits, EV.key)).toEqual([0xfe, ...Array.from({ length: 31 }, () => 0xff)]);
    expect([chosen(guest, SELECT.evBits, EV.rep), chosen(guest, SELECT.evBits, EV.led)]).toEqual([[3], [7]]);
    expect(chosen(guest, SELECT.evBits, EV.abs)).toEqual([]);
  });
});

describe.each(LAYOUTS)('virtio-input, %s', (_layout, features) => {
  const started = (role: InputRole): Guest => {
    const guest = guestWith(role);
    guest.driver.bringUp(features, 16, 0x1000, 2);
    return guest;
  };

  it('reports where the pointer is and what has changed, each moment with an end', () => {
    const guest = started('tablet');
    listen(guest, 16);
    guest.rig.device.parts.point(100, 40_000, 0, 0);
    guest.rig.device.parts.point(100, 40_000, 5, 0);
    guest.rig.device.parts.point(101, 40_000, 4, -2);

    expect(events(guest)).toEqual([
      ...[[EV.abs, 0, 100], [EV.abs, 1, 0x7fff], [EV.syn, 0, 0]],
      ...[[EV.key, 0x110, 1], [EV.key, 0x112, 1], [EV.syn, 0, 0]],
      ...[[EV.abs, 0, 101], [EV.key, 0x110, 0], [EV.rel, 8, -2], [EV.syn, 0, 0]],
    ]); // prettier-ignore
    expect(guest.rig.interrupt).toBe(true);
  });

  it('holds events until there are buffers, over a save too', () => {
    const guest = started('keyboard');
    guest.rig.device.parts.key(30, true);
    guest.rig.device.restore(structuredClone(guest.rig.device.save()));
    listen(guest, 1);
    const first = events(guest);
    listen(guest, 2);
    guest.rig.device.parts.key(300, true);

    expect([first, events(guest)]).toEqual([[[EV.key, 30, 1]], [[EV.syn, 0, 0]]]);
  });

  it('forgets nothing of what it had no room for: the next moment tells it', () => {
    const guest = started('tablet');
    for (let x = 1; x < 1000; x++) guest.rig.device.parts.point(x, 0, x === 500 ? 1 : 0, 0);
    const seen: number[][] = [];
    let came: number[][];
    do {
      listen(guest, 16);
      came = events(guest);
      seen.push(...came);
    } while (came.length === 16);
    guest.rig.device.parts.point(999, 0, 0, 0);

    expect(seen).toHaveLength(256);
    expect(seen.slice(-2)).toEqual([[EV.abs, 0, 128], [EV.syn, 0, 0]]); // prettier-ignore
    expect(events(guest)).toEqual([[EV.abs, 0, 999], [EV.syn, 0, 0]]); // prettier-ignore
  });

  it('stops at buffers that are too small', () => {
    const guest = started('tablet');
    guest.driver.add([{ address: DATA, length: 7, writable: true }]);
    guest.rig.device.parts.point(1, 1, 0, 0);

    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(guest.rig.troubles).toHaveLength(1);
  });

  it('takes lights from the driver', () => {
    const guest = started('keyboard');
    const id = guest.driver.add([{ address: DATA, length: EVENT_BYTES }], undefined, 1);
    guest.driver.kick(1);

    expect(guest.driver.collect(1)).toEqual([{ id, length: 0 }]);
  });
});
