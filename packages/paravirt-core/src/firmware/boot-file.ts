/** A boot image as bytes with a name, and a reader of its fields that never looks outside and always says which field it wanted. */
import { TomeiError } from '@tomei/kit';

/** An image that the user named (kernel, initrd): `name` is what error messages call it. */
export interface BootFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A malformed or unusable image. `field` is the name in the format's own manual. */
export function badImage(code: string, file: BootFile, field: string, what: string): TomeiError {
  return new TomeiError(code, `${file.name}: ${field} ${what}`, { data: { file: file.name, field } });
}

/** Little-endian fields by offset. Each read throws a TomeiError with the reader's code when the field is not in the file. */
export interface FieldReader {
  u8(offset: number, field: string): number;
  u16(offset: number, field: string): number;
  u32(offset: number, field: string): number;
  /** The low half of a 64-bit field, or 2^32 - 1 when the value is above 4 GiB (which no 32-bit board can satisfy). */
  u64Saturated(offset: number, field: string): number;
}

export function fieldReader(file: BootFile, code: string): FieldReader {
  const { bytes } = file;
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const inside = (offset: number, length: number, field: string): number => {
    if (offset >= 0 && offset + length <= bytes.length) return offset;
    throw badImage(code, file, field, `lies at byte ${offset}, but the file has only ${bytes.length} bytes`);
  };
  return {
    u8: (offset, field) => data.getUint8(inside(offset, 1, field)),
    u16: (offset, field) => data.getUint16(inside(offset, 2, field), true),
    u32: (offset, field) => data.getUint32(inside(offset, 4, field), true),
    u64Saturated: (offset, field) =>
      data.getUint32(inside(offset, 8, field) + 4, true) === 0 ? data.getUint32(offset, true) : 0xffff_ffff,
  };
}

/** `0x` and lower-case digits, as error messages write addresses. */
export const hex = (value: number): string => `0x${value.toString(16)}`;

/** Rounds up to a multiple of `alignment`, which is a power of two at most 2^31. */
export const alignUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** The bytes of a string with its terminating NUL. The caller has refused strings that contain one. */
export const cString = (text: string): Uint8Array => new TextEncoder().encode(`${text}\0`);

/** Throws `kernel.bad-command-line` for a command line that would end early in the guest. */
export function checkCommandLine(file: BootFile, commandLine: string): void {
  if (commandLine.includes('\0')) {
    throw badImage('kernel.bad-command-line', file, 'command line', 'contains a NUL character; remove it');
  }
}
