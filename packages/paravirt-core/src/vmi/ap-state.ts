/**
 * The state in which an application processor starts, as SetInitialAPState is given it (VMI 2.0 specification, "state of application
 * processors" and appendix A; Linux: struct vmi_ap_state). What it has not, such as the task register, is as after INIT.
 */
import { list, u32 } from '@tomei/kit';
import { AP_STATE_WORDS } from './interface.ts';

/** CR0 with both is demanded; the rest of what a processor does not take, it finds itself. */
const CR0_PE = 1,
  CR0_PG = 0x8000_0000;
const EFLAGS_VM = 0x2_0000;

/** Selectors have their hidden parts in the table that `gdtBase` names. */
export interface ApState {
  readonly cr0: number;
  readonly cr2: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: bigint;
  readonly eip: number;
  readonly eflags: number;
  /** EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI. */
  readonly registers: readonly number[];
  /** ES, CS, SS, DS, FS, GS. */
  readonly selectors: readonly number[];
  readonly ldt: number;
  readonly gdtBase: number;
  readonly gdtLimit: number;
  readonly idtBase: number;
  readonly idtLimit: number;
}
/** A state as far as it has been given: word by word, whole when it has them all. */
export const apStateWords = list(AP_STATE_WORDS, u32());

/** Takes a whole state apart: `words` are AP_STATE_WORDS. */
export function readApState(words: readonly number[]): ApState {
  const word = (index: number): number => words[index]!,
    low = (index: number): number => word(index) & 0xffff,
    high = (index: number): number => word(index) >>> 16;
  const [eax, ebx, ecx, edx, esp, ebp, esi, edi] = words.slice(8, 16) as [
    ...[number, number, number, number],
    ...[number, number, number, number],
  ];
  return {
    ...{ cr0: word(0), cr2: word(1), cr3: word(2), cr4: word(3) },
    efer: (BigInt(word(5)) << 32n) | BigInt(word(4)),
    ...{ eip: word(6), eflags: word(7) },
    registers: [eax, ecx, edx, ebx, esp, ebp, esi, edi],
    // CS, SS, DS, ES, FS, GS lie there in this order.
    selectors: [high(17), low(16), high(16), low(17), low(18), high(18)],
    ...{ ldt: low(19), gdtLimit: high(19), gdtBase: word(20), idtBase: word(21), idtLimit: low(22) },
  };
}
/** What no processor could start in, for a person; undefined where only the processor can tell. */
export function wrongInApState({ cr0, eflags }: ApState): string | undefined {
  if ((cr0 & CR0_PE) === 0 || (cr0 & CR0_PG) === 0) return 'without protection or without paging';
  return (eflags & EFLAGS_VM) === 0 ? undefined : 'in virtual-8086 mode';
}
