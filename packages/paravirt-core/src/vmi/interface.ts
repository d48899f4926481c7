/**
 * VMI 3.0 in numbers: the calls by which Linux 2.6.21 to 2.6.36 speaks to a hypervisor (Linux: include/asm-i386/vmi.h,
 * arch/x86/kernel/vmi_32.c, vmiclock_32.c; the rest from VMware's vmiCalls.h, API 3.0).
 */

/** Every call, by its number. */
export const CALL_NAMES = [
  ...['CPUID', 'WRMSR', 'RDMSR', 'SetGDT', 'SetLDT', 'SetIDT', 'SetTR', 'GetGDT', 'GetLDT', 'GetIDT'],
  ...['GetTR', 'WriteGDTEntry', 'WriteLDTEntry', 'WriteIDTEntry', 'UpdateKernelStack', 'SetCR0', 'SetCR2', 'SetCR3'],
  ...['SetCR4', 'GetCR0', 'GetCR2', 'GetCR3', 'GetCR4', 'WBINVD', 'SetDR', 'GetDR', 'RDPMC', 'RDTSC', 'CLTS'],
  ...['EnableInterrupts', 'DisableInterrupts', 'GetInterruptMask', 'SetInterruptMask', 'IRET', 'SYSEXIT', 'Halt'],
  ...['Reboot', 'Shutdown', 'SetPxE', 'SetPxELong', 'UpdatePxE', 'UpdatePxELong', 'MachineToPhysical'],
  ...['PhysicalToMachine', 'AllocatePage', 'ReleasePage', 'InvalPage', 'FlushTLB', 'SetLinearMapping'],
  ...['INL', 'INB', 'INW', 'INSL', 'INSB', 'INSW', 'OUTL', 'OUTB', 'OUTW', 'OUTSL', 'OUTSB', 'OUTSW'],
  ...['SetIOPLMask', 'SetInitialAPState', 'APICWrite', 'APICRead', 'IODelay', 'GetCycleFrequency', 'GetCycleCounter'],
  ...['SetAlarm', 'CancelAlarm', 'GetWallclockTime', 'WallclockUpdated', 'SetCallbacks', 'SetLazyMode'],
] as const;
export type CallName = (typeof CALL_NAMES)[number];
export const CALLS = CALL_NAMES.length;
/** The number of a call. */
export const CALL = Object.fromEntries(CALL_NAMES.map((name, number) => [name, number])) as Readonly<
  Record<CallName, number>
>;

/** What GetRelocationInfo says of a call: leave the native code, call, jump, or nothing at all. */
export const RELOCATION = { NONE: 0, CALL: 1, JUMP: 2, NOP: 3 } as const;
export type Relocation = keyof typeof RELOCATION;

/** Flags of AllocatePage and ReleasePage. */
export const PAGE = { PAE: 0x10, CLONE: 0x20 } as const;
/** Flags of SetAlarm and CancelAlarm. */
export const ALARM = { COUNTER: 0xff, PERIODIC: 0x100, LVTT: 0x1_0000 } as const;
/** Time counters: real time, and real time without what was stolen. */
export const COUNTER = { REAL: 0, AVAILABLE: 1, STOLEN: 2 } as const;
/** Doublewords of the state of a processor that SetInitialAPState is given; each comes by itself: its number, whose it is, what it is. */
export const AP_STATE_WORDS = 23;

/**
 * How the ROM calls its hypervisor, which nobody else has to know: VMCALL with EAX = this plus the call's number, the call's first
 * argument in EBX, the second in EDX, the third in ECX, those on the stack in ESI and EDI. The answer is in EAX, or EDX:EAX.
 * KVM's hypercalls have small numbers.
 */
export const HYPERCALL_BASE = 0x564d_4900;
/** VMI_Init, which has no number of its own. */
export const HYPERCALL_INIT = 0xff;
