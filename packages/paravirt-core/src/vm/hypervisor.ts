/** The hypervisor that a machine's guest finds: which part of KVM's interface, and how the processor reaches it. */
import type { Nanoseconds } from '@tomei/kit';
import { EBX, ECX, EDI, EDX, ESI } from '../isa/build.ts';
import type { Cpu } from '../core/cpu.ts';
import { HYPERVISOR_BIT } from '../core/cpuid.ts';
import type { Hypervisor } from '../core/hypervisor.ts';
import type { GeneralRegisters } from '../paravirt/vmware-backdoor.ts';
import { CALL, HYPERCALL_BASE, type vmi } from '../vmi/index.ts';
import type { DeviceOf } from '../machine/device.ts';
import type { kvm } from '../paravirt/kvm.ts';
import { ALL_FEATURES, FEATURES_OF_SEVERAL, KVM_ENOSYS, LEAF } from '../paravirt/kvm-interface.ts';
import type { MachineConfig } from './machine-config.ts';
import { vmiRomOf } from './vmi-memory.ts';
import type { StolenTimeGuest } from './stolen-time.ts';

/**
 * CPUID.40000001h:EAX; undefined where the guest finds no hypervisor, which is so too where CPUID is told to hide that there is one.
 * A feature that is hidden is not there.
 */
export function kvmFeatures({
  paravirt,
  cpuid = [],
  processors = 1,
}: Pick<MachineConfig, 'paravirt' | 'cpuid' | 'processors'>): number | undefined {
  const hidden = (leaf: number, register: number): number =>
    cpuid.reduce((all, mask) => (mask.leaf === leaf && mask.register === register ? all | mask.clear : all), 0);
  if (paravirt !== 'kvm' || (hidden(1, ECX_OF_LEAF) & HYPERVISOR_BIT) !== 0) return undefined;
  const useless = processors === 1 ? FEATURES_OF_SEVERAL : 0;
  return ALL_FEATURES & ~(useless | hidden(LEAF.FEATURES, EAX_OF_LEAF));
}
/** Registers as `CpuidMask` numbers them. */
const EAX_OF_LEAF = 0,
  ECX_OF_LEAF = 2;

/** A processor's registers; it is asked for when the guest runs. */
export const registersOf = (cpu: () => Cpu): GeneralRegisters => ({
  get: (index) => cpu().getRegister(index),
  set: (index, value) => cpu().setRegister(index, value),
});
/** What hypercalls reach: devices of a board, and the processor that calls. */
export interface HypervisorParts {
  /** Absent where the guest finds no KVM. */
  readonly kvm: DeviceOf<typeof kvm> | undefined;
  /** Absent where the guest finds no VMI ROM. */
  readonly vmi: DeviceOf<typeof vmi> | undefined;
}

/**
 * The hypervisor that a processor, by its number, finds; undefined where the guest is to find none. `parts` are asked for when the guest runs: the board is put
 * together after its processor. `now` is called before the host looks at the time. `callBelowStack` is the function of that name.
 */
export function hypervisorOf(
  config: Pick<MachineConfig, 'paravirt' | 'cpuid' | 'vmi'>,
  processor: number,
  parts: () => HypervisorParts,
  registers: GeneralRegisters,
  now: () => void,
  callBelowStack: (target: number) => number | undefined,
): Hypervisor | undefined {
  const hasKvm = kvmFeatures(config) !== undefined,
    rom = vmiRomOf(config);
  if (!hasKvm && rom === undefined) return undefined;
  return {
    ...(hasKvm ? { leaf: (n: number) => parts().kvm?.parts.leaf(n) } : {}),
    readMsr: (n) => parts().kvm?.parts.readMsr(n),
    writeMsr: (n, value, timestampOffset) => parts().kvm?.parts.writeMsr(n, value, timestampOffset) ?? false,
    timestampMoved: (timestampOffset) => parts().kvm?.parts.timestampMoved(timestampOffset),
    ...(rom === undefined
      ? {}
      : {
          faultPlace: (eip: number) => {
            const base = parts().vmi?.parts.base();
            if (base === undefined || eip !== (base + rom.iret) >>> 0) return undefined;
            return callBelowStack((base + rom.offsetOf.get(CALL.IRET)!) >>> 0);
          },
        }),
    hypercall: (given, cpl) => {
      const of = (n: number): number => given[n]!;
      const { kvm: kvmDevice, vmi: vmiDevice } = parts(),
        number = of(0) - HYPERCALL_BASE;
      if (vmiDevice !== undefined && number >= 0 && number < VMI_NUMBERS) {
        now();
        const call = { number, arguments: [of(EBX), of(EDX), of(ECX), of(ESI), of(EDI)], processor, cpl } as const;
        const [eax, edx] = vmiDevice.parts.hypercall(call);
        if (edx !== undefined) registers.set(EDX, edx);
        return eax;
      }
      const call = { number: of(0), arguments: [of(EBX), of(ECX), of(EDX), of(ESI)], cpl } as const;
      return kvmDevice?.parts.hypercall(call) ?? -KVM_ENOSYS;
    },
  };
}
/** VMI's hypercalls have a byte for their number. */
const VMI_NUMBERS = 0x100;

/** What the guest asked of its hypervisor by all processors; undefined where it finds none. */
export function hypercallCounts(
  kvms: readonly DeviceOf<typeof kvm>[],
  vmiDevice: DeviceOf<typeof vmi> | undefined,
): { readonly msr: number; readonly hypercall: number } | undefined {
  if (kvms.length === 0 && vmiDevice === undefined) return undefined;
  const sum = (of: 'msr' | 'hypercall'): number => kvms.reduce((all, { parts }) => all + parts.counts[of], 0);
  return { msr: sum('msr'), hypercall: sum('hypercall') + (vmiDevice?.parts.counts.calls ?? 0) };
}

/** Whoever is to hear of time that the host did not give to the processor that executes; undefined where nobody is. */
export function stolenTimeGuest(
  { kvms, vmi: vmiDevice }: StolenTimeParts,
  executing: () => number,
): StolenTimeGuest | undefined {
  if (kvms.length === 0 && vmiDevice === undefined) return undefined;
  return {
    wantsStolenTime: () =>
      kvms[executing()]?.parts.wantsStolenTime() === true || vmiDevice?.parts.wantsStolenTime() === true,
    stolen: (nanoseconds) => tellStolenTime({ kvms, vmi: vmiDevice }, executing(), nanoseconds),
  };
}
/** A processor waited for its turn, or for one of the host's processors. */
export function tellStolenTime(
  { kvms, vmi: vmiDevice }: StolenTimeParts,
  processor: number,
  nanoseconds: Nanoseconds,
): void {
  kvms[processor]?.parts.stolen(nanoseconds);
  if (vmiDevice?.parts.wantsStolenTime() === true) vmiDevice.parts.stolen(processor, nanoseconds);
}
interface StolenTimeParts {
  readonly kvms: readonly DeviceOf<typeof kvm>[];
  readonly vmi: HypervisorParts['vmi'];
}
