/** Modes set by the Bochs display interface: packed pixels of 8 to 32 bits, and planes of 4. */
import { attributeColours, dacColours, rgb } from './colours.ts';
import { strideOf, type DisplayView, type LinearMode } from './display-state.ts';
import { drawPlanarRow } from './render-graphics.ts';
import type { Canvas } from './frame.ts';

/** A field of five or six bits as eight, so that all ones becomes 255. */
const fiveToEight = (value: number): number => (value << 3) | (value >> 2);
const sixToEight = (value: number): number => (value << 2) | (value >> 4);

/** Writes `count` dots from byte `at` on, all of them in memory, to `dots`. One loop a depth: this is the busiest code here. */
type DrawRow = (memory: Uint8Array, at: number, dots: Uint32Array, count: number) => void;

const drawRow: Readonly<Record<15 | 16 | 24 | 32, DrawRow>> = {
  15(memory, at, dots, count) {
    for (let x = 0; x < count; x++, at += 2) {
      const word = memory[at]! | (memory[at + 1]! << 8);
      dots[x] = rgb(fiveToEight((word >> 10) & 0x1f), fiveToEight((word >> 5) & 0x1f), fiveToEight(word & 0x1f));
    }
  },
  16(memory, at, dots, count) {
    for (let x = 0; x < count; x++, at += 2) {
      const word = memory[at]! | (memory[at + 1]! << 8);
      dots[x] = rgb(fiveToEight(word >> 11), sixToEight((word >> 5) & 0x3f), fiveToEight(word & 0x1f));
    }
  },
  24(memory, at, dots, count) {
    for (let x = 0; x < count; x++, at += 3) dots[x] = rgb(memory[at + 2]!, memory[at + 1]!, memory[at]!);
  },
  32(memory, at, dots, count) {
    for (let x = 0; x < count; x++, at += 4) dots[x] = rgb(memory[at + 2]!, memory[at + 1]!, memory[at]!);
  },
};
const drawIndexedRow =
  (colours: Uint32Array): DrawRow =>
  (memory, at, dots, count) => {
    for (let x = 0; x < count; x++) dots[x] = colours[memory[at + x]!]!;
  };

/** Draws a linear mode; dots outside video memory stay as they are. */
export function drawLinear({ display, memory }: DisplayView, mode: LinearMode, canvas: Canvas): void {
  const { bitsPerPixel } = mode;
  const stride = strideOf(bitsPerPixel, mode.virtualWidth);
  const { width, height, dots } = canvas;
  if (bitsPerPixel === 4) {
    const colours = attributeColours(display);
    for (let y = 0; y < height; y++) {
      const start = (mode.yOffset + y) * (stride / 4) + (mode.xOffset >> 3);
      drawPlanarRow(memory, start, mode.xOffset & 7, colours, dots.subarray(y * width, (y + 1) * width));
    }
    return;
  }
  const bytesPerDot = Math.ceil(bitsPerPixel / 8);
  const draw = bitsPerPixel === 8 ? drawIndexedRow(dacColours(display)) : drawRow[bitsPerPixel];
  for (let y = 0; y < height; y++) {
    const start = (mode.yOffset + y) * stride + mode.xOffset * bytesPerDot;
    const inside = Math.max(0, Math.min(width, Math.floor((memory.length - start) / bytesPerDot)));
    draw(memory, start, dots.subarray(y * width, (y + 1) * width), inside);
  }
}
