/** The state that cases are described against: what a case does not name is as here, in the source and in stored vectors. */
import { MEMORY, type CpuCase, type Registers } from './case.ts';
import { fxImage } from './fxsave.ts';

/** Far enough from both ends that short code neither starts nor ends at a page boundary. */
export const BASE_CODE_ADDRESS = MEMORY.code.address + 0x800;
/** Middle of the stack page. */
export const BASE_ESP = MEMORY.stack.address + 0x800;

export const BASE_REGISTERS: Registers = { eax: 0, ecx: 0, edx: 0, ebx: 0, esp: BASE_ESP, ebp: 0, esi: 0, edi: 0 };

/** What a case may say of itself; everything left out is the base state's. */
export interface CaseParts extends Partial<Omit<CpuCase, 'code' | 'registers'>> {
  readonly code: Uint8Array | readonly number[];
  readonly registers?: Partial<Registers>;
}

/** A whole case: zero registers, a stack in the middle of its page, no flags, x87 as after FNINIT, SSE as after reset. */
export function cpuCase(parts: CaseParts): CpuCase {
  return {
    code: parts.code instanceof Uint8Array ? parts.code : Uint8Array.from(parts.code),
    codeAddress: parts.codeAddress ?? BASE_CODE_ADDRESS,
    registers: { ...BASE_REGISTERS, ...parts.registers },
    eflags: parts.eflags ?? 0,
    fx: parts.fx ?? fxImage(),
    memory: parts.memory ?? [],
    ...(parts.narrow === undefined ? {} : { narrow: parts.narrow }),
  };
}
