/** The hypervisor that a machine's guest finds: which part of KVM's interface, and how the processor reaches it. */
import { EBX, ECX, EDX, ESI } from '../isa/build.ts';
import { HYPERVISOR_BIT } from '../core/cpuid.ts';
import type { Hypervisor } from '../core/hypervisor.ts';
import type { DeviceOf } from '../machine/device.ts';
import type { kvm } from '../paravirt/kvm.ts';
import { ALL_FEATURES, LEAF } from '../paravirt/kvm-interface.ts';
import type { MachineConfig } from './machine.ts';

/**
 * CPUID.40000001h:EAX; undefined where the guest finds no hypervisor, which is so too where CPUID is told to hide that there is one.
 * A feature that is hidden is not there.
 */
export function kvmFeatures({ paravirt, cpuid = [] }: Pick<MachineConfig, 'paravirt' | 'cpuid'>): number | undefined {
  const hidden = (leaf: number, register: number): number =>
    cpuid.reduce((all, mask) => (mask.leaf === leaf && mask.register === register ? all | mask.clear : all), 0);
  if (paravirt !== 'kvm' || (hidden(1, ECX_OF_LEAF) & HYPERVISOR_BIT) !== 0) return undefined;
  return ALL_FEATURES & ~hidden(LEAF.FEATURES, EAX_OF_LEAF);
}
/** Registers as `CpuidMask` numbers them. */
const EAX_OF_LEAF = 0,
  ECX_OF_LEAF = 2;

/** `parts` are asked for when the guest runs: the board is put together after its processor. */
export function hypervisorOf(parts: () => DeviceOf<typeof kvm>['parts']): Hypervisor {
  return {
    leaf: (n) => parts().leaf(n),
    readMsr: (n) => parts().readMsr(n),
    writeMsr: (n, value, timestampOffset) => parts().writeMsr(n, value, timestampOffset),
    timestampMoved: (timestampOffset) => parts().timestampMoved(timestampOffset),
    hypercall: (registers, cpl) => {
      const of = (n: number): number => registers[n]!;
      return parts().hypercall({ number: of(0), arguments: [of(EBX), of(ECX), of(EDX), of(ESI)], cpl });
    },
  };
}
