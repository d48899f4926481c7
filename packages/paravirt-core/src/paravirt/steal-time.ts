/** Time that others took from the guest's processor, told in the guest's memory (Linux: Documentation/virt/kvm/x86/msr.rst, kvm_steal_time). */
import type { GuestMemory } from '../machine/device.ts';
import { read64, update, write64 } from './pvclock.ts';

export const STEAL_BYTES = 64;
const STEAL = { nanoseconds: 0, version: 8, flags: 12, preempted: 16 } as const;

/** Adds what was taken since the last time; the sum is the guest's, and survives with its memory. */
export function addStolenTime(memory: GuestMemory, address: number, nanoseconds: number): boolean {
  return update(memory, address, STEAL_BYTES, STEAL.version, () => {
    const sum = read64(memory, address + STEAL.nanoseconds) + BigInt(Math.max(0, Math.round(nanoseconds)));
    write64(memory, address + STEAL.nanoseconds, BigInt.asUintN(64, sum));
    memory.write32(address + STEAL.flags, 0);
    memory.write8(address + STEAL.preempted, 0);
  });
}
