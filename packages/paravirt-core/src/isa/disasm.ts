/** Decoded instructions as text, in Intel's syntax: `add dword ptr [esp+8], -1`. */
import { Decoder, MAX_LENGTH, popMovesFirst, type Instruction, type MemoryOperand } from './decode.ts';
import { defaultSegment } from './encode.ts';
import { elementSizeOf, isSized } from './forms.ts';
import { allRows } from './instructions/index.ts';
import type { OperandSpec } from './model.ts';

const REGISTERS: Readonly<Record<number, readonly string[]>> = {
  8: ['al', 'cl', 'dl', 'bl', 'ah', 'ch', 'dh', 'bh'],
  16: ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'],
  32: ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'],
};
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const POINTER: Readonly<Record<number, string>> = {
  8: 'byte ptr ',
  16: 'word ptr ',
  32: 'dword ptr ',
  48: 'fword ptr ',
  64: 'qword ptr ',
  80: 'tbyte ptr ',
  128: 'xmmword ptr ',
};
/** Mnemonics that change with the operand size: [16 bits, 32 bits]. */
const BY_SIZE: Readonly<Record<string, readonly [string, string]>> = { cbw: ['cbw', 'cwde'], cwd: ['cwd', 'cdq'] };
/** Implicit operands of the unusual size show as a letter behind the mnemonic. */
const SUFFIXED = new Set([
  'pusha',
  'popa',
  'pushf',
  'popf',
  'iret',
  'ret',
  'retf',
  'enter',
  'leave',
  'push es',
  'push cs',
  'push ss',
  'push ds',
  'push fs',
  'push gs',
  'pop es',
  'pop ss',
  'pop ds',
  'pop fs',
  'pop gs',
  'lgdt',
  'lidt',
  'fldenv',
  'fnstenv',
  'frstor',
  'fnsave',
]);
/** Those of two x87 registers that name ST first, though only ST(i) is encoded. */
const ST_FIRST = /^(fcmov|fu?comip?$)/;
const ARITHMETIC = /^f(add|mul|sub|subr|div|divr)p?$/;

/** Small numbers decimal, the rest hexadecimal. */
function numeral(n: number): string {
  if (n < 0) return `-${numeral(-n)}`;
  return n < 10 ? String(n) : `0x${n.toString(16)}`;
}

/** What surrounds an instruction. */
export interface Place {
  /** EIP of its first byte. */
  readonly address: number;
  /** CS.D. */
  readonly big: boolean;
}

/** One instruction as text. */
export function instructionText(insn: Instruction, { address, big }: Place): string {
  const { form } = insn,
    { row } = form,
    usual = big ? 32 : 16;
  const prefixes: string[] = [];
  if (insn.lock) prefixes.push('lock');
  if (form.repeat !== 'none') prefixes.push(row.repeat === 'rep' ? 'rep' : form.repeat);
  const operands = row.repeat === undefined ? operandTexts(insn, address) : stringOperands(insn);
  if (
    row.addressSized === true &&
    form.addressSize !== usual &&
    insn.memory === null &&
    row.repeat === undefined &&
    row.mnemonic !== 'jecxz'
  ) {
    prefixes.push(form.addressSize === 16 ? 'addr16' : 'addr32');
  }
  return [...prefixes, `${mnemonicOf(insn, big)}${operands.length === 0 ? '' : ' '}${operands.join(', ')}`].join(' ');
}

function mnemonicOf({ form }: Instruction, big: boolean): string {
  const { row, size } = form,
    { mnemonic } = row;
  if (mnemonic === 'jecxz' && form.addressSize === 16) return 'jcxz';
  const sized = BY_SIZE[mnemonic];
  if (sized !== undefined) return size === 16 ? sized[0] : sized[1];
  const implicit =
    SUFFIXED.has(mnemonic) ||
    ((mnemonic === 'jmp' || mnemonic === 'call') && row.operands[0]?.kind === 'rel') ||
    (mnemonic === 'push' && row.operands[0]?.kind.endsWith('imm') === true);
  if (!implicit || !isSized(row) || size === (big ? 32 : 16)) return mnemonic;
  const [first, ...rest] = mnemonic.split(' ');
  return [`${first}${size === 16 ? 'w' : 'd'}`, ...rest].join(' ');
}

function operandTexts(insn: Instruction, address: number): string[] {
  const { row } = insn.form;
  if (row.mnemonic === 'xlat')
    return [
      `byte ptr ${memoryText({ base: 3, index: -1, scale: 0, displacement: 0, segment: insn.segment, addressSize: insn.form.addressSize })}`,
    ];
  const texts = row.operands.map((spec) => operandText(insn, spec, address));
  if (row.operands[0]?.kind !== 'st') return texts;
  if (ST_FIRST.test(row.mnemonic) && !/^(D8|DC|DD|DE)/.test(row.encoding)) return ['st', ...texts];
  if (!ARITHMETIC.test(row.mnemonic)) return texts;
  return row.encoding.startsWith('D8') ? ['st', ...texts] : [...texts, 'st'];
}

function operandText(insn: Instruction, spec: OperandSpec, address: number): string {
  const { form } = insn;
  const size = spec.size === 'v' ? form.size : spec.size;
  const general = (n: number): string => REGISTERS[size as number]?.[n] ?? '?';
  switch (spec.kind) {
    case 'reg':
    case 'opreg':
      return general(insn.reg);
    case 'rmreg':
      return general(insn.rm);
    case 'rm':
      return form.memory ? pointerText(insn, spec) : general(insn.rm);
    case 'xmm0':
      return 'xmm0';
    case 'fixed':
      return general(spec.register!);
    case 'mem':
    case 'moffs':
      return pointerText(insn, spec);
    case 'imm':
      return immediateText(immediateOf(insn, spec), size as number);
    case 'simm':
      return numeral(form.size === 16 ? (insn.immediate << 16) >> 16 : insn.immediate);
    case 'one':
      return '1';
    case 'rel': {
      const target = address + insn.length + insn.immediate;
      return `0x${(form.size === 16 ? target & 0xffff : target >>> 0).toString(16)}`;
    }
    case 'far':
      return `0x${(insn.immediate2 & 0xffff).toString(16)}:0x${(form.size === 16 ? insn.immediate & 0xffff : insn.immediate >>> 0).toString(16)}`;
    case 'sreg':
      return SEGMENTS[insn.reg] ?? '?';
    case 'creg':
      return `cr${insn.reg}`;
    case 'dreg':
      return `dr${insn.reg}`;
    case 'mm':
      return `mm${insn.reg}`;
    case 'xmm':
      return `xmm${insn.reg}`;
    case 'mmreg':
      return `mm${insn.rm}`;
    case 'xmmreg':
      return `xmm${insn.rm}`;
    case 'mmrm':
      return form.memory ? pointerText(insn, spec) : `mm${insn.rm}`;
    case 'xmmrm':
      return form.memory ? pointerText(insn, spec) : `xmm${insn.rm}`;
    case 'st':
      return `st(${insn.rm})`;
  }
}

function immediateOf(insn: Instruction, spec: OperandSpec): number {
  const immediates = insn.form.row.operands.filter((o) => o.kind === 'imm' || o.kind === 'simm');
  return immediates.indexOf(spec) === 1 ? insn.immediate2 : insn.immediate;
}
const immediateText = (value: number, size: number): string =>
  numeral(size === 32 ? value >>> 0 : value & (2 ** size - 1));

function pointerText({ form, memory }: Instruction, spec: OperandSpec): string {
  const bits = spec.memorySize ?? spec.size,
    size = bits === 'v' ? form.size : bits;
  // POP's address is counted from ESP after the pop, as the assembler writes it before.
  const at = popMovesFirst(form.row, memory!)
    ? { ...memory!, displacement: (memory!.displacement - form.size / 8) | 0 }
    : memory!;
  return `${typeof size === 'number' ? (POINTER[size] ?? '') : ''}${memoryText(at)}`;
}

/** `[ebx+esi*4-0x10]`, `fs:[0x28]`. */
function memoryText({ segment, base, index, scale, displacement, addressSize }: MemoryOperand): string {
  const names = REGISTERS[addressSize]!;
  const parts = [
    ...(base < 0 ? [] : [names[base]!]),
    ...(index < 0 ? [] : [`${names[index]!}${scale === 0 ? '' : `*${1 << scale}`}`]),
  ];
  const override = segment === defaultSegment(base) ? '' : `${SEGMENTS[segment]!}:`;
  if (parts.length === 0)
    return `${override}[${numeral(addressSize === 16 ? displacement & 0xffff : displacement >>> 0)}]`;
  const offset = displacement === 0 ? '' : displacement < 0 ? numeral(displacement) : `+${numeral(displacement)}`;
  return `${override}[${parts.join('+')}${offset}]`;
}

/** String instructions name their memory in full. */
function stringOperands({ form, segment }: Instruction): string[] {
  const pointer = POINTER[elementSizeOf(form)]!,
    names = REGISTERS[form.addressSize]!;
  const source = `${pointer}${SEGMENTS[segment]!}:[${names[6]!}]`,
    target = `${pointer}es:[${names[7]!}]`;
  const accumulator = REGISTERS[elementSizeOf(form)]![0]!;
  const byMnemonic: Readonly<Record<string, string[]>> = {
    movs: [target, source],
    cmps: [source, target],
    stos: [target, accumulator],
    lods: [accumulator, source],
    scas: [accumulator, target],
    ins: [target, 'dx'],
    outs: ['dx', source],
  };
  return byMnemonic[form.row.mnemonic] ?? [];
}

/** Made at first use; it holds no state. */
const known: { decoder?: Decoder } = {};
const decoderOf = (): Decoder => (known.decoder ??= new Decoder(allRows));

export interface DisassemblyLine {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** `db 0x0f` for a byte that starts no instruction. */
  readonly text: string;
}

/** Code as lines, from its first byte to its last. `address` is the EIP of the first byte; `big` is CS.D. */
export function* disassemble(code: Uint8Array, { address, big }: Place): Generator<DisassemblyLine> {
  const decoder = decoderOf();
  for (let at = 0; at < code.length;) {
    const insn = decoder.decode(code, at, Math.min(code.length, at + MAX_LENGTH), big);
    const length = typeof insn === 'string' ? 1 : insn.length;
    const here = (address + at) >>> 0,
      bytes = code.slice(at, at + length);
    const text =
      typeof insn === 'string'
        ? `db 0x${bytes[0]!.toString(16).padStart(2, '0')}`
        : instructionText(insn, { address: here, big });
    yield { address: here, bytes, text };
    at += length;
  }
}
