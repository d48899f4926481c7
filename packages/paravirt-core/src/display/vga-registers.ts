/**
 * Names of the VGA registers: IBM VGA XGA Technical Reference (1992), section 2, "VGA Function".
 * An index is the value written to the group's address register; a mask names bits of that register.
 */

/** Miscellaneous output register, write 3C2, read 3CC. */
export const MISC_COLOUR_PORTS = 1 << 0;
export const MISC_ENABLE_MEMORY = 1 << 1;
/** Dot clock: 0 is 25.175 MHz, 1 is 28.322 MHz. */
export const MISC_CLOCK_SHIFT = 2;
export const MISC_CLOCK_MASK = 3 << MISC_CLOCK_SHIFT;

/** Sequencer, 3C4/3C5. */
export const SEQ_COUNT = 5;
export const SEQ_CLOCKING_MODE = 1;
export const SEQ_CLOCKING_EIGHT_DOTS = 1 << 0;
export const SEQ_CLOCKING_HALF = 1 << 3;
export const SEQ_CLOCKING_SCREEN_OFF = 1 << 5;
export const SEQ_MAP_MASK = 2;
export const SEQ_CHARACTER_MAP = 3;
export const SEQ_MEMORY_MODE = 4;
export const SEQ_MEMORY_SEQUENTIAL = 1 << 2;
export const SEQ_MEMORY_CHAIN_4 = 1 << 3;

/** CRT controller, 3B4/3B5 or 3D4/3D5. */
export const CRTC_COUNT = 0x19;
export const CRTC_HORIZONTAL_TOTAL = 0x00;
export const CRTC_HORIZONTAL_DISPLAY_END = 0x01;
export const CRTC_VERTICAL_TOTAL = 0x06;
export const CRTC_OVERFLOW = 0x07;
export const CRTC_PRESET_ROW_SCAN = 0x08;
export const CRTC_MAXIMUM_SCAN_LINE = 0x09;
export const CRTC_MAXIMUM_SCAN_DOUBLE = 1 << 7;
export const CRTC_CURSOR_START = 0x0a;
export const CRTC_CURSOR_OFF = 1 << 5;
export const CRTC_CURSOR_END = 0x0b;
export const CRTC_START_HIGH = 0x0c;
export const CRTC_START_LOW = 0x0d;
export const CRTC_CURSOR_HIGH = 0x0e;
export const CRTC_CURSOR_LOW = 0x0f;
export const CRTC_VERTICAL_RETRACE_START = 0x10;
export const CRTC_VERTICAL_RETRACE_END = 0x11;
/** Protects registers 0 to 7, except the line compare bit in the overflow register. */
export const CRTC_PROTECT = 1 << 7;
export const CRTC_VERTICAL_DISPLAY_END = 0x12;
export const CRTC_OFFSET = 0x13;
export const CRTC_UNDERLINE = 0x14;
export const CRTC_MODE_CONTROL = 0x17;
/** Clear: row scan bit 0 (bit 1) takes the place of an address bit, as on the CGA (Hercules). */
export const CRTC_MODE_NO_CGA_BANKS = 1 << 0;
export const CRTC_MODE_NO_HERCULES_BANKS = 1 << 1;
export const CRTC_MODE_BYTE_ADDRESSES = 1 << 6;
export const CRTC_LINE_COMPARE = 0x18;
export const CRTC_OVERFLOW_LINE_COMPARE = 1 << 4;

/** Graphics controller, 3CE/3CF. */
export const GC_COUNT = 9;
export const GC_SET_RESET = 0;
export const GC_ENABLE_SET_RESET = 1;
export const GC_COLOUR_COMPARE = 2;
export const GC_DATA_ROTATE = 3;
export const GC_READ_MAP = 4;
export const GC_MODE = 5;
export const GC_MODE_READ_COMPARE = 1 << 3;
export const GC_MODE_ODD_EVEN = 1 << 4;
export const GC_MODE_INTERLEAVE = 1 << 5;
export const GC_MODE_256_COLOURS = 1 << 6;
export const GC_MISCELLANEOUS = 6;
export const GC_MISC_GRAPHICS = 1 << 0;
export const GC_MISC_MAP_SHIFT = 2;
export const GC_COLOUR_DO_NOT_CARE = 7;
export const GC_BIT_MASK = 8;

/** Attribute controller, 3C0/3C1. Indexes 0 to 15 are the internal palette. */
export const AC_COUNT = 0x15;
/** In the address register: the internal palette drives the screen; clear blanks it. */
export const AC_PALETTE_ENABLED = 1 << 5;
export const AC_MODE = 0x10;
export const AC_MODE_LINE_GRAPHICS = 1 << 2;
export const AC_MODE_BLINK = 1 << 3;
export const AC_MODE_SPLIT_PANNING = 1 << 5;
export const AC_MODE_EIGHT_BIT = 1 << 6;
export const AC_MODE_SELECT_54 = 1 << 7;
export const AC_PLANE_ENABLE = 0x12;
export const AC_PANNING = 0x13;
export const AC_COLOUR_SELECT = 0x14;
