/**
 * The clock of a paravirtual guest: a structure in its memory from which it computes the time out of its time stamp counter (Linux:
 * Documentation/virt/kvm/x86/msr.rst). What has no place in guest RAM is written nowhere, as KVM does it: nothing here throws.
 *
 * The counter counts nanoseconds of the machine's clock, so that what is written holds until the guest moves its counter: the time
 * at which a machine stood while it was paused, saved or moved is in neither.
 */
import type { GuestMemory } from '../machine/device.ts';

/** pvclock_vcpu_time_info. */
const TIME_BYTES = 32;
const TIME = { version: 0, tscTimestamp: 8, systemTime: 16, multiplier: 24, shift: 28, flags: 29 } as const;
/** pvclock_wall_clock. */
const WALL_BYTES = 12;
const WALL = { version: 0, seconds: 4, nanoseconds: 8 } as const;

/** One nanosecond a count: (count << 1) * 2^31 >> 32. */
const MULTIPLIER = 0x8000_0000,
  SHIFT = 1;
/** Every processor sees the same time. */
const TSC_STABLE = 1;

/**
 * Changes a structure whose version, a word at `at`, is odd meanwhile, so that whoever reads it on another processor reads it again.
 * False where it is not RAM.
 */
export function update(
  memory: GuestMemory,
  address: number,
  length: number,
  versionAt: number,
  change: () => void,
): boolean {
  if (!memory.contains(address, length)) return false;
  const version = address + versionAt,
    next = (memory.read32(version) | 1) >>> 0;
  memory.write32(version, next);
  change();
  memory.write32(version, (next + 1) >>> 0);
  return true;
}

/** Writes the time. `counterAtZero`: what the guest's counter showed, modulo 2^64, when the machine's clock was 0. */
export function writeSystemTime(memory: GuestMemory, address: number, counterAtZero: bigint): boolean {
  return update(memory, address, TIME_BYTES, TIME.version, () => {
    write64(memory, address + TIME.tscTimestamp, counterAtZero);
    write64(memory, address + TIME.systemTime, 0n);
    memory.write32(address + TIME.multiplier, MULTIPLIER);
    memory.write8(address + TIME.shift, SHIFT);
    memory.write8(address + TIME.flags, TSC_STABLE);
  });
}

/** Writes what the calendar said when the machine's clock was 0: `epoch` in seconds of Unix time. */
export function writeWallClock(memory: GuestMemory, address: number, epoch: number): boolean {
  return update(memory, address, WALL_BYTES, WALL.version, () => {
    memory.write32(address + WALL.seconds, epoch >>> 0);
    memory.write32(address + WALL.nanoseconds, 0);
  });
}

export function read64(memory: GuestMemory, address: number): bigint {
  return BigInt(memory.read32(address)) | (BigInt(memory.read32(address + 4)) << 32n);
}
export function write64(memory: GuestMemory, address: number, value: bigint): void {
  memory.write32(address, Number(value & 0xffff_ffffn));
  memory.write32(address + 4, Number((value >> 32n) & 0xffff_ffffn));
}
