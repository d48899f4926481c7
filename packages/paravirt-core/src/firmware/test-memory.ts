/** RAM for tests: a plain array behind `GuestMemory`, throwing RangeError outside like the machine's own. */
import type { GuestMemory } from '../machine/device.ts';

export interface TestMemory extends GuestMemory {
  readonly bytes: Uint8Array;
  text(address: number): string;
}

export function testMemory(size: number): TestMemory {
  const bytes = new Uint8Array(size);
  const data = new DataView(bytes.buffer);
  const contains = (address: number, length: number): boolean =>
    address >= 0 && length >= 0 && address + length <= size;
  const window = (address: number, length: number): Uint8Array => {
    if (!contains(address, length)) throw new RangeError(`${address}+${length} is outside of RAM`);
    return bytes.subarray(address, address + length);
  };
  return {
    bytes,
    size,
    contains,
    read8: (address) => data.getUint8(address),
    read16: (address) => data.getUint16(address, true),
    read32: (address) => data.getUint32(address, true),
    write8: (address, value) => data.setUint8(address, value),
    write16: (address, value) => data.setUint16(address, value, true),
    write32: (address, value) => data.setUint32(address, value, true),
    read: (address, into) => into.set(window(address, into.length)),
    write: (address, from) => window(address, from.length).set(from),
    view: window,
    written: () => undefined,
    text: (address) => new TextDecoder().decode(bytes.subarray(address, bytes.indexOf(0, address))),
  };
}

/** A seeded source of 32-bit numbers (mulberry32's recurrence); the seed goes into the test's title. */
export function randomWords(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** A copy of `image` with 1..8 random bytes changed near its start, or cut short. */
export function corrupt(image: Uint8Array, random: () => number): Uint8Array {
  const copy = random() % 4 === 0 ? image.slice(0, random() % image.length) : image.slice();
  const edits = 1 + (random() % 8);
  for (let i = 0; i < edits && copy.length > 0; i++) {
    copy[random() % Math.min(copy.length, 0x300)] = [0, 0xff, 0x80, random() & 0xff][random() % 4] ?? 0;
  }
  return copy;
}
