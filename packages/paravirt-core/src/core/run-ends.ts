/** Where runs of decoded instructions end (core/code-cache.ts). */
import type { Instruction, NoInstruction } from '../isa/decode.ts';
import { PSEUDO } from './interpreter/record.ts';

/** Whether PAUSE lies at an offset of a page, as spinning code has it: without prefixes, and not across its end. */
export const isPause = (bytes: Uint8Array, page: number, offset: number): boolean =>
  offset < 4095 && bytes[page + offset] === 0xf3 && bytes[page + offset + 1] === 0x90;
/** The record of bytes that are no instruction. */
export const pseudoOf = (why: NoInstruction): number => (why === 'too-long' ? PSEUDO.tooLong : PSEUDO.undefined);
/** Conditional branches fall through, so the run goes on behind them. */
export const endsRun = ({ form: { row } }: Instruction): boolean =>
  row.transfers === true && !(row.operands[0]?.kind === 'rel' && row.mnemonic !== 'jmp' && row.mnemonic !== 'call');
