/** The instruction table and its readers that need no processor: for tests and tools. */
export { EFLAGS, EXCEPTION, type Build, type Operand, type Semantics, type Size, type StatusFlag } from './build.ts';
export { Decoder, MAX_LENGTH, type Instruction, type MemoryOperand, type NoInstruction } from './decode.ts';
export { disassemble, instructionText, type DisassemblyLine, type Place } from './disasm.ts';
export { defaultSegment, encode, type Choice } from './encode.ts';
export { FormTable, canBeMemory, elementSizeOf, isSized } from './forms.ts';
export { allRows, families } from './instructions/index.ts';
export type { Form, OperandSpec, Row } from './model.ts';
