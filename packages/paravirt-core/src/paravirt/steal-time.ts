/**
 * Time that others took from the guest's processor, and whether it has just now to wait, told in the guest's memory (Linux:
 * Documentation/virt/kvm/x86/msr.rst, kvm_steal_time).
 */
import type { GuestMemory } from '../machine/device.ts';
import { read64, update, write64 } from './pvclock.ts';

export const STEAL_BYTES = 64;
/** Bits of `preempted`: it waits for its turn; and the guest's: forget all translations before it goes on. */
const PREEMPTED = 1 << 0,
  FLUSH_TLB = 1 << 1;
const STEAL = { nanoseconds: 0, version: 8, flags: 12, preempted: 16 } as const;

/** Adds what was taken since the last time; the sum is the guest's, and survives with its memory. */
export function addStolenTime(memory: GuestMemory, address: number, nanoseconds: number): boolean {
  return update(memory, address, STEAL_BYTES, STEAL.version, () => {
    const sum = read64(memory, address + STEAL.nanoseconds) + BigInt(Math.max(0, Math.round(nanoseconds)));
    write64(memory, address + STEAL.nanoseconds, BigInt.asUintN(64, sum));
    memory.write32(address + STEAL.flags, 0);
  });
}
/** The processor waits from now on. */
export function tellPreempted(memory: GuestMemory, address: number): void {
  if (memory.contains(address, STEAL_BYTES)) memory.write8(address + STEAL.preempted, PREEMPTED);
}
/** It goes on; answers whether it was to be flushed first. Nobody else executes meanwhile, who could ask for it between the two accesses. */
export function takePreempted(memory: GuestMemory, address: number): boolean {
  if (!memory.contains(address, STEAL_BYTES)) return false;
  const was = memory.read8(address + STEAL.preempted);
  if (was !== 0) memory.write8(address + STEAL.preempted, 0);
  return (was & FLUSH_TLB) !== 0;
}
