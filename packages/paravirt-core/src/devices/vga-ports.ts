/** The VGA's registers as ports 3B0h..3DFh show them (IBM VGA XGA Technical Reference, section 2, "Registers"). */
import type { Nanoseconds } from '@tomei/kit';
import { eightToSix, sixToEight } from '../display/palette.ts';
import {
  AC_COUNT,
  AC_MODE,
  AC_PALETTE_ENABLED,
  CRTC_COUNT,
  CRTC_OVERFLOW,
  CRTC_OVERFLOW_LINE_COMPARE,
  CRTC_PROTECT,
  CRTC_VERTICAL_RETRACE_END,
  GC_COUNT,
  MISC_COLOUR_PORTS,
  SEQ_COUNT,
} from '../display/vga-registers.ts';
import { DISPI_EIGHT_BIT_DAC } from './vga-dispi.ts';
import type { VgaState } from './vga-state.ts';
import { beamAt } from './vga-timing.ts';

const OPEN_BUS = 0xff;

const PORT_ATTRIBUTE = 0x3c0;
const PORT_ATTRIBUTE_DATA = 0x3c1;
/** Read: input status 0. Write: miscellaneous output. */
const PORT_MISC = 0x3c2;
const PORT_ENABLE = 0x3c3;
const PORT_SEQUENCER_INDEX = 0x3c4;
const PORT_SEQUENCER = 0x3c5;
const PORT_PEL_MASK = 0x3c6;
/** Read: DAC state. Write: read index. */
const PORT_DAC_STATE = 0x3c7;
const PORT_DAC_WRITE_INDEX = 0x3c8;
const PORT_DAC_DATA = 0x3c9;
const PORT_FEATURE_READ = 0x3ca;
const PORT_MISC_READ = 0x3cc;
const PORT_GRAPHICS_INDEX = 0x3ce;
const PORT_GRAPHICS = 0x3cf;
/** The CRTC and input status 1 sit at 3Bx or 3Dx, as the miscellaneous output register says. */
const MONO_PORTS = 0x3b0;
const COLOUR_PORTS = 0x3d0;
const CRTC_INDEX = 0x4;
const CRTC_DATA = 0x5;
/** Read: input status 1. Write: feature control. */
const STATUS_1 = 0xa;

/** Input status 0: the switch sense line of a colour monitor. */
const STATUS_0_SWITCH_SENSE = 1 << 4;
const STATUS_1_NOT_DISPLAYING = 1 << 0;
const STATUS_1_VERTICAL_RETRACE = 1 << 3;
/** DAC state: 0 after a write of the write index, 3 after a write of the read index. */
const DAC_STATE_READING = 3;

const CRTC_PROTECTED_REGISTERS = 8;
/** Implemented bits, for those registers where reading tells. */
const SEQUENCER_MASKS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e];
const GRAPHICS_MASKS = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
const ATTRIBUTE_MASKS = [...Array<number>(AC_MODE).fill(0x3f), 0xef, 0xff, 0x3f, 0x0f, 0x0f];

/** The place 3B4h..3BAh or 3D4h..3DAh within its block, or undefined for the block that is switched off. */
function colourOrMono(state: VgaState, port: number): number | undefined {
  const base = state.miscOutput & MISC_COLOUR_PORTS ? COLOUR_PORTS : MONO_PORTS;
  return (port & 0xff0) === base ? port - base : undefined;
}

/** Reads a byte at an absolute port number; 0xff where nothing is. */
export function readVgaPort(state: VgaState, port: number, now: Nanoseconds): number {
  switch (port) {
    case PORT_ATTRIBUTE:
      return state.attributeData ? 0 : state.attributeIndex;
    case PORT_ATTRIBUTE_DATA:
      return state.attribute[state.attributeIndex & 0x1f] ?? 0;
    case PORT_MISC:
      return STATUS_0_SWITCH_SENSE;
    case PORT_ENABLE:
      return state.enable;
    case PORT_SEQUENCER_INDEX:
      return state.sequencerIndex;
    case PORT_SEQUENCER:
      return state.sequencer[state.sequencerIndex] ?? 0;
    case PORT_PEL_MASK:
      return state.pelMask;
    case PORT_DAC_STATE:
      return state.dacReading ? DAC_STATE_READING : 0;
    case PORT_DAC_WRITE_INDEX:
      return state.dacWriteIndex;
    case PORT_DAC_DATA:
      return readDac(state);
    case PORT_FEATURE_READ:
      return state.featureControl;
    case PORT_MISC_READ:
      return state.miscOutput;
    case PORT_GRAPHICS_INDEX:
      return state.graphicsIndex;
    case PORT_GRAPHICS:
      return state.graphics[state.graphicsIndex] ?? 0;
  }
  switch (colourOrMono(state, port)) {
    case CRTC_INDEX:
      return state.crtcIndex;
    case CRTC_DATA:
      return state.crtc[state.crtcIndex] ?? 0;
    case STATUS_1: {
      state.attributeData = false;
      const beam = beamAt(state, now);
      return (beam.displaying ? 0 : STATUS_1_NOT_DISPLAYING) | (beam.verticalRetrace ? STATUS_1_VERTICAL_RETRACE : 0);
    }
  }
  return OPEN_BUS;
}

/** Writes a byte at an absolute port number. */
export function writeVgaPort(state: VgaState, port: number, value: number): void {
  switch (port) {
    case PORT_ATTRIBUTE:
      return writeAttribute(state, value);
    case PORT_MISC:
      state.miscOutput = value;
      return;
    case PORT_ENABLE:
      state.enable = value & 1;
      return;
    case PORT_SEQUENCER_INDEX:
      state.sequencerIndex = value & 7;
      return;
    case PORT_SEQUENCER:
      if (state.sequencerIndex < SEQ_COUNT) {
        state.sequencer[state.sequencerIndex] = value & SEQUENCER_MASKS[state.sequencerIndex]!;
      }
      return;
    case PORT_PEL_MASK:
      state.pelMask = value;
      return;
    case PORT_DAC_STATE:
      state.dacReading = true;
      state.dacReadIndex = value;
      state.dacPart = 0;
      return;
    case PORT_DAC_WRITE_INDEX:
      state.dacReading = false;
      state.dacWriteIndex = value;
      state.dacPart = 0;
      return;
    case PORT_DAC_DATA:
      return writeDac(state, value);
    case PORT_GRAPHICS_INDEX:
      state.graphicsIndex = value & 0xf;
      return;
    case PORT_GRAPHICS:
      if (state.graphicsIndex < GC_COUNT) {
        state.graphics[state.graphicsIndex] = value & GRAPHICS_MASKS[state.graphicsIndex]!;
      }
      return;
  }
  switch (colourOrMono(state, port)) {
    case CRTC_INDEX:
      state.crtcIndex = value;
      return;
    case CRTC_DATA:
      return writeCrtc(state, value);
    case STATUS_1:
      state.featureControl = value;
      return;
  }
}

function writeAttribute(state: VgaState, value: number): void {
  const isData = state.attributeData;
  state.attributeData = !isData;
  if (!isData) {
    state.attributeIndex = value & (AC_PALETTE_ENABLED | 0x1f);
    return;
  }
  const index = state.attributeIndex & 0x1f;
  if (index < AC_COUNT) state.attribute[index] = value & ATTRIBUTE_MASKS[index]!;
}

function writeCrtc(state: VgaState, value: number): void {
  const { crtc, crtcIndex: index } = state;
  if (index >= CRTC_COUNT) return;
  const isProtected = (crtc[CRTC_VERTICAL_RETRACE_END]! & CRTC_PROTECT) !== 0 && index < CRTC_PROTECTED_REGISTERS;
  if (!isProtected) {
    crtc[index] = value;
  } else if (index === CRTC_OVERFLOW) {
    crtc[index] = (crtc[index]! & ~CRTC_OVERFLOW_LINE_COMPARE) | (value & CRTC_OVERFLOW_LINE_COMPARE);
  }
}

const isEightBit = (state: VgaState): boolean => (state.dispiEnable & DISPI_EIGHT_BIT_DAC) !== 0;

function readDac(state: VgaState): number {
  const value = state.palette[state.dacReadIndex * 3 + state.dacPart]!;
  if (++state.dacPart === 3) {
    state.dacPart = 0;
    state.dacReadIndex = (state.dacReadIndex + 1) & 0xff;
  }
  return isEightBit(state) ? value : eightToSix(value);
}

/** A colour takes effect with its third part. */
function writeDac(state: VgaState, value: number): void {
  const part = isEightBit(state) ? value : sixToEight(value);
  if (state.dacPart === 0) {
    state.dacRed = part;
    state.dacPart = 1;
  } else if (state.dacPart === 1) {
    state.dacGreen = part;
    state.dacPart = 2;
  } else {
    state.palette.set([state.dacRed, state.dacGreen, part], state.dacWriteIndex * 3);
    state.dacPart = 0;
    state.dacWriteIndex = (state.dacWriteIndex + 1) & 0xff;
  }
}
