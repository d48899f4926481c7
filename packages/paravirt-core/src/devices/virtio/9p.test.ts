import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { shareBackend, type ShareBackend } from './9p-backend.ts';
import { virtio9p } from './9p.ts';
import { GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { LAYOUTS } from './layouts.ts';
import { Rig, SLOT } from './rig.ts';

/** Answers what the test wants, when it wants. */
class Server implements ShareBackend {
  readonly tag = 'work';
  readonly asked: (readonly [number, string])[] = [];
  resets = 0;
  answer: (id: number, answer: Uint8Array) => void = () => undefined;
  submit(id: number, message: Uint8Array): void {
    this.asked.push([id, new TextDecoder().decode(message)]);
  }
  reset(): void {
    this.resets++;
  }
  onAnswer(handler: (id: number, answer: Uint8Array) => void): void {
    this.answer = handler;
  }
}
const MESSAGE = 0x8000;
const ROOM = 0x9000;

function guestWith(ram: Uint8Array = new Uint8Array(1 << 20)) {
  const server = new Server();
  const rig = new Rig({ ram, def: virtio9p, config: {}, backends: () => [backend(shareBackend, server)] });
  return { server, rig, driver: new GuestDriver(rig, SLOT) };
}
function ask({ rig, driver }: Pick<ReturnType<typeof guestWith>, 'rig' | 'driver'>, text: string, room = 16): number {
  rig.ram.set(new TextEncoder().encode(text), MESSAGE);
  const id = driver.add([
    { address: MESSAGE, length: text.length },
    { address: ROOM, length: room, writable: true },
  ]);
  driver.kick();
  return id;
}

deviceBattery(virtio9p, {
  config: {},
  bench() {
    const server = new Server();
    return { backends: [backend(shareBackend, server)], output: () => server.asked };
  },
  disturb(_device, rig) {
    const driver = new GuestDriver(rig, 2);
    driver.bringUp(LAYOUTS[3]![1]);
    driver.add([
      { address: MESSAGE, length: 64 },
      { address: ROOM, length: 64, writable: true },
    ]);
    driver.kick();
  },
});

describe.each(LAYOUTS)('virtio-9p, %s', (_layout, features) => {
  it('hands messages over and puts answers back, in whatever order they come', () => {
    const guest = guestWith();
    guest.driver.bringUp(features);
    const first = ask(guest, 'message one');
    const second = ask(guest, 'message two');
    const [[one], [two]] = guest.server.asked as [[number, string], [number, string]];

    guest.server.answer(two, new TextEncoder().encode('second'));
    guest.server.answer(one, new TextEncoder().encode('the first'));

    expect(guest.server.asked.map(([, text]) => text)).toEqual(['message one', 'message two']);
    expect(guest.driver.collect()).toEqual([
      { id: second, length: 6 },
      { id: first, length: 9 },
    ]);
    expect(new TextDecoder().decode(guest.rig.ram.slice(ROOM, ROOM + 9))).toBe('the first');
    expect(guest.rig.interrupt).toBe(true);
  });
  it('asks again where it was restored', () => {
    const guest = guestWith();
    guest.driver.bringUp(features);
    const id = ask(guest, 'message');
    const copy = guestWith(guest.rig.ram);

    copy.rig.device.restore(structuredClone(guest.rig.device.save()));
    copy.server.answer(copy.server.asked[0]![0], new Uint8Array(7));

    expect(copy.server.asked.map(([, text]) => text)).toEqual(['message']);
    expect(guest.driver.collect()).toEqual([{ id, length: 7 }]);
  });
  it('writes nothing for a driver that has reset it', () => {
    const guest = guestWith();
    guest.driver.bringUp(features);
    ask(guest, 'message');

    guest.server.resets = 0;
    guest.driver.status = 0;
    expect(guest.server.resets).toBe(1);
    guest.server.answer(guest.server.asked[0]![0], new Uint8Array(7).fill(9));

    expect(guest.rig.ram[ROOM]).toBe(0);
  });
  it.each([
    ['a message without a header', 'short', 16],
    ['an answer that cannot even be an error', 'message', 6],
  ])('stops at %s', (_what, text, room) => {
    const guest = guestWith();
    guest.driver.bringUp(features);
    ask(guest, text, room);

    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(guest.server.asked).toEqual([]);
  });
  it('stops at an answer that is longer than its room', () => {
    const guest = guestWith();
    guest.driver.bringUp(features);
    ask(guest, 'message');
    guest.server.answer(guest.server.asked[0]![0], new Uint8Array(17).fill(9));

    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(guest.rig.ram[ROOM]).toBe(0);
  });
});
