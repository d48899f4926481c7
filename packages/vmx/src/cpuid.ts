/** `cpuid.LEAF.REGISTER` and `hypervisor.cpuid.v0`: bits that CPUID tells the guest otherwise. VMware's keys and notation. */
import type { VmxFile } from './dictionary.ts';
import type { Problems } from './problem.ts';
import type { Values } from './values.ts';

/** Bits of one register of one leaf, as `CpuidMask` of the core. */
export interface CpuidConfig {
  /** The leaf, as CPUID takes it in EAX. */
  readonly leaf: number;
  /** 0 to 3: EAX, EBX, ECX, EDX. */
  readonly register: number;
  /** Bits that read as 0, and as 1; unsigned, never the same. */
  readonly clear: number;
  readonly set: number;
}

const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'];
/** The leaf is hexadecimal. A mask for AMD's processors is none for ours, which says that it is Intel's. */
const KEY = /^cpuid\.([0-9a-f]{1,8})\.(e[a-d]x)(?:\.(amd|intel))?$/i;
const BITS = 32;
/** A bit as it is: no mask, the host's value, reserved, or of no matter. */
const UNCHANGED = '-HRX';
/** ECX of leaf 1 says in its highest bit that there is a hypervisor; `hypervisor.cpuid.v0 = "FALSE"` hides that. */
const HIDDEN_HYPERVISOR: CpuidConfig = { leaf: 1, register: 2, clear: 0x8000_0000, set: 0 };

/**
 * The masks, in the order of the file; a later one for the same register takes the earlier one's place. A mask has 32 bits, the most
 * significant first, in groups if wanted: `----:----:0---:----:----:----:----:----`. Reports what has another length or other characters.
 */
export function readCpuid(vmx: VmxFile, values: Values, problems: Problems): readonly CpuidConfig[] {
  const masks = new Map<string, CpuidConfig>();
  for (const entry of vmx.entries) {
    const [, leaf, name, vendor] = KEY.exec(entry.key.trim()) ?? [];
    if (leaf === undefined || name === undefined || vendor?.toLowerCase() === 'amd' || entry.value === '') continue;
    const bits = [...entry.value.replace(/[:\s]/g, '').toUpperCase()];
    const wrong = bits.find((bit) => bit !== '0' && bit !== '1' && !UNCHANGED.includes(bit));
    if (wrong !== undefined || bits.length !== BITS) {
      const why = wrong === undefined ? `has ${bits.length} bits` : `has "${wrong}"`;
      const shown = entry.value.length > 80 ? `${entry.value.slice(0, 77)}...` : entry.value;
      problems.error(
        'vmx.value',
        entry,
        `${entry.key} = "${shown}" ${why}: write ${BITS} of 0, 1 and -, the most significant bit first`,
      );
      continue;
    }
    const where = (wanted: string): number => bits.reduce((all, bit) => all * 2 + Number(bit === wanted), 0);
    const register = REGISTERS.indexOf(name.toLowerCase()),
      number = parseInt(leaf, 16);
    masks.set(`${number} ${register}`, { leaf: number, register, clear: where('0'), set: where('1') });
  }
  return [...masks.values(), ...(values.boolean('hypervisor.cpuid.v0') === false ? [HIDDEN_HYPERVISOR] : [])];
}
