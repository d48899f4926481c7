import { describe, expect, it } from 'vitest';
import { blankDisplayState } from '../../display/display-state.ts';
import { renderFrame } from '../../display/render.ts';
import { deviceBattery, seededRandom } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { edid } from '../vga-edid.ts';
import { CONTROL_QUEUE, CURSOR_QUEUE, VIRTIO_GPU_F_EDID, gpuMemory, virtioGpu } from './gpu.ts';
import { ANSWER, COMMAND } from './gpu-protocol.ts';
import { GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { LAYOUTS } from './layouts.ts';
import { Rig, SLOT } from './rig.ts';

const RAM_BYTES = 1 << 20;
const COMMAND_AT = 0x8000,
  ANSWER_AT = 0x9000,
  PIXELS = 0x4_0000;
const BGRX = 2,
  BGRA = 1;
const SHOWN = { x: 0, y: 0, width: 4, height: 3 };

class Guest {
  readonly memory = new Uint8Array(1 << 18);
  readonly rig;
  readonly driver;

  constructor() {
    this.rig = new Rig({
      ram: new Uint8Array(RAM_BYTES),
      def: virtioGpu,
      config: {},
      backends: () => [backend(gpuMemory, { bytes: this.memory })],
    });
    this.driver = new GuestDriver(this.rig, SLOT);
  }
  start(features: readonly number[]): this {
    this.driver.bringUp([...features, VIRTIO_GPU_F_EDID], 16, 0x1000, 2);
    return this;
  }
  /** Sends a command of words after its header. Returns the type of the answer. */
  send(type: number, ...words: readonly number[]): number {
    const { memory } = this.rig;
    [type, 1, 0x1234, 5, 9, 0, ...words].forEach((word, i) => memory.write32(COMMAND_AT + 4 * i, word >>> 0));
    const length = 24 + 4 * words.length;
    memory.write32(ANSWER_AT, 0);
    this.driver.add(
      [
        { address: COMMAND_AT, length },
        { address: ANSWER_AT, length: 2048, writable: true },
      ],
      undefined,
      CONTROL_QUEUE,
    );
    this.driver.kick(CONTROL_QUEUE);
    this.rig.clock.advance(2_000);
    this.driver.collect(CONTROL_QUEUE);
    return memory.read32(ANSWER_AT);
  }
  answer(word: number): number {
    return this.rig.memory.read32(ANSWER_AT + 24 + 4 * word);
  }
  create(id: number, width: number, height: number, format = BGRX): number {
    return this.send(COMMAND.resourceCreate2d, id, format, width, height);
  }
  attach(id: number, ...entries: readonly (readonly [address: number, length: number])[]): number {
    const words = entries.flatMap(([address, length]) => [address, Math.floor(address / 2 ** 32), length, 0]);
    return this.send(COMMAND.resourceAttachBacking, id, entries.length, ...words);
  }
  transfer(id: number, { x, y, width, height } = SHOWN, offset = 0): number {
    return this.send(COMMAND.transferToHost2d, x, y, width, height, offset, 0, id, 0);
  }
  show(id: number, { x, y, width, height } = SHOWN): number {
    return this.send(COMMAND.setScanout, x, y, width, height, 0, id);
  }
  point(type: number, x: number, y: number, id: number): void {
    [type, 0, 0, 0, 0, 0, 0, x, y, 0, id, 0, 0, 0].forEach((word, i) =>
      this.rig.memory.write32(COMMAND_AT + 4 * i, word >>> 0),
    );
    this.driver.add([{ address: COMMAND_AT, length: 56 }], undefined, CURSOR_QUEUE);
    this.driver.kick(CURSOR_QUEUE);
  }
  /** The screen, a dot as red, green and blue in hexadecimal; undefined while it is the VGA's. */
  screen(): string[] | undefined {
    const scanout = this.rig.device.parts.scanout();
    if (scanout === undefined) return undefined;
    const { width, height, rgba } = renderFrame({
      display: { ...blankDisplayState(), scanout },
      memory: this.memory,
    });
    const dot = (i: number): string => Buffer.from(rgba.subarray(4 * i, 4 * i + 3)).toString('hex');
    return Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (_, x) => dot(y * width + x)).join(' '),
    );
  }
  /** Dots of 0xRRGGBB into guest memory. */
  paint(at: number, dots: readonly number[]): void {
    dots.forEach((dot, i) => this.rig.memory.write32(at + 4 * i, dot));
  }
}

deviceBattery(virtioGpu, {
  config: {},
  bench: () => {
    const bytes = new Uint8Array(1 << 18);
    return { backends: [backend(gpuMemory, { bytes })], memory: bytes };
  },
  actions: [
    (device, random) => void device.parts.resize(random.next(9000), random.next(9000)),
    (device) => device.parts.scanout()?.width,
  ],
  disturb(device, rig) {
    const driver = new GuestDriver(rig, 2);
    driver.bringUp([...LAYOUTS[3]![1], VIRTIO_GPU_F_EDID], 16, 0x1000, 2);
    const send = (...words: readonly number[]): void => {
      [words[0]!, 0, 0, 0, 0, 0, ...words.slice(1)].forEach((word, i) =>
        rig.board.ram.write32(COMMAND_AT + 4 * i, word),
      );
      driver.add([
        { address: COMMAND_AT, length: 96 },
        { address: ANSWER_AT, length: 64, writable: true },
      ]);
      driver.kick();
    };
    send(COMMAND.resourceCreate2d, 1, BGRA, 64, 64);
    send(COMMAND.resourceAttachBacking, 1, 1, PIXELS, 0, 4096 * 4, 0);
    send(COMMAND.setScanout, 0, 0, 64, 32, 0, 1);
    device.parts.resize(800, 600);
  },
});

describe.each(LAYOUTS)('virtio-gpu, %s', (_layout, features) => {
  const started = (): Guest => new Guest().start(features);
  /** With an image of 4x3 dots on the screen. */
  function showing(): Guest {
    const guest = started();
    guest.create(7, 4, 3);
    guest.attach(7, [PIXELS, 20], [PIXELS + 0x1000, 28]);
    guest.paint(PIXELS, [0x010203, 0x111111, 0x222222, 0x333333, 0x404142]);
    guest.paint(PIXELS + 0x1000, [0x515151, 0x616161, 0x717171, 0x818181, 0x919191, 0xa1a1a1, 0xb1b2b3]);
    guest.transfer(7);
    guest.show(7);
    return guest;
  }
  const PICTURE = ['010203 111111 222222 333333', '404142 515151 616161 717171', '818181 919191 a1a1a1 b1b2b3'];

  it('tells of one screen, with an EDID that says the same, and answers fences', () => {
    const guest = started();

    expect(guest.send(COMMAND.getDisplayInfo)).toBe(ANSWER.displayInfo);
    expect([2, 3, 4, 10].map((word) => guest.answer(word))).toEqual([1024, 768, 1, 0]);
    expect([1, 2, 3, 4].map((word) => guest.rig.memory.read32(ANSWER_AT + 4 * word))).toEqual([1, 0x1234, 5, 9]);
    expect(guest.send(COMMAND.getEdid, 0, 0)).toBe(ANSWER.edid);
    expect(guest.answer(0)).toBe(128);
    expect(guest.rig.ram.slice(ANSWER_AT + 32, ANSWER_AT + 160)).toEqual(edid());
    expect(guest.send(COMMAND.getEdid, 1, 0)).toBe(ANSWER.invalidScanout);
    expect(guest.send(COMMAND.getDisplayInfo + 8)).toBe(ANSWER.unspecified);
  });

  it('shows what was transferred, from the first scanout to the reset', () => {
    const guest = started();
    expect(guest.screen()).toBeUndefined();

    const shown = showing();
    expect(shown.screen()).toEqual(PICTURE);
    shown.paint(PIXELS, [0xffffff, 0xeeeeee]);
    expect(shown.screen()).toEqual(PICTURE);
    expect(shown.transfer(7, { x: 1, y: 0, width: 1, height: 1 }, 4)).toBe(ANSWER.ok);
    expect(shown.screen()![0]).toBe('010203 eeeeee 222222 333333');
    shown.show(7, { x: 1, y: 1, width: 2, height: 2 });
    expect(shown.screen()).toEqual(['515151 616161', '919191 a1a1a1']);
    shown.send(COMMAND.resourceUnref, 7, 0);
    expect(shown.screen()).toHaveLength(768);
    shown.driver.status = 0;
    expect(shown.screen()).toBeUndefined();
  });

  it.each([
    [1, 0x04030201, '030201'],
    [2, 0x04030201, '030201'],
    [3, 0x04030201, '020304'],
    [4, 0x04030201, '020304'],
    [67, 0x04030201, '010203'],
    [68, 0x04030201, '040302'],
    [121, 0x04030201, '040302'],
    [134, 0x04030201, '010203'],
  ])('knows format %i', (format, word, dot) => {
    const guest = started();
    guest.create(1, 1, 1, format);
    guest.attach(1, [PIXELS, 4]);
    guest.paint(PIXELS, [word]);
    const one = { x: 0, y: 0, width: 1, height: 1 };
    guest.transfer(1, one);
    guest.show(1, one);

    expect(guest.screen()).toEqual([dot]);
  });

  it('puts the cursor over the picture, where it is let through', () => {
    const guest = showing();
    guest.create(3, 64, 64, BGRA);
    guest.attach(3, [PIXELS, 64 * 64 * 4]);
    guest.rig.ram.fill(0, PIXELS, PIXELS + 64 * 64 * 4);
    guest.paint(PIXELS, [0xffff0000, 0x80000080]);
    guest.transfer(3, { x: 0, y: 0, width: 64, height: 64 });

    guest.point(COMMAND.updateCursor, 1, 2, 3);
    expect(guest.screen()).toEqual([PICTURE[0], PICTURE[1], '818181 ff0000 5050d0 b1b2b3']);
    guest.point(COMMAND.moveCursor, -1, 0, 0);
    expect(guest.screen()).toEqual(['000181 111111 222222 333333', PICTURE[1], PICTURE[2]]);
    // What it looks like is kept, whatever becomes of the resource.
    guest.send(COMMAND.resourceUnref, 3, 0);
    guest.point(COMMAND.moveCursor, 3, 0, 0);
    expect(guest.screen()![0]).toBe('010203 111111 222222 ff0000');
    guest.point(COMMAND.updateCursor, 0, 0, 0);
    expect(guest.screen()).toEqual(PICTURE);
  });

  it('asks for another size by an event that the driver takes away', () => {
    const guest = showing();
    expect(guest.driver.isr & 2).toBe(0);
    const { interrupts } = guest.rig;
    guest.rig.device.parts.resize(1600, 900);

    expect(guest.rig.interrupts).toBe(interrupts + 1);
    expect(guest.driver.isr & 2).toBe(2);
    expect(guest.driver.read(4, 0, 4)).toBe(1);
    guest.driver.write(4, 4, 4, 1);
    expect(guest.driver.read(4, 0, 4)).toBe(0);
    guest.send(COMMAND.getDisplayInfo);
    expect([2, 3].map((word) => guest.answer(word))).toEqual([1600, 900]);
    guest.send(COMMAND.getEdid, 0, 0);
    expect(guest.rig.ram.slice(ANSWER_AT + 32, ANSWER_AT + 160)).toEqual(edid(1600, 900));
    guest.rig.device.parts.resize(100_000, 1);
    guest.send(COMMAND.getDisplayInfo);
    expect([2, 3].map((word) => guest.answer(word))).toEqual([4095, 64]);
  });

  it('refuses what cannot be', () => {
    const guest = showing();
    const huge = { x: 0xffff_ffff, y: 0, width: 2, height: 1 };

    expect(guest.create(7, 4, 3)).toBe(ANSWER.invalidResource);
    expect(guest.create(0, 4, 3)).toBe(ANSWER.invalidResource);
    expect(guest.create(8, 4, 3, 5)).toBe(ANSWER.invalidParameter);
    expect(guest.create(8, 0, 3)).toBe(ANSWER.invalidParameter);
    expect(guest.create(8, 0xffff_ffff, 0xffff_ffff)).toBe(ANSWER.invalidParameter);
    expect(guest.create(8, 16_384, 16_384)).toBe(ANSWER.outOfMemory);
    expect(guest.transfer(8)).toBe(ANSWER.invalidResource);
    expect(guest.transfer(7, huge)).toBe(ANSWER.invalidParameter);
    expect(guest.transfer(7, { x: 0, y: 0, width: 0, height: 3 })).toBe(ANSWER.invalidParameter);
    expect(guest.show(7, huge)).toBe(ANSWER.invalidParameter);
    expect(guest.show(9)).toBe(ANSWER.invalidResource);
    expect(guest.send(COMMAND.setScanout, 0, 0, 4, 3, 1, 7)).toBe(ANSWER.invalidScanout);
    expect(guest.attach(7, [PIXELS, 4])).toBe(ANSWER.unspecified);
    expect(guest.send(COMMAND.resourceDetachBacking, 7, 0)).toBe(ANSWER.ok);
    expect(guest.attach(7, [RAM_BYTES - 2, 4])).toBe(ANSWER.invalidParameter);
    expect(guest.attach(7, [2 ** 40, 4])).toBe(ANSWER.invalidParameter);
    expect(guest.send(COMMAND.resourceAttachBacking, 7, 16_384, PIXELS, 0, 4, 0)).toBe(ANSWER.invalidParameter);
    expect(guest.send(COMMAND.resourceAttachBacking, 7, 0xffff_ffff)).toBe(ANSWER.outOfMemory);
    expect(guest.send(COMMAND.resourceUnref, 9, 0)).toBe(ANSWER.invalidResource);
    expect(guest.screen()).toEqual(PICTURE);
    expect(guest.driver.status & NEEDS_RESET).toBe(0);
  });

  it('stops at a command without room for an answer', () => {
    const guest = started();
    guest.driver.add([{ address: COMMAND_AT, length: 24 }]);
    guest.driver.kick();

    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
  });

  it('has a place for each image of its own, and uses those again that were given up', () => {
    const guest = started();
    const random = seededRandom(8);
    const alive = new Map<number, { size: number; colour: number }>();
    let refused = 0;
    for (let step = 0; step < 300; step++) {
      const id = 1 + random.next(12);
      if (alive.delete(id)) guest.send(COMMAND.resourceUnref, id, 0);
      else {
        const size = 1 + random.next(200);
        if (guest.create(id, size, size) === ANSWER.ok) {
          const colour = random.next(1 << 24);
          guest.paint(
            PIXELS,
            Array.from({ length: size * size }, () => colour),
          );
          guest.attach(id, [PIXELS, size * size * 4]);
          guest.transfer(id, { x: 0, y: 0, width: size, height: size });
          alive.set(id, { size, colour });
        } else refused++;
      }
    }
    for (const [id, { size, colour }] of alive) {
      guest.show(id, { x: 0, y: 0, width: size, height: size });
      const row = Array.from({ length: size }, () => colour.toString(16).padStart(6, '0')).join(' ');
      expect(guest.screen()).toEqual(Array.from({ length: size }, () => row));
    }
    expect(refused).toBeGreaterThan(5);
  });

  it('goes on from a saved state, and refuses one that cannot be', () => {
    const guest = showing();
    const copy = new Guest();
    copy.memory.set(guest.memory);
    copy.rig.board.restore(structuredClone(guest.rig.board.save()));
    expect(copy.screen()).toEqual(PICTURE);

    const saved = structuredClone(guest.rig.device.save());
    const { resources } = saved.state as { resources: { at: number }[] };
    resources[0]!.at = 1 << 20;
    copy.rig.device.restore(saved);
    expect(copy.screen()).toBeUndefined();
    expect(copy.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
  });
});
