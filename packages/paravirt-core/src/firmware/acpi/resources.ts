/** Resource descriptors, which say what a device occupies (ACPI 6.5, 6.4). */
import { buffer, type Aml } from './aml.ts';

/** One descriptor's bytes. */
export type Resource = readonly number[];

const little = (value: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);

/** Ports, decoded with 16 address bits (6.4.2.5). */
export const ports = (base: number, count: number): Resource => [
  ...[0x47, 0x01],
  ...little(base, 2),
  ...little(base, 2),
  0x01,
  count,
];
/** An edge-triggered ISA interrupt (6.4.2.1). */
export const isaInterrupt = (line: number): Resource => [0x22, ...little(1 << line, 2)];
/** An 8-bit DMA channel in compatibility mode (6.4.2.2). */
export const dmaChannel = (channel: number): Resource => [0x2a, 1 << channel, 0x00];
/** A fixed piece of memory (6.4.3.4). */
export const memory = (base: number, size: number): Resource => [
  ...[0x86, 0x09, 0x00, 0x00],
  ...little(base, 4),
  ...little(size, 4),
];
/** Interrupts one of which is used: level-triggered, active high, shared (6.4.3.6). */
export const sharedInterrupts = (...lines: readonly number[]): Resource => [
  0x89,
  ...little(2 + 4 * lines.length, 2),
  0b1001,
  lines.length,
  ...lines.flatMap((line) => little(line, 4)),
];

/** What a bridge passes on (6.4.3.5.2, 6.4.3.5.3); the limits are inclusive. */
function window(tag: number, kind: number, specific: number, bytes: number, first: number, last: number): Resource {
  const numbers = [0, first, last, 0, last - first + 1].flatMap((n) => little(n, bytes));
  // The window is the bridge's own, both ends are fixed, and addresses are decoded positively.
  return [tag, ...little(3 + numbers.length, 2), kind, 0b1100, specific, ...numbers];
}
const WORD = 0x88,
  DWORD = 0x87;
export const busNumbers = (first: number, last: number): Resource => window(WORD, 2, 0, 2, first, last);
export const portWindow = (first: number, last: number): Resource => window(WORD, 1, 0b11, 2, first, last);
/** Memory that may be written and not cached. */
export const memoryWindow = (first: number, last: number): Resource => window(DWORD, 0, 0b1, 4, first, last);

/** The descriptors as a resource template: a buffer with an end tag, whose checksum of 0 says that there is none. */
export const template = (...resources: readonly Resource[]): Aml => buffer([...resources.flat(), 0x79, 0x00]);
