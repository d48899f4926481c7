/** Where the beam is: frame timing from the CRTC and the clock (IBM VGA XGA Technical Reference, section 2, "CRT controller"). */
import type { Nanoseconds } from '@tomei/kit';
import {
  CRTC_HORIZONTAL_DISPLAY_END,
  CRTC_HORIZONTAL_TOTAL,
  CRTC_OVERFLOW,
  CRTC_VERTICAL_DISPLAY_END,
  CRTC_VERTICAL_RETRACE_START,
  CRTC_VERTICAL_TOTAL,
  MISC_CLOCK_MASK,
  MISC_CLOCK_SHIFT,
  SEQ_CLOCKING_EIGHT_DOTS,
  SEQ_CLOCKING_HALF,
  SEQ_CLOCKING_MODE,
} from '../display/vga-registers.ts';
import type { VgaState } from './vga-state.ts';

const DOT_CLOCK_HZ = [25_175_000, 28_322_000] as const;
const NANOSECONDS_PER_SECOND = 1e9;

/** Dots and lines of a frame. */
interface Timing {
  readonly lineNs: number;
  readonly lines: number;
  readonly displayedLines: number;
  readonly retraceLine: number;
  /** The part of a line that shows dots. */
  readonly displayedNs: number;
}
/** 640x480 at 60 Hz, for registers that describe no picture. */
const NOMINAL: Timing = { lineNs: 31_778, lines: 525, displayedLines: 480, retraceLine: 490, displayedNs: 25_422 };

/** Bits 8 and 9 of a ten-bit vertical count lie in the overflow register. */
const vertical = (crtc: Uint8Array, register: number, bit8: number, bit9: number): number =>
  crtc[register]! | (((crtc[CRTC_OVERFLOW]! >> bit8) & 1) << 8) | (((crtc[CRTC_OVERFLOW]! >> bit9) & 1) << 9);

function timingOf(state: VgaState): Timing {
  const { crtc, sequencer } = state;
  const clocking = sequencer[SEQ_CLOCKING_MODE]!;
  const select = (state.miscOutput & MISC_CLOCK_MASK) >> MISC_CLOCK_SHIFT;
  const dots = clocking & SEQ_CLOCKING_EIGHT_DOTS ? 8 : 9;
  const clock = (select === 1 ? DOT_CLOCK_HZ[1] : DOT_CLOCK_HZ[0]) / (clocking & SEQ_CLOCKING_HALF ? 2 : 1);
  const characterNs = (dots * NANOSECONDS_PER_SECOND) / clock;
  const lines = vertical(crtc, CRTC_VERTICAL_TOTAL, 0, 5) + 2;
  const displayedLines = vertical(crtc, CRTC_VERTICAL_DISPLAY_END, 1, 6) + 1;
  const retraceLine = vertical(crtc, CRTC_VERTICAL_RETRACE_START, 2, 7);
  const total = crtc[CRTC_HORIZONTAL_TOTAL]! + 5;
  const displayed = crtc[CRTC_HORIZONTAL_DISPLAY_END]! + 1;
  if (retraceLine < displayedLines || retraceLine >= lines || displayed >= total) return NOMINAL;
  return { lineNs: characterNs * total, lines, displayedLines, retraceLine, displayedNs: characterNs * displayed };
}

/** Whether dots are being shown, and whether the beam is on its way back to the top. */
export function beamAt(state: VgaState, now: Nanoseconds): { displaying: boolean; verticalRetrace: boolean } {
  const timing = timingOf(state);
  const inFrame = now % (timing.lineNs * timing.lines);
  const line = Math.floor(inFrame / timing.lineNs);
  return {
    displaying: line < timing.displayedLines && inFrame % timing.lineNs < timing.displayedNs,
    // Longer than the pulse, which ends after two lines: a guest whose clock moves in steps must not miss it.
    verticalRetrace: line >= timing.retraceLine,
  };
}
