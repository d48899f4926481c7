/** What the VGA keeps: its registers and palette. The contents of video memory belong to the machine. */
import { bool, bytes, pod, u16, u32, u8, type StateOf } from '@tomei/kit';
import { MAX_FRAME_SIDE, PALETTE_BYTES } from '../display/display-state.ts';
import { AC_COUNT, CRTC_COUNT, GC_COUNT, SEQ_COUNT } from '../display/vga-registers.ts';

/** The newest Bochs display interface, B0C5h: video memory size can be read. */
export const DISPI_ID_NEWEST = 0xb0c5;

export const vgaState = pod({
  /** The configured initial mode has been set since the last reset. */
  started: bool(),
  miscOutput: u8(),
  featureControl: u8(),
  enable: u8(),
  sequencerIndex: u8(),
  sequencer: bytes(SEQ_COUNT),
  crtcIndex: u8(),
  crtc: bytes(CRTC_COUNT),
  graphicsIndex: u8(),
  graphics: bytes(GC_COUNT),
  /** The attribute controller's address register, six bits: index and palette address source. */
  attributeIndex: u8(),
  /** The next write to 3C0 is data. */
  attributeData: bool(),
  attribute: bytes(AC_COUNT),
  pelMask: u8(0xff),
  dacReading: bool(),
  dacReadIndex: u8(),
  dacWriteIndex: u8(),
  /** Which part of a colour comes next, 0..2. */
  dacPart: u8(),
  dacRed: u8(),
  dacGreen: u8(),
  /** Eight bits a part, whatever the width of the DAC is set to. */
  palette: bytes(PALETTE_BYTES),
  /** One byte of each plane, plane 0 lowest. */
  latch: u32(),
  dispiIndex: u16(),
  /** A low byte that waits for its high byte: the data port is odd, so the bus halves what is written to it. */
  dispiLow: u8(),
  dispiId: u16(DISPI_ID_NEWEST),
  dispiWidth: u16(),
  dispiHeight: u16(),
  dispiBitsPerPixel: u16(8),
  dispiEnable: u16(),
  dispiBank: u16(),
  dispiVirtualWidth: u16(),
  dispiXOffset: u16(),
  dispiYOffset: u16(),
})
  .check((s) => s.dacPart < 3 || "field 'dacPart' is not 0..2")
  .check((s) => s.attributeIndex < 0x40 || "field 'attributeIndex' is wider than six bits")
  .check((s) => s.dispiWidth <= MAX_FRAME_SIDE || "field 'dispiWidth' is too large")
  .check((s) => s.dispiHeight <= MAX_FRAME_SIDE || "field 'dispiHeight' is too large");

export type VgaState = StateOf<typeof vgaState>;
