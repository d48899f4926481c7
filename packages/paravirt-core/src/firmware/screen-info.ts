/** The `screen_info` structure that tells Linux what is on the screen at entry (include/uapi/linux/screen_info.h). */

/** VGA text mode 3, or a linear framebuffer that the board has already switched to. */
export type BootScreen = { readonly kind: 'text' } | LinearFramebuffer;

/** A packed-pixel mode. Each colour is a field of `size` bits from bit `position` of a pixel. */
export interface LinearFramebuffer {
  readonly kind: 'framebuffer';
  /** Guest-physical address of the first pixel. */
  readonly base: number;
  /** In pixels. */
  readonly width: number;
  readonly height: number;
  /** Bits per pixel: 16, 24 or 32. */
  readonly depth: number;
  /** Bytes from one line to the next. */
  readonly lineLength: number;
  /** Bytes of video memory from `base`; rounded down to 64 KiB. */
  readonly memorySize: number;
  readonly red: ColourField;
  readonly green: ColourField;
  readonly blue: ColourField;
  readonly reserved: ColourField;
}
export interface ColourField {
  readonly size: number;
  readonly position: number;
}

const SCREEN_INFO_SIZE = 0x40;
/** Any value but 0 says VGA; the kernel then finds out the exact type itself. */
const IS_VGA = 1;
const VIDEO_TYPE_VLFB = 0x23;
const TEXT_MODE_3 = 3;
/** lfb_size counts 64 KiB blocks for this video type. */
const LFB_SIZE_UNIT = 0x1_0000;

/** The 64 bytes at the start of boot_params. */
export function screenInfo(screen: BootScreen): Uint8Array {
  const bytes = new Uint8Array(SCREEN_INFO_SIZE);
  const fields = new DataView(bytes.buffer);
  if (screen.kind === 'text') {
    fields.setUint8(0x06, TEXT_MODE_3);
    fields.setUint8(0x07, 80);
    fields.setUint16(0x0a, 3, true);
    fields.setUint8(0x0e, 25);
    fields.setUint8(0x0f, IS_VGA);
    fields.setUint16(0x10, 16, true);
    return bytes;
  }
  fields.setUint8(0x0f, VIDEO_TYPE_VLFB);
  fields.setUint16(0x12, screen.width, true);
  fields.setUint16(0x14, screen.height, true);
  fields.setUint16(0x16, screen.depth, true);
  fields.setUint32(0x18, screen.base, true);
  fields.setUint32(0x1c, Math.floor(screen.memorySize / LFB_SIZE_UNIT), true);
  fields.setUint16(0x24, screen.lineLength, true);
  [screen.red, screen.green, screen.blue, screen.reserved].forEach((colour, i) => {
    fields.setUint8(0x26 + 2 * i, colour.size);
    fields.setUint8(0x27 + 2 * i, colour.position);
  });
  // Pages of one screen: one. Colour mode and graphics, supported by hardware (VBE 3.0, mode attributes D4, D3, D0).
  fields.setUint16(0x32, 1, true);
  fields.setUint16(0x34, 0x19, true);
  return bytes;
}
