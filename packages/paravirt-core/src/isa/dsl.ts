/** How rows are written: operands named as in the manual, one line a row. */
import type { Semantics } from './build.ts';
import type { Access, Encoding, OperandKind, OperandSize, OperandSpec, Row, Traits } from './model.ts';

/** All of one shape: see SHAPE. */
const spec = (text: string, kind: OperandKind, size: OperandSize, extra: Partial<OperandSpec> = {}): OperandSpec =>
  ({ text, kind, size, memorySize: undefined, access: 'none', register: undefined, ...extra }) as OperandSpec;

export const r8 = spec('r8', 'reg', 8),
  r16 = spec('r16', 'reg', 16),
  r32 = spec('r32', 'reg', 32),
  rv = spec('r16/32', 'reg', 'v');
export const rm8 = spec('r/m8', 'rm', 8),
  rm16 = spec('r/m16', 'rm', 16),
  rm32 = spec('r/m32', 'rm', 32),
  rmv = spec('r/m16/32', 'rm', 'v');
/** Sixteen bits in memory, an operand-sized register otherwise (MOV and friends from segment registers). */
export const rmv_m16 = spec('r16/32/m16', 'rm', 'v', { memorySize: 16 });
export const r32_m8 = spec('r32/m8', 'rm', 32, { memorySize: 8 }),
  r32_m16 = spec('r32/m16', 'rm', 32, { memorySize: 16 });
export const rmreg32 = spec('r32', 'rmreg', 32);
export const or8 = spec('r8', 'opreg', 8),
  orv = spec('r16/32', 'opreg', 'v'),
  or32 = spec('r32', 'opreg', 32);
export const al = spec('AL', 'fixed', 8, { register: 0 }),
  cl = spec('CL', 'fixed', 8, { register: 1 });
export const ah = spec('AH', 'fixed', 8, { register: 4 });
export const ax = spec('AX', 'fixed', 16, { register: 0 }),
  dx = spec('DX', 'fixed', 16, { register: 2 });
export const eax = spec('EAX', 'fixed', 32, { register: 0 }),
  rax = spec('AX/EAX', 'fixed', 'v', { register: 0 });
export const imm8 = spec('imm8', 'imm', 8),
  imm16 = spec('imm16', 'imm', 16),
  immv = spec('imm16/32', 'imm', 'v');
export const simm8 = spec('imm8', 'simm', 'v');
export const one = spec('1', 'one', 8);
export const rel = spec('rel', 'rel', 'v');
export const far = spec('ptr16:16/32', 'far', 'v');
export const moffs8 = spec('moffs8', 'moffs', 8),
  moffsv = spec('moffs16/32', 'moffs', 'v');
/** Memory whose parts the semantics loads and stores itself. */
export const m = spec('m', 'mem', 'none');
export const m8 = spec('m8', 'mem', 8),
  m16 = spec('m16', 'mem', 16),
  m32 = spec('m32', 'mem', 32),
  m64 = spec('m64', 'mem', 64),
  m80 = spec('m80', 'mem', 80),
  m128 = spec('m128', 'mem', 128),
  m512 = spec('m512', 'mem', 512);
export const mv = spec('m16/32', 'mem', 'v');
export const sreg = spec('Sreg', 'sreg', 16),
  creg = spec('CR0-CR7', 'creg', 32),
  dreg = spec('DR0-DR7', 'dreg', 32);
export const mm = spec('mm', 'mm', 64),
  mmm64 = spec('mm/m64', 'mmrm', 64),
  mmm32 = spec('mm/m32', 'mmrm', 64, { memorySize: 32 }),
  mmreg = spec('mm', 'mmreg', 64);
export const xmm = spec('xmm', 'xmm', 128),
  xmmreg = spec('xmm', 'xmmreg', 128),
  xmm0 = spec('<XMM0>', 'xmm0', 128);
export const xm128 = spec('xmm/m128', 'xmmrm', 128),
  xm64 = spec('xmm/m64', 'xmmrm', 128, { memorySize: 64 }),
  xm32 = spec('xmm/m32', 'xmmrm', 128, { memorySize: 32 });
export const xm16 = spec('xmm/m16', 'xmmrm', 128, { memorySize: 16 });
export const sti = spec('ST(i)', 'st', 80);

const access =
  (how: Access) =>
  (operand: OperandSpec): OperandSpec => ({ ...operand, access: how });
/** How an instruction uses an operand. */
export const r = access('r'),
  w = access('w'),
  rw = access('rw');

/** Takes an encoding of the manual apart, or throws: a row that cannot be encoded is a bug. */
export function parseEncoding(text: string): Encoding {
  let mandatory: Encoding['mandatory'] = null;
  let map: Encoding['map'] = 0;
  let opcode = -1;
  let plusRegister = false;
  let modrm: Encoding['modrm'] = { kind: 'none' };
  const immediates: Encoding['immediates'][number][] = [];
  const fail = (why: string): never => {
    throw new Error(`encoding '${text}': ${why}`);
  };
  for (const token of text.split(' ')) {
    const hex = /^([0-9A-F]{2})(\+[ri])?$/.exec(token);
    if (token === 'NP') mandatory = 'none';
    else if (token === '/r') modrm = { kind: 'any' };
    else if (/^\/[0-7]$/.test(token)) modrm = { kind: 'digit', digit: Number(token[1]) };
    else if (/^(ib|iw|id|iv|cb|cv|cd|mo)$/.test(token)) immediates.push(token as 'ib');
    else if (hex === null) fail(`unknown token '${token}'`);
    else {
      const byte = parseInt(hex![1]!, 16);
      const plus = hex![2] !== undefined;
      if (opcode < 0 && map === 0 && mandatory === null && (byte === 0x66 || byte === 0xf2 || byte === 0xf3))
        mandatory = byte;
      else if (opcode < 0 && map === 0 && byte === 0x0f) map = 1;
      else if (opcode < 0 && map === 1 && byte === 0x38) map = 2;
      else if (opcode < 0 && map === 1 && byte === 0x3a) map = 3;
      else if (opcode < 0) {
        opcode = byte;
        plusRegister = plus;
      } else if (modrm.kind === 'none') modrm = { kind: 'exact', first: byte, last: plus ? byte + 7 : byte };
      else fail('too many bytes');
    }
  }
  if (opcode < 0) fail('no opcode');
  return { mandatory, map, opcode, plusRegister, modrm, immediates };
}

/** The flags trait of what reads condition code 0..15 (SDM vol. 2, appendix B, table B-10). */
export const conditionFlags = (code: number): string => `r=${['o', 'c', 'z', 'cz', 's', 'p', 'os', 'osz'][code >> 1]!}`;

/** One row. The family's name is filled in by `family`. */
export function row(
  mnemonic: string,
  encoding: string,
  operands: readonly OperandSpec[],
  semantics: Semantics,
  traits: Traits = {},
): Row {
  return { mnemonic, encoding, parsed: parseEncoding(encoding), operands, semantics, family: '', ...traits };
}

/**
 * All that a row may have, in one order: what reads rows without end (decoder, translator) is several times as fast where all are of one
 * shape.
 */
const SHAPE: { readonly [K in keyof Row]-?: Row[K] | undefined } = {
  mnemonic: undefined,
  encoding: undefined,
  parsed: undefined,
  operands: undefined,
  semantics: undefined,
  family: undefined,
  flags: undefined,
  lock: undefined,
  protectedOnly: undefined,
  cpl0: undefined,
  repeat: undefined,
  bulk: undefined,
  port: undefined,
  addressSized: undefined,
  operandSized: undefined,
  unit: undefined,
  keepsPointers: undefined,
  aligned: undefined,
  transfers: undefined,
  hot: undefined,
  feature: undefined,
};

/** Rows of one purpose, for the manual and the tests. Traits given here hold for all rows that do not say otherwise. */
export function family(name: string, rows: readonly Row[], traits: Traits = {}): readonly Row[] {
  return rows.map((each) => ({ ...(SHAPE as Row), ...traits, ...each, family: name }));
}
