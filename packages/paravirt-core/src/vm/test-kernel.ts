/** For tests: guests of a few bytes of 32-bit code, as multiboot kernels for a whole machine. */
import type { Machine } from './machine.ts';

/** Where such a kernel lies, and where its code begins. */
const LOAD = 0x10_0000,
  ENTRY = LOAD + 32;
export const EAX = 0,
  ECX = 1,
  EDX = 2,
  EBX = 3,
  ESI = 6;
/** A doubleword as the processor has it in memory. */
export const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
/** MOV register,n */
export const mov = (register: number, n: number): number[] => [0xb8 + register, ...u32(n)];
export const VMCALL = [0x0f, 0x01, 0xc1];
export const HLT = 0xf4;
/** Ends the machine by its debug exit (port F4h). */
export const exit = [0xb0, 0, 0xe6, 0xf4, HLT];

/** The code with a header before it that says where it goes (Multiboot Specification 0.6.96, 3.1). */
export function kernelOf(code: readonly number[]): { readonly name: string; readonly bytes: Uint8Array } {
  const flags = 1 << 16,
    end = ENTRY + code.length;
  const header = [0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, LOAD, LOAD, end, end, ENTRY];
  return { name: 'test.kernel', bytes: Uint8Array.from([...header.flatMap(u32), ...code]) };
}
/** Runs a machine until it stops, and says why it did. */
export function finish(guest: Machine): unknown {
  for (let i = 0; i < 20_000; i++) {
    const end = guest.runSlice();
    if (end.kind === 'stopped') return end.why;
  }
  return 'it runs on';
}
export const register = (guest: Machine, n: number): number => guest.processor.cpu.getRegister(n);
