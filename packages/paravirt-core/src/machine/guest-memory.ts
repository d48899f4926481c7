/** Guest RAM as devices reach it: a window of bytes that starts at guest-physical 0, little-endian, bounds-checked. */
import type { GuestMemory } from './device.ts';

export class RamWindow implements GuestMemory {
  readonly size: number;
  private readonly ram: Uint8Array;
  private readonly data: DataView;
  private readonly onWritten: (address: number, length: number) => void;

  /** `written` is told of every change that a device makes, so that translations of code in those pages are dropped. */
  constructor(ram: Uint8Array, written: (address: number, length: number) => void = () => undefined) {
    this.ram = ram;
    this.size = ram.length;
    this.data = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    this.onWritten = written;
  }

  contains(address: number, length: number): boolean {
    return (
      Number.isSafeInteger(address) &&
      Number.isSafeInteger(length) &&
      address >= 0 &&
      length >= 0 &&
      address + length <= this.size
    );
  }

  read8(address: number): number {
    return this.data.getUint8(this.checked(address, 1));
  }
  read16(address: number): number {
    return this.data.getUint16(this.checked(address, 2), true);
  }
  read32(address: number): number {
    return this.data.getUint32(this.checked(address, 4), true);
  }

  write8(address: number, value: number): void {
    this.data.setUint8(this.checked(address, 1), value);
    this.onWritten(address, 1);
  }
  write16(address: number, value: number): void {
    this.data.setUint16(this.checked(address, 2), value, true);
    this.onWritten(address, 2);
  }
  write32(address: number, value: number): void {
    this.data.setUint32(this.checked(address, 4), value, true);
    this.onWritten(address, 4);
  }

  read(address: number, into: Uint8Array): void {
    this.checked(address, into.length);
    into.set(this.ram.subarray(address, address + into.length));
  }
  write(address: number, from: Uint8Array): void {
    this.checked(address, from.length);
    this.ram.set(from, address);
    this.onWritten(address, from.length);
  }

  view(address: number, length: number): Uint8Array {
    this.checked(address, length);
    return this.ram.subarray(address, address + length);
  }
  written(address: number, length: number): void {
    this.onWritten(address, length);
  }

  private checked(address: number, length: number): number {
    if (!this.contains(address, length)) {
      throw new RangeError(`guest-physical 0x${address.toString(16)} + ${length} is outside RAM of ${this.size} bytes`);
    }
    return address;
  }
}
