/** What a hypervisor adds to the processor that its guest sees. Whoever owns the machine makes one; the processor asks it. */
import type { Leaf } from './cpuid.ts';

export interface Hypervisor {
  /** A leaf of its own; undefined for others. Without this CPUID says nothing of a hypervisor. */
  leaf?(n: number): Leaf | undefined;
  /** RDMSR of a register of its own; undefined for others, which is #GP(0). */
  readMsr(n: number): bigint | undefined;
  /** WRMSR; false, which is #GP(0), for registers that are not its own, and for values that they do not take. */
  writeMsr(n: number, value: bigint, timestampOffset: bigint): boolean;
  /** The guest has moved its time stamp counter: it shows so much beyond the bus's from now on, modulo 2^64. */
  timestampMoved(timestampOffset: bigint): void;
  /** A fault of the instruction at EIP, at CPL 0, is to be reported with another EIP; undefined for the one that it is. */
  faultPlace?(eip: number): number | undefined;
  /** VMCALL and VMMCALL; the answer is for EAX. `registers` are EAX to EDI as instructions number them, as long as the call lasts. */
  hypercall(registers: readonly number[], cpl: number): number;
}
