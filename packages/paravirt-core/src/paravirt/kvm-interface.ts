/** Numbers of KVM's interface towards its guests (Linux: Documentation/virt/kvm/x86/{cpuid,msr,hypercalls}.rst). */

/** CPUID leaves: who the hypervisor is, and what it has. */
export const LEAF = { SIGNATURE: 0x4000_0000, FEATURES: 0x4000_0001 } as const;
/** "KVMKVMKVM" and three zeros, in EBX, ECX and EDX. */
export const SIGNATURE = [0x4b4d_564b, 0x564b_4d56, 0x0000_004d] as const;

/** CPUID.40000001h:EAX, by bit. What is not named is not there. */
export const FEATURE = {
  /** The clock at its old registers, and at its new ones. */
  CLOCKSOURCE: 1 << 0,
  CLOCKSOURCE2: 1 << 3,
  /** Devices are there at once: nobody need wait behind an access of a port. */
  NOP_IO_DELAY: 1 << 1,
  STEAL_TIME: 1 << 5,
  PV_EOI: 1 << 6,
  /** Another processor can be woken by a hypercall. */
  PV_UNHALT: 1 << 7,
  /** What a processor that waits for its turn has in its TLB can be flushed by a bit in its steal time. */
  PV_TLB_FLUSH: 1 << 9,
  PV_SEND_IPI: 1 << 11,
  POLL_CONTROL: 1 << 12,
  /** A processor can give its turn to another. */
  PV_SCHED_YIELD: 1 << 13,
  /** The clock's own flag of that name can be believed. */
  CLOCKSOURCE_STABLE_BIT: 1 << 24,
} as const;
export const ALL_FEATURES = Object.values(FEATURE).reduce((all, bit) => all | bit, 0);
/** What only processors of which one may wait for another can use; kernels take longer ways for the sake of them. */
export const FEATURES_OF_SEVERAL = FEATURE.PV_TLB_FLUSH | FEATURE.PV_SCHED_YIELD;

export const MSR = {
  WALL_CLOCK_OLD: 0x11,
  SYSTEM_TIME_OLD: 0x12,
  WALL_CLOCK: 0x4b56_4d00,
  SYSTEM_TIME: 0x4b56_4d01,
  STEAL_TIME: 0x4b56_4d03,
  PV_EOI: 0x4b56_4d04,
  POLL_CONTROL: 0x4b56_4d05,
} as const;
/** Bit 0 of registers that hold an address: whether it is in use. */
export const ENABLED = 1n;

export const HYPERCALL = { VAPIC_POLL_IRQ: 1, KICK_CPU: 5, SEND_IPI: 10, SCHED_YIELD: 11 } as const;
/** What hypercalls answer when they do not do what they are asked. */
export const KVM_ENOSYS = 1000,
  KVM_EPERM = 1,
  KVM_EINVAL = 22;
