import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { LAYOUTS } from './layouts.ts';
import { randomSource, type RandomSource } from './random-source.ts';
import { Rig, SLOT } from './rig.ts';
import { MOST_RANDOM_BYTES, virtioRng } from './rng.ts';

/** Gives what the test wants, when it wants. */
class Source implements RandomSource {
  readonly asked: number[] = [];
  give: (bytes: Uint8Array) => void = () => undefined;
  request(bytes: number): void {
    this.asked.push(bytes);
  }
  onBytes(handler: (bytes: Uint8Array) => void): void {
    this.give = handler;
  }
}

function guestWith(ram: Uint8Array = new Uint8Array(1 << 20)) {
  const source = new Source();
  const rig = new Rig({ ram, def: virtioRng, config: {}, backends: () => [backend(randomSource, source)] });
  return { source, rig, driver: new GuestDriver(rig, SLOT) };
}
const DATA = 0x8000;

deviceBattery(virtioRng, {
  config: {},
  bench() {
    const source = new Source();
    return { backends: [backend(randomSource, source)], output: () => source.asked };
  },
  disturb(_device, rig) {
    const driver = new GuestDriver(rig, 2);
    driver.bringUp(LAYOUTS[3]![1]);
    driver.add([{ address: DATA, length: 64, writable: true }]);
    driver.kick();
  },
});

describe.each(LAYOUTS)('virtio-rng, %s', (_layout, features) => {
  it('fills buffers one after the other with what comes', () => {
    const { source, rig, driver } = guestWith();
    driver.bringUp(features);
    const first = driver.add([
      { address: DATA, length: 3, writable: true },
      { address: DATA + 0x100, length: 61, writable: true },
    ]);
    const second = driver.add([{ address: DATA + 0x200, length: 1 << 16, writable: true }]);
    driver.kick();
    const before = driver.collect();

    source.give(Uint8Array.from({ length: 16 }, (_, i) => i + 1));
    source.give(Uint8Array.of(9));

    expect(before).toEqual([]);
    expect(source.asked).toEqual([64, MOST_RANDOM_BYTES]);
    expect(driver.collect()).toEqual([
      { id: first, length: 16 },
      { id: second, length: 1 },
    ]);
    expect([...rig.ram.slice(DATA, DATA + 4)]).toEqual([1, 2, 3, 0]);
    expect([...rig.ram.slice(DATA + 0x100, DATA + 0x10e)]).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0]);
    expect(rig.interrupt).toBe(true);
  });

  it('goes on where it was saved: asks again', () => {
    const { rig, driver } = guestWith();
    driver.bringUp(features);
    const id = driver.add([{ address: DATA, length: 8, writable: true }]);
    driver.kick();
    const copy = guestWith(rig.ram);

    copy.rig.device.restore(structuredClone(rig.device.save()));
    copy.source.give(new Uint8Array(8).fill(7));

    expect(copy.source.asked).toEqual([8]);
    expect(driver.collect()).toEqual([{ id, length: 8 }]);
  });

  it('writes nothing into the buffers of a driver that has reset it', () => {
    const { source, rig, driver } = guestWith();
    driver.bringUp(features);
    driver.add([{ address: DATA, length: 8, writable: true }]);
    driver.kick();

    driver.status = 0;
    source.give(new Uint8Array(8).fill(7));

    expect(rig.ram[DATA]).toBe(0);
  });

  it('stops at a buffer that it may not write', () => {
    const { source, rig, driver } = guestWith();
    driver.bringUp(features);
    driver.add([{ address: DATA, length: 8 }]);
    driver.kick();

    expect(driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(source.asked).toEqual([]);
    expect(rig.troubles).toHaveLength(1);
  });
});

it('does nothing for a saved buffer outside RAM', () => {
  const { rig, driver } = guestWith();
  driver.bringUp(LAYOUTS[0]![1]);
  driver.add([{ address: DATA, length: 8, writable: true }]);
  driver.kick();
  const saved = structuredClone(rig.device.save()) as { state: { waiting: { segments: object[] }[] } } & ReturnType<
    typeof rig.device.save
  >;
  saved.state.waiting[0]!.segments = [{ address: 2 ** 32, length: 8 }];
  const copy = guestWith(rig.ram);

  copy.rig.device.restore(saved);

  expect(copy.source.asked).toEqual([]);
  expect(copy.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
});
