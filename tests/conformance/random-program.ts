/**
 * Random straight-line programs: seeded sequences of instructions whose memory operands stay in the data page, run as
 * one case on several engines. What an instruction looks like comes from templates; this file only strings them together.
 */
import { BASE_CODE_ADDRESS, BASE_ESP, cpuCase } from './base-case.ts';
import {
  EFLAGS_STATUS,
  MEMORY,
  PAGE_SIZE,
  codeBase,
  type CpuCase,
  type CpuResult,
  type MemoryPatch,
  type Registers,
} from './case.ts';
import { differences } from './compare.ts';
import { fxImage } from './fxsave.ts';
import { F32_VECTORS, F64_VECTORS, F80_VALUES, anyInteger, f80Bytes, integerVectors } from './operands.ts';
import { type Random } from './random.ts';

/** Where an instruction is being placed, and what it may rely on. */
export interface Placement {
  readonly random: Random;
  /** CS.D: whether sizes are 32 bits without a prefix. */
  readonly big: boolean;
  /**
   * An absolute address in the data page (disp32 without base, ModRM mod=0 rm=5) for an operand of `bytes` bytes, which
   * all lie in the page; mostly aligned to `alignment`, a power of two, and always when `strict` is given.
   */
  dataAddress(bytes: number, alignment?: number, strict?: boolean): number;
}

/** One kind of instruction, for example one row of the instruction table in one form. */
export interface InstructionTemplate {
  /** For people. */
  readonly name: string;
  /** How often it is drawn in relation to others; 1 if missing. */
  readonly weight?: number;
  /** EFLAGS bits it leaves undefined: a later instruction that reads one of them would make programs useless. */
  readonly undefinedFlags?: number;
  /** x87 status word bits it leaves undefined (C0, C2, C3 for most); not compared in the programs it occurs in. */
  readonly undefinedStatus?: number;
  /** EFLAGS bits it reads. */
  readonly readsFlags?: number;
  /** EFLAGS bits it gives a defined value. */
  readonly writesFlags?: number;
  /** The bytes of one such instruction: position-independent, and neither jumping nor using the stack beyond `BASE_ESP` +-1 KiB. */
  encode(place: Placement): Uint8Array;
}

export interface Instruction {
  readonly template: InstructionTemplate;
  readonly bytes: Uint8Array;
}

/** A program with the state it starts in. */
export interface RandomProgram {
  readonly seed: number | string;
  /** False for 16-bit code on a 16-bit stack. */
  readonly big: boolean;
  readonly instructions: readonly Instruction[];
  readonly registers: Registers;
  readonly eflags: number;
  readonly fx: Uint8Array;
  readonly memory: readonly MemoryPatch[];
}

/** Code from `BASE_CODE_ADDRESS` on must end in the code pages. */
const CODE_ROOM = MEMORY.code.address + MEMORY.code.size - BASE_CODE_ADDRESS;
const LONGEST_INSTRUCTION = 15;
/** One operand in so many is misaligned when it may be. */
const MISALIGNED_ONE_IN = 8;

/**
 * Draws `length` instructions from `templates` and a starting state, all from `random`. Instructions that would read
 * flags which are undefined at that place are drawn again; templates that always do give a shorter program.
 */
export function randomProgram(
  random: Random,
  seed: number | string,
  templates: readonly InstructionTemplate[],
  length: number,
  big = true,
): RandomProgram {
  const place = placement(random.fork('operands'), big);
  const instructions: Instruction[] = [];
  let undefinedFlags = 0;
  let room = CODE_ROOM - LONGEST_INSTRUCTION;
  for (let tries = 0; instructions.length < length && tries < 10 * length && room > 0; tries++) {
    const template = drawn(random, templates);
    if (((template.readsFlags ?? 0) & undefinedFlags) !== 0) continue;
    const bytes = template.encode(place);
    instructions.push({ template, bytes });
    room -= bytes.length;
    undefinedFlags = flagsAfter(undefinedFlags, template);
  }
  return { seed, big, instructions, ...startingState(random.fork('state')) };
}

/** The EFLAGS bits that are undefined after `template`, if `undefinedFlags` were before it. */
function flagsAfter(undefinedFlags: number, template: InstructionTemplate): number {
  return (undefinedFlags & ~(template.writesFlags ?? 0)) | (template.undefinedFlags ?? 0);
}

/** How many of `instructions` were done when control was at `eip`; all of them if that is outside of them. */
function doneAt(program: RandomProgram, instructions: readonly Instruction[], eip: number): number {
  let at = BASE_CODE_ADDRESS - codeBase(programCase(program, []));
  const index = instructions.findIndex(({ bytes }) => {
    const here = at === eip;
    at += bytes.length;
    return here;
  });
  return index < 0 ? instructions.length : index;
}

/**
 * As `differences`, for a program of which some instructions may be left out: what counts is which flags are undefined
 * at the place where `expected` stopped, be it the end or a fault.
 */
export function programDifferences(
  program: RandomProgram,
  instructions: readonly Instruction[],
  expected: CpuResult,
  actual: CpuResult,
): string[] {
  const done = instructions.slice(0, doneAt(program, instructions, expected.eip));
  const undefinedFlags = done.reduce((bits, { template }) => flagsAfter(bits, template), 0);
  const undefinedStatus = done.reduce((bits, { template }) => bits | (template.undefinedStatus ?? 0), 0);
  return differences({ ...programCase(program, instructions), undefinedFlags, undefinedStatus }, expected, actual);
}

/** Whether no instruction reads a flag that those before it left undefined. What is left of a program may break this. */
export function isWellDefined(instructions: readonly Instruction[]): boolean {
  let undefinedFlags = 0;
  for (const { template } of instructions) {
    if (((template.readsFlags ?? 0) & undefinedFlags) !== 0) return false;
    undefinedFlags = flagsAfter(undefinedFlags, template);
  }
  return true;
}

/** The program as one case, with only some of its instructions if wanted. */
export function programCase(program: RandomProgram, instructions = program.instructions): CpuCase {
  const code = new Uint8Array(Buffer.concat(instructions.map(({ bytes }) => bytes)));
  const { registers, eflags, fx, memory, big } = program;
  return cpuCase({ code, registers, eflags, fx, memory, ...(big ? {} : { narrow: { code: true, stack: true } }) });
}

/** One line for each instruction: its bytes and its template's name. */
export function describeProgram(
  { seed, registers, eflags, big }: RandomProgram,
  instructions: readonly Instruction[],
): string {
  const state = Object.entries(registers).map(([name, value]) => `${name}=${value.toString(16)}`);
  const lines = instructions.map(({ bytes, template }) => `  ${Buffer.from(bytes).toString('hex')}  ${template.name}`);
  return [`seed ${seed}${big ? '' : ', 16-bit'}: ${state.join(' ')} eflags=${eflags.toString(16)}`, ...lines].join(
    '\n',
  );
}

function drawn(random: Random, templates: readonly InstructionTemplate[]): InstructionTemplate {
  const total = templates.reduce((sum, { weight }) => sum + (weight ?? 1), 0);
  let at = (random.u32() / 2 ** 32) * total;
  for (const template of templates) {
    at -= template.weight ?? 1;
    if (at < 0) return template;
  }
  return random.pick(templates);
}

function placement(random: Random, big: boolean): Placement {
  return {
    random,
    big,
    dataAddress(bytes, alignment = bytes, strict = false) {
      const any = random.below(PAGE_SIZE - bytes + 1);
      const aligned = strict || !random.oneIn(MISALIGNED_ONE_IN);
      return MEMORY.data.address + (aligned ? any - (any % alignment) : any);
    },
  };
}

/** Registers of edge cases and noise, a data page of the same, full x87 and XMM registers, the stack in its place. */
function startingState(random: Random): Pick<RandomProgram, 'registers' | 'eflags' | 'fx' | 'memory'> {
  const any = (): number => anyInteger(random, 32);
  const registers = {
    eax: any(),
    ecx: any(),
    edx: any(),
    ebx: any(),
    esp: BASE_ESP,
    ebp: any(),
    esi: any(),
    edi: any(),
  };
  const st = Array.from({ length: 4 }, () => {
    const { sign, exponent, significand } = random.pick(F80_VALUES);
    return f80Bytes(sign, exponent, significand);
  });
  const vectors = [...integerVectors(16), ...F32_VECTORS, ...F64_VECTORS];
  const xmm = Array.from({ length: 8 }, () => (random.oneIn(4) ? random.bytes(16) : random.pick(vectors)));
  const memory = Array.from({ length: 16 }, () => ({
    address: MEMORY.data.address + 16 * random.below(PAGE_SIZE / 16),
    bytes: random.pick(vectors),
  }));
  return { registers, eflags: random.u32() & EFLAGS_STATUS, fx: fxImage({ st, xmm }), memory };
}
