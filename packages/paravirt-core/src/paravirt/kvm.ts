/**
 * What a guest finds of KVM (Linux: Documentation/virt/kvm/x86): CPUID leaves, model-specific registers and hypercalls of one
 * processor. It has neither ports nor memory: the processor asks it. Left out are asynchronous page faults, since every page is there.
 */
import { array, bool, nested, pod, u32, type Field } from '@tomei/kit';
import { backendKind, defineDevice, typed } from '../machine/device.ts';
import { hypercall, type Hypercall } from './hypercalls.ts';
import { ALL_FEATURES, ENABLED, FEATURE, LEAF, MSR, SIGNATURE } from './kvm-interface.ts';
import { EOI_BYTES, PvEoi } from './pv-eoi.ts';
import { writeSystemTime, writeWallClock } from './pvclock.ts';
import { addStolenTime, takePreempted, tellPreempted } from './steal-time.ts';

export interface KvmConfig {
  /** CPUID.40000001h:EAX; registers of what is left out are not there. */
  readonly features: number;
  /** Unix time in seconds when the machine's clock was 0. */
  readonly epoch: number;
  readonly processors: number;
}
/** What a processor does to another than the device's own. APIC IDs are those after reset. */
export interface OtherProcessors {
  /** Wakes it from HLT, or keeps it from its next one. */
  kick(apicId: number): void;
  /** The one that executes gives its turn to it. */
  yieldTo(apicId: number): void;
}
export const otherProcessors = backendKind<OtherProcessors>('other-processors');
/** EAX, EBX, ECX, EDX. */
type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** Reserved bits: 5:1 of the steal time's register, 63:1 of the poll control. */
const STEAL_RESERVED = 0x3en,
  POLL_RESERVED = ~1n;
const ENABLED_BIT = Number(ENABLED);

/** 64 bits as two halves, the low one first. */
const register = (low = 0): Field<number[]> => array(2, (half) => u32(half === 0 ? low : 0));

const kvmState = pod({
  wallClock: register(),
  systemTime: register(),
  stealTime: register(),
  eoiAddress: register(),
  /** The host may poll when the processor halts. It never does, whatever stands here. */
  pollControl: register(1),
  eoi: nested(pod({ offered: bool() })),
  /** The processor has been kicked: its next HLT is over at once. */
  kicked: bool(),
});
type Stored = 'wallClock' | 'systemTime' | 'stealTime' | 'eoiAddress' | 'pollControl';

/** By number: the feature that stands for a register, and where its value is. Both pairs of the clock are one. */
const REGISTERS: Readonly<Record<number, readonly [feature: number, field: Stored]>> = {
  [MSR.WALL_CLOCK_OLD]: [FEATURE.CLOCKSOURCE, 'wallClock'],
  [MSR.SYSTEM_TIME_OLD]: [FEATURE.CLOCKSOURCE, 'systemTime'],
  [MSR.WALL_CLOCK]: [FEATURE.CLOCKSOURCE2, 'wallClock'],
  [MSR.SYSTEM_TIME]: [FEATURE.CLOCKSOURCE2, 'systemTime'],
  [MSR.STEAL_TIME]: [FEATURE.STEAL_TIME, 'stealTime'],
  [MSR.PV_EOI]: [FEATURE.PV_EOI, 'eoiAddress'],
  [MSR.POLL_CONTROL]: [FEATURE.POLL_CONTROL, 'pollControl'],
};

export const kvm = defineDevice({
  kind: 'kvm',
  version: 1,
  summary: "KVM's interface: clock, steal time, end of interrupt, hypercalls",
  config: typed<KvmConfig>({ features: ALL_FEATURES, epoch: 0, processors: 1 }),
  state: kvmState,
  attach({ config: { features, epoch, processors }, state, host }) {
    const { memory } = host;
    const others = host.backend(otherProcessors);
    const counts = { msr: 0, hypercall: 0 };
    const value = (field: Stored): bigint => BigInt(state[field][0]!) | (BigInt(state[field][1]!) << 32n);
    /**
     * Where a register points, without its low bits; undefined when it is not enabled. Addresses beyond 2^53 are nowhere near RAM. Each
     * interrupt asks: operators of BigInt would make a number each.
     */
    const placeOf = (field: Stored, lowBits: number): number | undefined => {
      const half = state[field],
        low = half[0]!;
      return (low & ENABLED_BIT) === 0 ? undefined : half[1]! * 2 ** 32 + ((low & ~lowBits) >>> 0);
    };
    const eoi = new PvEoi(
      memory,
      () => state.eoi,
      () => placeOf('eoiAddress', 3),
    );

    const tellTime = (timestampOffset: bigint): void => {
      const address = placeOf('systemTime', ENABLED_BIT);
      if (address !== undefined) writeSystemTime(memory, address, BigInt.asUintN(64, timestampOffset));
    };
    /** Whether a register takes a value. */
    const accepts = (field: Stored, written: bigint): boolean => {
      if (field === 'stealTime') return (written & STEAL_RESERVED) === 0n;
      if (field === 'pollControl') return (written & POLL_RESERVED) === 0n;
      if (field !== 'eoiAddress') return true;
      const address = written & ~ENABLED;
      if ((address & 3n) !== 0n) return false;
      return (written & ENABLED) === 0n || memory.contains(Number(address), EOI_BYTES);
    };

    const kicked = (): void => void (state.kicked = true);
    const resumes = (): boolean => {
      const address = placeOf('stealTime', 0x3f);
      return address !== undefined && takePreempted(memory, address) && (features & FEATURE.PV_TLB_FLUSH) !== 0;
    };

    return {
      ports: [],
      /** A leaf of the hypervisor's; undefined for others. */
      leaf(n: number): Leaf | undefined {
        if (n === LEAF.SIGNATURE) return [LEAF.FEATURES, ...SIGNATURE];
        return n === LEAF.FEATURES ? [features, 0, 0, 0] : undefined;
      },
      /** RDMSR; undefined for a register that is not there. */
      readMsr(n: number): bigint | undefined {
        const [feature, field] = REGISTERS[n] ?? [0, 'wallClock'];
        if ((features & feature) === 0) return undefined;
        counts.msr++;
        return value(field);
      },
      /**
       * WRMSR; false, which is #GP(0), for a register that is not there and a value that it does not take. `timestampOffset` is
       * what the guest's time stamp counter shows beyond the machine's clock, modulo 2^64.
       */
      writeMsr(n: number, written: bigint, timestampOffset: bigint): boolean {
        const [feature, field] = REGISTERS[n] ?? [0, 'wallClock'];
        if ((features & feature) === 0 || !accepts(field, written)) return false;
        counts.msr++;
        if (field === 'eoiAddress') eoi.moving();
        state[field] = [Number(written & 0xffff_ffffn), Number((written >> 32n) & 0xffff_ffffn)];
        if (field === 'wallClock' && written !== 0n) writeWallClock(memory, Number(written), epoch);
        if (field === 'systemTime') tellTime(timestampOffset);
        if (field === 'stealTime') resumes();
        return true;
      },
      /** The guest has moved its time stamp counter. */
      timestampMoved: tellTime,
      /** VMCALL: what EAX is afterwards. */
      hypercall(call: Hypercall): number {
        counts.hypercall++;
        const kick = (apicId: number): void => (others === undefined ? kicked() : others.kick(apicId));
        const yieldTo = (apicId: number): void => others?.yieldTo(apicId);
        return hypercall(call, { features, processors, send: (message) => host.apic(message), kick, yieldTo });
      },
      /** Another processor has woken this one by a hypercall. */
      kicked,
      /** Whether HLT is over by a hypercall; it is so once. */
      takeKick(): boolean {
        const { kicked } = state;
        state.kicked = false;
        return kicked;
      },
      /** Whether the guest wants to hear how long its processor waited for one of the host's. */
      wantsStolenTime: (): boolean => placeOf('stealTime', 0x3f) !== undefined,
      /** The guest's processor was ready and had none of the host's for so many nanoseconds since this was said last. */
      stolen(nanoseconds: number): void {
        const address = placeOf('stealTime', 0x3f);
        if (address !== undefined) addStolenTime(memory, address, nanoseconds);
      },
      /** The guest's processor could go on, and waits for its turn from now on. */
      preempted(): void {
        const address = placeOf('stealTime', 0x3f);
        if (address !== undefined) tellPreempted(memory, address);
      },
      /** It has its turn again; answers whether the guest wants all translations of the processor forgotten first. */
      resumes,
      /** For the local APIC. */
      eoi,
      /** Accesses to registers, and hypercalls, since this was made. */
      counts,
    };
  },
});
