/** What a guest asks of its hypervisor by VMCALL (Linux: Documentation/virt/kvm/x86/hypercalls.rst), in its 32-bit form. */
import type { ApicMessage } from '../machine/device.ts';
import { FEATURE, HYPERCALL, KVM_EINVAL, KVM_ENOSYS, KVM_EPERM } from './kvm-interface.ts';

/** A hypercall: EAX, then EBX, ECX, EDX and ESI, unsigned; and at which privilege level. */
export interface Hypercall {
  readonly number: number;
  readonly arguments: readonly [number, number, number, number];
  readonly cpl: number;
}
/** What hypercalls reach. */
export interface HypercallParts {
  /** CPUID.40000001h:EAX. */
  readonly features: number;
  /** APIC IDs are 0 to one less. */
  readonly processors: number;
  send(message: ApicMessage): void;
  /** Wakes a processor from HLT, or keeps it from its next one. */
  kick(apicId: number): void;
  /** The processor that calls gives its turn to another. */
  yieldTo(apicId: number): void;
}

/** Interrupt command register: destination and shorthand have to be 0, the bitmaps say whom (SDM vol. 3, 11.6.1). */
const ICR_ELSEWHERE = 0x000c_0800;
const ICR_MODES: Readonly<Record<number, ApicMessage['mode']>> = { 0: 'fixed', 1: 'lowest', 4: 'nmi' };
const ICR_LEVEL = 1 << 15;
/** Processors in one word of SEND_IPI's bitmap. */
const WORD = 32;

/** The answer, for EAX: 0 or more, or an error below 0. */
export function hypercall({ number, arguments: given, cpl }: Hypercall, parts: HypercallParts): number {
  if (cpl !== 0) return -KVM_EPERM;
  switch (number) {
    // The call itself is the point: interrupts are looked at on the way back.
    case HYPERCALL.VAPIC_POLL_IRQ:
      return 0;
    case HYPERCALL.KICK_CPU:
      if ((parts.features & FEATURE.PV_UNHALT) === 0) return -KVM_ENOSYS;
      if (given[1] < parts.processors) parts.kick(given[1]);
      return 0;
    case HYPERCALL.SEND_IPI:
      return (parts.features & FEATURE.PV_SEND_IPI) === 0 ? -KVM_ENOSYS : sendIpi(given, parts);
    case HYPERCALL.SCHED_YIELD:
      if ((parts.features & FEATURE.PV_SCHED_YIELD) === 0) return -KVM_ENOSYS;
      if (given[0] < parts.processors) parts.yieldTo(given[0]);
      return 0;
    default:
      return -KVM_ENOSYS;
  }
}

/** `low` and `high` name processors from APIC ID `lowest` up. Answers how many of them there are. */
function sendIpi([low, high, lowest, command]: Hypercall['arguments'], { processors, send }: HypercallParts): number {
  const mode = ICR_MODES[(command >> 8) & 7];
  if ((command & ICR_ELSEWHERE) !== 0 || mode === undefined) return -KVM_EINVAL;
  let count = 0;
  for (let id = lowest; id < processors && id < lowest + 2 * WORD; id++) {
    const bit = id - lowest,
      word = bit < WORD ? low : high;
    if ((word & (1 << (bit % WORD))) === 0) continue;
    send({ destination: id, logical: false, mode, vector: command & 0xff, level: (command & ICR_LEVEL) !== 0 });
    count++;
  }
  return count;
}
