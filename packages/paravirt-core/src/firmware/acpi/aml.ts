/** Writes ACPI Machine Language (ACPI 6.5, chapter 20): terms are byte arrays, and what contains others gets a package length. */
import { assert } from '@tomei/kit';

/** Encoded terms. */
export type Aml = readonly number[];

const EXTENDED = 0x5b;
/** Opcodes (20.3). */
const OP = {
  zero: 0x00,
  one: 0x01,
  name: 0x08,
  byte: 0x0a,
  word: 0x0b,
  dword: 0x0c,
  string: 0x0d,
  scope: 0x10,
  buffer: 0x11,
  package: 0x12,
  method: 0x14,
  dualName: 0x2e,
  multiName: 0x2f,
  local0: 0x60,
  arg0: 0x68,
  store: 0x70,
  and: 0x7b,
  or: 0x7d,
  createDwordField: 0x8a,
  equal: 0x93,
  if: 0xa0,
  return: 0xa4,
  operationRegion: 0x80,
  field: 0x81,
  device: 0x82,
} as const;

const ascii = (s: string): number[] => [...s].map((c) => c.charCodeAt(0));
const little = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);

/** PkgLength (20.2.4), which counts itself. */
function withLength(content: Aml): number[] {
  for (let bytes = 1; bytes <= 4; bytes++) {
    const total = content.length + bytes;
    if (bytes === 1 && total < 0x40) return [total, ...content];
    if (bytes > 1 && total < 2 ** (4 + 8 * (bytes - 1))) {
      return [((bytes - 1) << 6) | (total & 0x0f), ...little(total >>> 4, bytes - 1), ...content];
    }
  }
  assert(false, 'an AML package is shorter than 2^28 bytes');
}

/** A path as ASL writes it: `\_SB.PCI0`, `^LNKA`, `_HID` (20.2.2). */
export function name(path: string): Aml {
  const prefix = /^(\\|\^*)/.exec(path)![0];
  const segments = path
    .slice(prefix.length)
    .split('.')
    .filter((s) => s !== '');
  const bytes = segments.flatMap((segment) => {
    assert(/^[A-Z_][A-Z_0-9]{0,3}$/.test(segment), `'${segment}' is an ACPI name`);
    return ascii(segment.padEnd(4, '_'));
  });
  const count = segments.length;
  const marker = count === 0 ? [0] : count === 1 ? [] : count === 2 ? [OP.dualName] : [OP.multiName, count];
  return [...ascii(prefix), ...marker, ...bytes];
}
export function integer(value: number): Aml {
  if (value === 0) return [OP.zero];
  if (value === 1) return [OP.one];
  if (value < 0x100) return [OP.byte, value];
  return value < 0x1_0000 ? [OP.word, ...little(value, 2)] : [OP.dword, ...little(value, 4)];
}
export const string = (text: string): Aml => [OP.string, ...ascii(text), 0];
/** A compressed EISA identifier: three letters of five bits and four hexadecimal digits, big-endian (19.3.4). */
export function eisaId(id: string): Aml {
  const [a, b, c] = [...id.slice(0, 3)].map((letter) => letter.charCodeAt(0) - 0x40);
  const high = (a! << 10) | (b! << 5) | c!,
    low = Number.parseInt(id.slice(3), 16);
  return [OP.dword, high >> 8, high & 0xff, low >> 8, low & 0xff];
}

export const define = (path: string, value: Aml): Aml => [OP.name, ...name(path), ...value];
export const scope = (path: string, ...terms: readonly Aml[]): Aml => [
  OP.scope,
  ...withLength([...name(path), ...terms.flat()]),
];
export const device = (path: string, ...terms: readonly Aml[]): Aml => [
  EXTENDED,
  OP.device,
  ...withLength([...name(path), ...terms.flat()]),
];
export const method = (path: string, parameters: number, ...terms: readonly Aml[]): Aml => [
  OP.method,
  ...withLength([...name(path), parameters, ...terms.flat()]),
];
export const packageOf = (...elements: readonly Aml[]): Aml => [
  OP.package,
  ...withLength([elements.length, ...elements.flat()]),
];
export const buffer = (bytes: readonly number[]): Aml => [
  OP.buffer,
  ...withLength([...integer(bytes.length), ...bytes]),
];

/** A region of the PCI configuration space of the device that it stands in, and byte-wide fields of it. */
export const pciConfigBytes = (region: string, offset: number, fields: readonly string[]): Aml => [
  ...[EXTENDED, OP.operationRegion, ...name(region), 0x02, ...integer(offset), ...integer(fields.length)],
  // Byte access, no lock, other bits preserved; each field is eight bits long.
  ...[EXTENDED, OP.field, ...withLength([...name(region), 0x01, ...fields.flatMap((f) => [...name(f), 8])])],
];

export const local0: Aml = [OP.local0];
export const arg0: Aml = [OP.arg0];
const NOWHERE: Aml = [0];
export const store = (value: Aml, to: Aml): Aml => [OP.store, ...value, ...to];
export const and = (a: Aml, b: Aml, to: Aml = NOWHERE): Aml => [OP.and, ...a, ...b, ...to];
export const or = (a: Aml, b: Aml, to: Aml = NOWHERE): Aml => [OP.or, ...a, ...b, ...to];
export const equal = (a: Aml, b: Aml): Aml => [OP.equal, ...a, ...b];
export const when = (condition: Aml, ...terms: readonly Aml[]): Aml => [
  OP.if,
  ...withLength([...condition, ...terms.flat()]),
];
export const give = (value: Aml): Aml => [OP.return, ...value];
/** A 32-bit field of a buffer, at a byte offset. */
export const dwordField = (source: Aml, offset: number, field: string): Aml => [
  OP.createDwordField,
  ...source,
  ...integer(offset),
  ...name(field),
];
