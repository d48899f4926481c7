/**
 * A block of little-endian registers stated as a list of fields, as the virtio structures are (virtio 1.2, 4.1.4.3).
 */
import { type Registers, type Width } from '../../machine/device.ts';

/** One field. Reading has no side effect; a field without `write` is read-only. */
export interface RegisterField {
  readonly offset: number;
  readonly width: Width;
  readonly read: () => number;
  readonly write?: (value: number) => void;
}

/** The bytes `offset .. offset + width - 1` of a little-endian value that starts at byte 0. */
export const part = (value: number, offset: number, width: Width): number =>
  offset > 3 ? 0 : ((value >>> (8 * offset)) & (width === 4 ? -1 : (1 << (8 * width)) - 1)) >>> 0;

/**
 * Registers over `fields`. Reads of any width see the bytes, and 0 where there is no field; a write counts only when it
 * is exactly one field, which is what 4.1.3.1 demands of drivers.
 */
export function fieldRegisters(fields: readonly RegisterField[]): Registers {
  const byOffset = new Map(fields.map((field) => [field.offset, field]));
  const byteAt = (offset: number): number => {
    const field = fields.find((f) => offset >= f.offset && offset < f.offset + f.width);
    return field === undefined ? 0 : part(field.read(), offset - field.offset, 1);
  };
  return {
    read(offset, width) {
      const field = byOffset.get(offset);
      if (field?.width === width) return field.read();
      let value = 0;
      for (let i = width - 1; i >= 0; i--) value = value * 256 + byteAt(offset + i);
      return value;
    },
    write(offset, width, value) {
      const field = byOffset.get(offset);
      if (field?.width === width) field.write?.(value);
    },
  };
}

/** Read-only registers over constant bytes. */
export function byteRegisters(bytes: Uint8Array): Registers {
  return {
    read(offset, width) {
      let value = 0;
      for (let i = width - 1; i >= 0; i--) value = value * 256 + (bytes[offset + i] ?? 0);
      return value;
    },
    write: () => undefined,
  };
}
