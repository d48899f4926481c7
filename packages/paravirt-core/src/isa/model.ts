/** What a row of the instruction table is: encoding, operands, traits and meaning (SDM vol. 2, 3.1.1 gives the notation). */
import type { Semantics } from './build.ts';

/** Bits of an operand; 'v' is the operand size attribute, 16 or 32. */
export type OperandSize = 8 | 16 | 32 | 48 | 64 | 80 | 128 | 512 | 'v' | 'none';
export type Access = 'r' | 'w' | 'rw' | 'none';

export type OperandKind =
  | 'reg' // ModRM.reg, a general register
  | 'rm' // ModRM.rm, a general register or memory
  | 'opreg' // low three bits of the opcode, a general register
  | 'fixed' // a register that the encoding implies
  | 'mem' // ModRM.rm, memory only
  | 'moffs' // an offset in the instruction
  | 'imm' // immediate, zero-extended
  | 'simm' // immediate, sign-extended to the operand size
  | 'one' // the constant 1
  | 'rel' // relative branch target
  | 'far' // selector:offset immediate
  | 'sreg'
  | 'creg'
  | 'dreg'
  | 'mm'
  | 'mmrm'
  | 'xmm'
  | 'xmmrm' // ModRM.reg and ModRM.rm as MMX and XMM registers
  | 'mmreg'
  | 'xmmreg' // ModRM.rm as MMX and XMM register only
  | 'xmm0' // XMM0, which the encoding implies
  | 'rmreg' // ModRM.rm, general register only
  | 'st'; // x87 register in ModRM.rm

export interface OperandSpec {
  /** As the manual writes it, e.g. 'r/m32'. */
  readonly text: string;
  readonly kind: OperandKind;
  readonly size: OperandSize;
  /** Size in memory where it differs from the register's. */
  readonly memorySize?: OperandSize;
  readonly access: Access;
  /** 'fixed': the register's number. */
  readonly register?: number;
}

export interface Traits {
  /** Flags in iced's notation: 'r=c w=oszapc u=a 0=co'. Letters o s z a p c d i. */
  readonly flags?: string;
  /** LOCK is legal with a memory destination. */
  readonly lock?: boolean;
  /** #UD in real-address and virtual-8086 mode; comes before the privilege check. */
  readonly protectedOnly?: boolean;
  /** #GP(0) unless CPL is 0. */
  readonly cpl0?: boolean;
  /** REP/REPE/REPNE repeat it: 'rep' ignores ZF, 'repz' ends on it. */
  readonly repeat?: 'rep' | 'repz';
  /** A service of the core that does many repetitions at once where memory allows: what it is called with. */
  readonly bulk?: 'movs' | 'stos';
  /** INS and OUTS: the right to use port DX is checked before the first repetition, and when there is none. */
  readonly port?: boolean;
  /** The address size attribute matters beyond effective addresses (string instructions, LOOP, JCXZ, XLAT). */
  readonly addressSized?: boolean;
  /** The operand size attribute matters though no operand is of size 'v' (PUSHF, RET, ...). */
  readonly operandSized?: boolean;
  /** Which unit must be usable: #NM, #UD or #MF otherwise (SDM vol. 3, 13.1, table 2-2). 'sse-mmx': both at once. */
  readonly unit?: 'x87' | 'x87-control' | 'mmx' | 'sse' | 'sse-mmx' | 'fxsr';
  /** x87 only: a control instruction, which leaves the instruction and operand pointers alone (SDM vol. 1, 8.1.8). */
  readonly keepsPointers?: boolean;
  /** Memory operands of 16 bytes must be aligned: #GP(0). */
  readonly aligned?: boolean;
  /** Control may go elsewhere than to the next instruction, or the mode of decoding may change. */
  readonly transfers?: boolean;
  /** Common enough to lie inline in the interpreter's dispatch. */
  readonly hot?: boolean;
  /** The CPUID feature that stands for it. */
  readonly feature?: string;
}

/** An encoding, taken apart. */
export interface Encoding {
  /** 'none' = no SIMD prefix may be there; null = prefixes keep their ordinary meaning. */
  readonly mandatory: 'none' | 0x66 | 0xf2 | 0xf3 | null;
  /** 0 = one byte, 1 = 0F, 2 = 0F 38, 3 = 0F 3A. */
  readonly map: 0 | 1 | 2 | 3;
  readonly opcode: number;
  /** The low three bits of the opcode name a register. */
  readonly plusRegister: boolean;
  readonly modrm:
    | { readonly kind: 'none' }
    | { readonly kind: 'any' }
    | { readonly kind: 'digit'; readonly digit: number }
    | { readonly kind: 'exact'; readonly first: number; readonly last: number };
  /** Bytes after ModRM and displacement, in order. */
  readonly immediates: readonly ('ib' | 'iw' | 'id' | 'iv' | 'cb' | 'cv' | 'cd' | 'mo')[];
}

export interface Row extends Traits {
  readonly mnemonic: string;
  /** As in the manual, e.g. '83 /0 ib'. */
  readonly encoding: string;
  readonly parsed: Encoding;
  readonly operands: readonly OperandSpec[];
  readonly semantics: Semantics;
  readonly family: string;
}

/** One way of executing a row: what the decoder has settled before. Each form is one handler of the interpreter. */
export interface Form {
  readonly row: Row;
  readonly index: number;
  readonly size: 16 | 32;
  readonly addressSize: 16 | 32;
  /** The ModRM.rm operand is memory. */
  readonly memory: boolean;
  readonly repeat: 'none' | 'repe' | 'repne';
}
