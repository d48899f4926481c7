/**
 * Who this processor says it is (SDM vol. 2, CPUID). What a feature bit claims works; what does not work has no bit.
 *
 * Family 6, model 26h, stepping 1 are those of a 32-bit-only line (Atom E600) that executes in order. Both are true here: there is
 * no long mode, and nothing is executed speculatively, so that kernels keep no guard against side channels that cannot exist. The
 * model is young enough for a constant time stamp counter to be believed. SSE4, POPCNT and deadlines of the
 * time stamp counter are more than that line had; feature bits say so, and software goes by them.
 */

/** CPUID.1:EAX, and EDX after reset. */
export const FAMILY_MODEL_STEPPING = 0x2_0661;

/** CPUID.1:EDX, by bit (SDM vol. 2, table 3-11). */
const EDX = {
  FPU: 0,
  VME: 1,
  DE: 2,
  PSE: 3,
  TSC: 4,
  MSR: 5,
  PAE: 6,
  MCE: 7,
  CX8: 8,
  APIC: 9,
  SEP: 11,
  MTRR: 12,
  PGE: 13,
  MCA: 14,
  CMOV: 15,
  PAT: 16,
  PSE36: 17,
  CLFSH: 19,
  MMX: 23,
  FXSR: 24,
  SSE: 25,
  SSE2: 26,
  HTT: 28,
} as const;
/** CPUID.1:ECX bit 31: somebody stands between the guest and the machine, and says who from leaf 40000000h on. */
export const HYPERVISOR_BIT = 0x8000_0000;
/** CPUID.1:ECX, by bit (SDM vol. 2, table 3-10). */
const ECX = { SSE3: 0, MONITOR: 3, SSSE3: 9, SSE41: 19, SSE42: 20, POPCNT: 23, TSC_DEADLINE: 24 } as const;
/** Leaf 0Bh: kinds of levels (SDM vol. 2, table 3-8, "Extended Topology Enumeration Leaf"). */
const LEVEL = { THREADS: 1, CORES: 2 } as const;
/** Leaf 4: a data cache of the first level that fills itself, in one partition: 8 ways of 64 lines. Systems count cores by the leaf only when it has a cache. */
const DATA_CACHE = 1 | (1 << 5) | (1 << 8),
  CACHE_WAYS = 8,
  CACHE_SETS = 64;
/** CPUID.80000001h:EDX, by bit. */
const EXTENDED = { NX: 20 } as const;

export type Feature = keyof typeof EDX | keyof typeof ECX | keyof typeof EXTENDED;
/** Features that the tables above name and this processor does not have yet. */
const ABSENT: readonly Feature[] = [];

/** The time stamp counter counts nanoseconds of the machine's clock. */
export const TIMESTAMP_HZ = 1_000_000_000;
const LAST_BASIC = 0x15;
const LAST_EXTENDED = 0x8000_0008;
/** With IA32_MISC_ENABLE's limit set, old systems are told of no more than these. */
const LIMITED_BASIC = 2;
const BRAND = 'Tomei virtual processor';
const CACHE_LINE = 64;
const LINEAR_BITS = 32;

/** EAX, EBX, ECX, EDX. */
export type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];
const NOTHING: Leaf = [0, 0, 0, 0];
const VENDOR = [text('Genu'), text('ntel'), text('ineI')] as const;

/**
 * Bits of one register of one leaf that are told otherwise. It changes what CPUID says, not what the processor does: a feature that is hidden
 * still works, and one that is only said to be there does not.
 */
export interface CpuidMask {
  readonly leaf: number;
  /** 0 to 3: EAX, EBX, ECX, EDX. */
  readonly register: number;
  /** Bits that read as 0, and as 1. */
  readonly clear: number;
  readonly set: number;
}

/** What changes answers while the processor runs. */
export interface IdentityState {
  /** IA32_APIC_BASE has the local APIC enabled. */
  readonly apic: boolean;
  /** The local APIC's identifier after reset. */
  readonly apicId: number;
  /** ECX, by which leaves with parts of their own are asked; 0 when absent. */
  readonly part?: number;
  /** IA32_MISC_ENABLE: leaves limited, MONITOR usable, execute-disable hidden. */
  readonly limited: boolean;
  readonly monitor: boolean;
  readonly noExecute: boolean;
}

export class Identity {
  private readonly features: ReadonlySet<Feature>;
  private readonly physicalBits: number;
  private readonly masks: readonly CpuidMask[];
  /** Processors in the socket, each a core with one thread. APIC IDs of a socket begin at a multiple of the power of 2 that holds as many. */
  private readonly cores: number;
  /** A hypervisor's own leaves. */
  private readonly hypervisor: ((n: number) => Leaf | undefined) | undefined;
  /** Feature bits: every program asks for them when it starts. */
  private readonly words: { readonly edx: number; readonly ecx: number; readonly extended: number };

  /**
   * `without` are features to leave out; `masks` change answers only, the last one of several for a bit. `hypervisor` answers
   * leaves of its own; without it there is none to be found. `cores` are the processors of one socket.
   */
  constructor(
    without: readonly Feature[],
    physicalBits: number,
    masks: readonly CpuidMask[] = [],
    hypervisor?: (n: number) => Leaf | undefined,
    cores = 1,
  ) {
    this.masks = masks;
    this.cores = cores;
    this.hypervisor = hypervisor;
    const absent: readonly Feature[] = [...without, ...ABSENT, ...(cores === 1 ? (['HTT'] as const) : [])];
    const all = [...Object.keys(EDX), ...Object.keys(ECX), ...Object.keys(EXTENDED)] as Feature[];
    this.features = new Set(all.filter((name) => !absent.includes(name)));
    this.physicalBits = physicalBits;
    this.words = { edx: this.bits(EDX), ecx: this.bits(ECX), extended: this.bits(EXTENDED) };
  }

  /** Whether the processor has a feature, whatever CPUID hides at the moment. */
  has(feature: Feature): boolean {
    return this.features.has(feature);
  }

  private bits(table: Readonly<Record<string, number>>): number {
    return Object.entries(table).reduce(
      (all, [name, bit]) => (this.features.has(name as Feature) ? all | (1 << bit) : all),
      0,
    );
  }

  /** One leaf. A leaf beyond the last one of its range answers as the last basic one. */
  leaf(n: number, state: IdentityState): Leaf {
    const last = state.limited ? LIMITED_BASIC : LAST_BASIC;
    const isExtended = n >= 0x8000_0000 && n <= LAST_EXTENDED,
      own = this.hypervisor?.(n);
    const answered = n > last && !isExtended && own === undefined ? last : n;
    const words = [...(own ?? this.unmasked(answered, last, state))] as [number, number, number, number];
    for (const { leaf, register, clear, set } of this.masks)
      if (leaf === answered) words[register as 0] = (words[register]! & ~clear) | set;
    return words;
  }
  private unmasked(n: number, last: number, state: IdentityState): Leaf {
    switch (n) {
      case 0:
        return [last, ...VENDOR];
      case 1: {
        const hidden = state.apic ? 0 : 1 << EDX.APIC,
          hiddenEcx = state.monitor ? 0 : 1 << ECX.MONITOR;
        const ebx = (state.apicId << 24) | (this.cores << 16) | ((CACHE_LINE / 8) << 8);
        const ecx = this.words.ecx | (this.hypervisor === undefined ? 0 : HYPERVISOR_BIT);
        return [FAMILY_MODEL_STEPPING, ebx, ecx & ~hiddenEcx, this.words.edx & ~hidden];
      }
      // No cache descriptors: the iteration count, and nothing valid behind it.
      case 2:
        return [1, 0, 0, 0];
      case 4:
        return this.cores === 1 || (state.part ?? 0) !== 0 ? NOTHING : this.dataCache();
      // Processors of one core each say nothing of topology.
      case 0xb:
        return this.cores === 1 ? NOTHING : this.level(state.part ?? 0, state.apicId);
      // Monitored lines; hints in ECX are told, interrupts end MWAIT though masked; one sub-state of C0 and of C1.
      case 5:
        return this.has('MONITOR') ? [CACHE_LINE, CACHE_LINE, 3, 0x11] : NOTHING;
      // The time stamp counter runs at the crystal's rate, 1 GHz: kernels need not measure it.
      case 0x15:
        return [1, 1, TIMESTAMP_HZ, 0];
      case 0x8000_0000:
        return [LAST_EXTENDED | 0, 0, 0, 0];
      case 0x8000_0001:
        return [0, 0, 0, state.noExecute ? this.words.extended : 0];
      case 0x8000_0002:
      case 0x8000_0003:
      case 0x8000_0004: {
        const at = (n - 0x8000_0002) * 16;
        const part = (i: number): number => text(BRAND.slice(at + i, at + i + 4));
        return [part(0), part(4), part(8), part(12)];
      }
      // The counter runs on in every state.
      case 0x8000_0007:
        return [0, 0, 0, 1 << 8];
      case 0x8000_0008:
        return [this.physicalBits | (LINEAR_BITS << 8), 0, 0, 0];
      // No thermal or power features (6), none of leaf 7, no architectural counters (0Ah).
      default:
        return NOTHING;
    }
  }
  /** Each core has one for itself; APIC IDs that a socket has room for are in bits 31:26. */
  private dataCache(): Leaf {
    const eax = DATA_CACHE | (((1 << this.coreBits) - 1) << 26);
    return [eax, (CACHE_LINE - 1) | ((CACHE_WAYS - 1) << 22), CACHE_SETS - 1, 0];
  }
  private level(part: number, apicId: number): Leaf {
    if (part === 0) return [0, 1, LEVEL.THREADS << 8, apicId];
    if (part === 1) return [this.coreBits, this.cores, 1 | (LEVEL.CORES << 8), apicId];
    return [0, 0, part & 0xff, apicId];
  }
  /** Bits of the APIC ID that number the cores of a socket. */
  private get coreBits(): number {
    return 32 - Math.clz32(this.cores - 1);
  }
}

/** Four characters as a register holds them. */
function text(characters: string): number {
  return [...characters].reduce((all, c, i) => all | (c.charCodeAt(0) << (8 * i)), 0);
}
