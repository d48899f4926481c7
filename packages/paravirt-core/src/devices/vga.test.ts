import { ManualClock, seconds, us } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { renderFrame } from '../display/render.ts';
import { textOf } from '../display/text-screen.ts';
import { MODE_13H, MODE_640X480_PLANAR, MODE_TEXT, type VgaMode } from '../display/vga-modes.ts';
import { deviceBattery, type Random, type Rig } from '../machine/battery.ts';
import { backend, Board } from '../machine/board.ts';
import type { Device } from '../machine/device.ts';
import { vga, videoMemoryBackend, type VgaConfig, type VgaParts } from './vga.ts';

const [ATTRIBUTE, MISC, SEQUENCER, DAC_READ, DAC_WRITE, DAC, GRAPHICS, CRTC, STATUS] = [
  0x3c0, 0x3c2, 0x3c4, 0x3c7, 0x3c8, 0x3c9, 0x3ce, 0x3d4, 0x3da,
];
const [WINDOW_GRAPHICS, WINDOW_TEXT] = [0xa_0000, 0xb_8000];
const [DISPI_INDEX, DISPI_DATA] = [0x1ce, 0x1cf];
const [ID, WIDTH, HEIGHT, DEPTH, ENABLE, BANK, VIRTUAL_WIDTH, VIRTUAL_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
];
const [ENABLED, CAPABILITIES, EIGHT_BIT_DAC, LINEAR, KEEP] = [0x01, 0x02, 0x20, 0x40, 0x80];

function machine(config: VgaConfig = {}, size = 1 << 20) {
  const memory = new Uint8Array(size);
  const clock = new ManualClock();
  const board = new Board({ ram: new Uint8Array(16), clock });
  const device = board.add(vga, config, { backends: [backend(videoMemoryBackend, { bytes: memory, size })] });
  board.reset();
  const write = (port: number, value: number): void => board.portWrite(port, 1, value);
  const read = (port: number): number => board.portRead(port, 1);
  return {
    board,
    clock,
    device,
    memory,
    write,
    read,
    /** Writes an indexed register through its index and data ports. */
    set(port: number, index: number, value: number): void {
      board.portWrite(port, 2, index | (value << 8));
    },
    get(port: number, index: number): number {
      write(port, index);
      return read(port + 1);
    },
    dispi(index: number, value: number): void {
      board.portWrite(DISPI_INDEX, 2, index);
      board.portWrite(DISPI_DATA, 2, value);
    },
    dispiRead(index: number): number {
      board.portWrite(DISPI_INDEX, 2, index);
      return board.portRead(DISPI_DATA, 2);
    },
    poke: (address: number, value: number): void => board.memoryWrite(address, 1, value),
    peek: (address: number): number => board.memoryRead(address, 1),
    view: () => ({ display: device.parts.display(), memory }),
  };
}
type Machine = ReturnType<typeof machine>;

/** Sets a mode the way a BIOS does. */
function setMode({ write, read, set }: Machine, mode: VgaMode): void {
  write(MISC, mode.miscOutput);
  mode.sequencer.forEach((value, i) => set(SEQUENCER, i, value));
  set(CRTC, 0x11, 0);
  mode.crtc.forEach((value, i) => set(CRTC, i, value));
  mode.graphics.forEach((value, i) => set(GRAPHICS, i, value));
  read(STATUS);
  mode.attribute.forEach((value, i) => {
    write(ATTRIBUTE, i);
    write(ATTRIBUTE, value);
  });
  write(ATTRIBUTE, 0x20);
  write(DAC_WRITE, 0);
  for (const part of mode.palette()) write(DAC, part >> 2);
}

function disturb(device: Device<VgaParts>, { board }: Rig<VgaParts>): void {
  const write = (port: number, ...values: number[]): void => values.forEach((v) => board.portWrite(port, 1, v));
  write(MISC, 0x67);
  write(0x3c3, 1);
  write(0x3da, 3);
  for (const [port, index, value] of [
    [SEQUENCER, 2, 0x05],
    [SEQUENCER, 4, 0x06],
    [GRAPHICS, 5, 0x40],
    [GRAPHICS, 6, 0x05],
    [CRTC, 0x12, 0x8f],
  ] as const) {
    board.portWrite(port, 2, index | (value << 8));
  }
  write(ATTRIBUTE, 0x20);
  write(0x3c6, 0x7f);
  write(DAC_WRITE, 7);
  write(DAC, 1, 2, 3, 4, 5);
  board.portWrite(DISPI_INDEX, 2, WIDTH);
  board.portWrite(DISPI_DATA, 2, 320);
  board.portWrite(DISPI_INDEX, 2, Y_OFFSET);
  board.portWrite(DISPI_DATA, 2, 300);
  board.memoryWrite(WINDOW_GRAPHICS, 4, 0x1234_5678);
  board.memoryRead(WINDOW_GRAPHICS, 1);
  device.parts.display();
}

const bench = () => {
  const bytes = new Uint8Array(1 << 18);
  return { backends: [backend(videoMemoryBackend, { bytes, size: bytes.length })], memory: bytes };
};
/** What the machine's display side does at any time; it must never throw. Large frames take long, so not often. */
const render = (device: Device<VgaParts>, random: Random): unknown => {
  if (random.next(40) !== 0) return undefined;
  const { width, height } = renderFrame({ display: device.parts.display(), memory: new Uint8Array(1 << 16) });
  return [width, height];
};
deviceBattery(vga, { config: { initialMode: 'text' }, disturb, bench });
deviceBattery(vga, { config: {}, disturb, bench, seed: 1111, actions: [render] });

describe('vga registers', () => {
  it('takes attribute index and data in turn, starting over after a read of input status 1', () => {
    const { write, read } = machine({ initialMode: 'text' });

    read(STATUS);
    write(ATTRIBUTE, 0x11);
    write(ATTRIBUTE, 0x2a);
    write(ATTRIBUTE, 0x12);
    read(STATUS);
    write(ATTRIBUTE, 0x31);

    expect(read(ATTRIBUTE + 1)).toBe(0x2a);
  });

  it('protects CRTC registers 0 to 7, save for the line compare bit', () => {
    const { set, get } = machine({ initialMode: 'text' });

    set(CRTC, 0x11, 0x80);
    set(CRTC, 0x01, 0x33);
    set(CRTC, 0x07, 0x00);
    set(CRTC, 0x08, 0x03);

    expect([get(CRTC, 0x01), get(CRTC, 0x07), get(CRTC, 0x08)]).toEqual([0x4f, 0x0f, 0x03]);
  });

  it('answers at the colour or the monochrome ports, as the miscellaneous register says', () => {
    const { write, read, get } = machine({ initialMode: 'text' });

    expect([get(CRTC, 1), get(0x3b4, 1)]).toEqual([0x4f, 0xff]);
    write(MISC, 0x66);
    expect([get(CRTC, 1), get(0x3b4, 1), read(STATUS)]).toEqual([0xff, 0x4f, 0xff]);
  });

  it('gives colours back as they were written, in six and in eight bits', () => {
    const { write, read, dispi } = machine();
    const colour = (index: number): number[] => {
      write(DAC_READ, index);
      return [read(DAC), read(DAC), read(DAC)];
    };

    write(DAC_WRITE, 200);
    for (const value of [0, 0x2a, 0x3f, 1, 2, 3]) write(DAC, value);
    expect([colour(200), colour(201)]).toEqual([[0, 0x2a, 0x3f], [1, 2, 3]]); // prettier-ignore

    dispi(ENABLE, EIGHT_BIT_DAC);
    expect(colour(200)).toEqual([0, 0xaa, 0xff]);
    write(DAC_WRITE, 9);
    for (const value of [0x81, 0x12, 0xfe]) write(DAC, value);
    expect(colour(9)).toEqual([0x81, 0x12, 0xfe]);
  });

  it('counts frames: text mode has 70 vertical retraces a second', () => {
    const { clock, read } = machine({ initialMode: 'text' });
    let retraces = 0;
    let before = true;

    for (let i = 0; i < seconds(1) / us(100); i++) {
      clock.advance(us(100));
      const now = (read(STATUS) & 0x08) !== 0;
      if (now && !before) retraces++;
      before = now;
    }

    expect(retraces).toBe(70);
  });

  it('never shows dots during vertical retrace and shows them most of the time', () => {
    const { clock, read } = machine({ initialMode: 'text' });
    const seen = new Map<number, number>();

    for (let i = 0; i < 10_000; i++) {
      clock.advance(7_001);
      const bits = read(STATUS) & 0x09;
      seen.set(bits, (seen.get(bits) ?? 0) + 1);
    }

    expect([...seen.keys()].sort()).toEqual([0, 1, 9]);
    expect(seen.get(0)! / 10_000).toBeCloseTo(0.71, 1);
  });
});

describe('vga memory', () => {
  /** Planes 0..3 of a cell. */
  const cell = ({ memory }: Machine, at: number): number[] => [...memory.subarray(at * 4, at * 4 + 4)];

  it('stores a character and its attribute in planes 0 and 1 of one cell', () => {
    const m = machine({ initialMode: 'text' });

    m.board.memoryWrite(WINDOW_TEXT + 4, 2, 0x1e41);

    expect(cell(m, 2).slice(0, 2)).toEqual([0x41, 0x1e]);
    expect(m.board.memoryRead(WINDOW_TEXT + 4, 2)).toBe(0x1e41);
    expect(textOf(m.view())[0]).toBe('  A');
  });

  it('makes mode 13h agree with the linear framebuffer', () => {
    const m = machine();
    setMode(m, MODE_13H);

    m.board.memoryWrite(WINDOW_GRAPHICS + 320, 4, 0x0403_0201);

    expect([...m.memory.subarray(320, 324)]).toEqual([1, 2, 3, 4]);
    expect(m.peek(WINDOW_GRAPHICS + 322)).toBe(3);
  });

  it('write mode 0: map mask, set/reset, rotation, function and bit mask', () => {
    const m = machine();
    setMode(m, MODE_640X480_PLANAR);

    m.poke(WINDOW_GRAPHICS, 0xa5);
    expect(cell(m, 0)).toEqual([0xa5, 0xa5, 0xa5, 0xa5]);

    m.set(SEQUENCER, 2, 0b0110);
    m.set(GRAPHICS, 3, 4);
    m.poke(WINDOW_GRAPHICS, 0x1f);
    expect(cell(m, 0)).toEqual([0xa5, 0xf1, 0xf1, 0xa5]);

    m.set(SEQUENCER, 2, 0b1111);
    m.set(GRAPHICS, 3, 0);
    m.set(GRAPHICS, 0, 0b0001);
    m.set(GRAPHICS, 1, 0b0011);
    m.set(GRAPHICS, 8, 0x0f);
    m.peek(WINDOW_GRAPHICS);
    m.poke(WINDOW_GRAPHICS, 0x33);
    expect(cell(m, 0)).toEqual([0xaf, 0xf0, 0xf3, 0xa3]);

    m.set(GRAPHICS, 1, 0);
    m.set(GRAPHICS, 8, 0xff);
    m.set(GRAPHICS, 3, 3 << 3);
    m.peek(WINDOW_GRAPHICS);
    m.poke(WINDOW_GRAPHICS, 0xff);
    expect(cell(m, 0)).toEqual([0x50, 0x0f, 0x0c, 0x5c]);
  });

  it('write mode 1 copies the latches', () => {
    const m = machine();
    setMode(m, MODE_640X480_PLANAR);
    m.memory.set([1, 2, 3, 4], 40);

    m.set(GRAPHICS, 5, 1);
    m.peek(WINDOW_GRAPHICS + 10);
    m.poke(WINDOW_GRAPHICS + 20, 0xff);

    expect(cell(m, 20)).toEqual([1, 2, 3, 4]);
  });

  it('write mode 2 spreads a colour over the masked dots', () => {
    const m = machine();
    setMode(m, MODE_640X480_PLANAR);

    m.set(GRAPHICS, 5, 2);
    m.set(GRAPHICS, 8, 0x3c);
    m.peek(WINDOW_GRAPHICS);
    m.poke(WINDOW_GRAPHICS, 0b1010);

    expect(cell(m, 0)).toEqual([0, 0x3c, 0, 0x3c]);
  });

  it('write mode 3 sets the set/reset colour where the rotated byte and the bit mask agree', () => {
    const m = machine();
    setMode(m, MODE_640X480_PLANAR);

    m.set(GRAPHICS, 5, 3);
    m.set(GRAPHICS, 0, 0b0101);
    m.set(GRAPHICS, 3, 1);
    m.set(GRAPHICS, 8, 0x7e);
    m.peek(WINDOW_GRAPHICS);
    m.poke(WINDOW_GRAPHICS, 0xfe);

    expect(cell(m, 0)).toEqual([0x7e, 0, 0x7e, 0]);
  });

  it('reads one plane, or compares colours', () => {
    const m = machine();
    setMode(m, MODE_640X480_PLANAR);
    m.memory.set([0b1111_0000, 0b1100_1100, 0b1010_1010, 0], 0);

    m.set(GRAPHICS, 4, 2);
    expect(m.peek(WINDOW_GRAPHICS)).toBe(0b1010_1010);

    m.set(GRAPHICS, 5, 8);
    m.set(GRAPHICS, 2, 0b0011);
    m.set(GRAPHICS, 7, 0b1111);
    expect(m.peek(WINDOW_GRAPHICS)).toBe(0b0100_0000);
    m.set(GRAPHICS, 7, 0b1011);
    expect(m.peek(WINDOW_GRAPHICS)).toBe(0b1100_0000);
    m.set(GRAPHICS, 7, 0);
    expect(m.peek(WINDOW_GRAPHICS)).toBe(0xff);
  });

  it('floats outside the selected map and when memory is switched off', () => {
    const m = machine({ initialMode: 'text' });

    m.poke(WINDOW_GRAPHICS, 1);
    expect(m.peek(WINDOW_GRAPHICS)).toBe(0xff);
    expect(m.peek(WINDOW_TEXT)).toBe(0x20);
    m.write(MISC, 0x65);
    m.poke(WINDOW_TEXT, 1);
    expect(m.peek(WINDOW_TEXT)).toBe(0xff);
    expect(m.memory[0]).toBe(0x20);
  });
});

describe('vga display interface', () => {
  function linear(m: Machine, [width, height, depth]: readonly [number, number, number], flags = 0): void {
    m.dispi(ENABLE, 0);
    m.dispi(WIDTH, width);
    m.dispi(HEIGHT, height);
    m.dispi(DEPTH, depth);
    m.dispi(ENABLE, ENABLED | LINEAR | flags);
  }

  it('says which version it is and how much video memory there is', () => {
    const { dispi, dispiRead } = machine({}, 1 << 24);

    expect([dispiRead(ID), dispiRead(MEMORY)]).toEqual([0xb0c5, 256]);
    dispi(ID, 0xb0c4);
    dispi(ID, 0x1234);
    expect(dispiRead(ID)).toBe(0xb0c4);
    dispi(ENABLE, CAPABILITIES);
    expect([WIDTH, HEIGHT, DEPTH].map(dispiRead)).toEqual([4096, 4096, 32]);
  });

  it('clears the memory of a new mode unless told to keep it', () => {
    const m = machine();
    m.memory.fill(7);

    linear(m, [64, 32, 32], KEEP);
    expect(m.memory[0]).toBe(7);
    linear(m, [64, 32, 32]);
    expect([m.memory[64 * 32 * 4 - 1], m.memory[64 * 32 * 4]]).toEqual([0, 7]);
  });

  it('scrolls over a larger virtual screen and forgets it with the next mode', () => {
    const m = machine();

    linear(m, [64, 32, 16]);
    m.dispi(VIRTUAL_WIDTH, 128);
    m.dispi(X_OFFSET, 3);
    m.dispi(Y_OFFSET, 5);
    expect(m.device.parts.display().linear).toEqual({
      width: 64,
      height: 32,
      bitsPerPixel: 16,
      virtualWidth: 128,
      xOffset: 3,
      yOffset: 5,
    });
    expect([m.dispiRead(VIRTUAL_WIDTH), m.dispiRead(VIRTUAL_HEIGHT)]).toEqual([128, 4096]);

    linear(m, [64, 32, 16]);
    expect(m.device.parts.display().linear).toMatchObject({ virtualWidth: 64, xOffset: 0, yOffset: 0 });
  });

  it('banks the legacy window over the framebuffer', () => {
    const m = machine({ initialMode: 'text' });

    linear(m, [640, 400, 8]);
    m.dispi(BANK, 2);
    m.board.memoryWrite(WINDOW_GRAPHICS + 0xfffc, 4, 0xdead_beef);

    expect([...m.memory.subarray(0x2_fffc, 0x3_0000)]).toEqual([0xef, 0xbe, 0xad, 0xde]);
    expect(m.peek(WINDOW_TEXT)).toBe(0xff);
    // A megabyte has sixteen banks; the last one follows, and then it starts over.
    m.dispi(BANK, 0xffff);
    expect([m.dispiRead(BANK), m.peek(WINDOW_GRAPHICS)]).toEqual([15, 0]);
    m.dispi(BANK, 18);
    expect([m.dispiRead(BANK), m.peek(WINDOW_GRAPHICS + 0xffff)]).toEqual([2, 0xde]);
  });

  it('keeps planes in a mode of four bits', () => {
    const m = machine();
    setMode(m, MODE_640X480_PLANAR);

    linear(m, [800, 600, 4]);
    m.set(SEQUENCER, 2, 0b0101);
    m.poke(WINDOW_GRAPHICS + 100, 0x80);

    expect([...m.memory.subarray(400, 404)]).toEqual([0x80, 0, 0x80, 0]);
    const { rgba } = renderFrame(m.view());
    expect([...rgba.subarray(800 * 4, 800 * 4 + 8)]).toEqual([0xaa, 0, 0xaa, 255, 0, 0, 0, 255]);
  });

  it('cuts a mode down to video memory and leaves the VGA on the screen when nothing fits', () => {
    const m = machine({ initialMode: 'text' }, 1 << 16);

    linear(m, [256, 4096, 8], KEEP);
    expect(m.device.parts.display().linear).toMatchObject({ width: 256, height: 256 });
    linear(m, [4096, 1, 32], KEEP);
    expect(m.device.parts.display().linear).toMatchObject({ height: 1 });
    m.dispi(VIRTUAL_WIDTH, 0xffff);
    expect(m.device.parts.display().linear).toBeNull();
    expect(renderFrame(m.view())).toMatchObject({ width: 720, height: 400 });
  });

  it('never shows more dots than the host is ready to draw', () => {
    const m = machine({}, 1 << 24);

    linear(m, [4096, 4096, 8], KEEP);
    expect(m.device.parts.display().linear).toMatchObject({ width: 4096, height: 2048 });
    expect(renderFrame(m.view()).rgba.length).toBe(4 << 23);
  });

  it('shows the same registers in its second memory BAR', () => {
    const m = machine();
    m.board.portWrite(0xcf8, 4, 0x8000_0018);
    let base = 0;
    for (let slot = 0; slot < 32; slot++) {
      m.board.portWrite(0xcf8, 4, 0x8000_0000 | (slot << 11));
      if (m.board.portRead(0xcfc, 4) !== 0x1111_1234) continue;
      m.board.portWrite(0xcf8, 4, (0x8000_0018 | (slot << 11)) >>> 0);
      base = m.board.portRead(0xcfc, 4) & ~0xf;
    }
    base >>>= 0;

    m.board.memoryWrite(base + 0x500 + 2 * WIDTH, 2, 800);
    m.board.memoryWrite(base + 0x402, 1, 0x67);

    expect(m.dispiRead(WIDTH)).toBe(800);
    expect(m.read(0x3cc)).toBe(0x67);
    expect(m.board.memoryRead(base + 0x500, 2)).toBe(0xb0c5);
    expect(m.board.memoryRead(base + 0x600, 4)).toBe(8);
    expect(m.board.memoryRead(base + 0x604, 4)).toBe(0x1e1e_1e1e);
    expect([m.board.memoryRead(base, 4), m.board.memoryRead(base + 4, 4)]).toEqual([0xffff_ff00, 0x00ff_ffff]);
    expect(m.board.memoryRead(base + 0x80, 4)).toBe(0);
  });
});

describe('vga at power-on', () => {
  it('has a blank screen when firmware is to set a mode', () => {
    expect(machine().device.parts.display().paletteEnabled).toBe(false);
  });

  it('has an empty text screen with a font when asked to', () => {
    const m = machine({ initialMode: 'text' });

    expect(textOf(m.view())).toEqual(Array<string>(25).fill(''));
    m.board.memoryWrite(WINDOW_TEXT, 2, 0x0748);
    const { width, height, rgba } = renderFrame(m.view());
    expect([width, height]).toEqual([720, 400]);
    const lit = rgba.filter((value, i) => i % 4 === 0 && value !== 0).length;
    expect(lit).toBeGreaterThan(30);
  });

  it('sets the text mode that the mode table has', () => {
    const m = machine({ initialMode: 'text' });
    const fromTable = machine();
    setMode(fromTable, MODE_TEXT);

    expect(m.device.parts.display()).toEqual(fromTable.device.parts.display());
  });

  it('has a linear framebuffer when asked to', () => {
    const m = machine({ initialMode: { width: 320, height: 200, bitsPerPixel: 32 } });
    m.memory.set([0x30, 0x20, 0x10, 0], 4);

    const { width, height, rgba } = renderFrame(m.view());

    expect([width, height]).toEqual([320, 200]);
    expect([...rgba.subarray(0, 8)]).toEqual([0, 0, 0, 255, 0x10, 0x20, 0x30, 255]);
  });

  it('refuses a mode that does not fit and memory of a strange size', () => {
    const initialMode = { width: 1024, height: 768, bitsPerPixel: 32 } as const;

    expect(() => machine({ initialMode })).toThrow(expect.objectContaining({ code: 'vga.bad-mode' }));
    expect(() => machine({}, 100_000)).toThrow(expect.objectContaining({ code: 'vga.bad-memory' }));
  });

  it('is there without video memory, too', () => {
    const board = new Board({ ram: new Uint8Array(16), clock: new ManualClock() });
    const device = board.add(vga, { initialMode: 'text' });
    board.reset();

    board.memoryWrite(WINDOW_TEXT, 2, 0x0741);

    expect(board.memoryRead(WINDOW_TEXT, 2)).toBe(0xffff);
    expect(device.parts.pci!.bars[0]).toBeUndefined();
    expect(renderFrame({ display: device.parts.display(), memory: new Uint8Array(0) }).width).toBe(720);
  });

  it('keeps the screen over a restore and makes it anew at a reset', () => {
    const m = machine({ initialMode: 'text' });
    m.poke(WINDOW_TEXT, 0x58);
    const saved = m.board.save();

    m.board.restore(saved);
    expect(textOf(m.view())[0]).toBe('X');
    m.board.reset();
    expect(textOf(m.view())[0]).toBe('');
  });
});
