/** Cases for the integer families of the instruction table. */
import { elementSizeOf, families, type Row } from '@tomei/paravirt-core';
import { BASE_CODE_ADDRESS, BASE_ESP } from '../base-case.ts';
import { EFLAGS, EFLAGS_STATUS, MEMORY, type CaseSource } from '../case.ts';
import { SHIFT_COUNTS, anyInteger, littleEndian, type IntegerSize } from '../operands.ts';
import { setPart, tableSource, type Draft } from './from-table.ts';

const EAX = 0,
  ECX = 1,
  EDX = 2,
  ESP = 4,
  EBP = 5,
  ESI = 6,
  EDI = 7;
const DATA = MEMORY.data.address;

const rowsOf = (family: string, wanted: (row: Row) => boolean = () => true): readonly Row[] =>
  families.flat().filter((row) => row.family === family && wanted(row));
const is =
  (...mnemonics: string[]): ((row: Row) => boolean) =>
  (row) =>
    mnemonics.includes(row.mnemonic);
const sizeOf = ({ form }: Draft): IntegerSize => {
  const size = form.row.operands[0]?.size;
  return size === 'v' || size === undefined ? form.size : (size as IntegerSize);
};

const mov = tableSource({
  family: 'mov',
  // What CLI and STI do is the system's business: #GP at CPL 3, which `boundaries` has.
  rows: rowsOf('mov'),
  casesPerForm: 16,
  prepare: (draft) => {
    if (draft.form.row.mnemonic !== 'xlat') return;
    const al = draft.registers[EAX]! & 0xff;
    if (draft.form.addressSize === 32) draft.registers[3] = DATA + 0x400 - (draft.random.oneIn(4) ? al : 0);
  },
});

const arith = tableSource({
  family: 'arith',
  rows: rowsOf('arith'),
  casesPerForm: (form) => (form.row.hot === true ? 32 : 16),
  prepare: (draft) => {
    const { form, random, registers } = draft;
    if (form.row.mnemonic === 'cmpxchg') {
      // Equal in half of the cases.
      const size = sizeOf(draft);
      const old = form.memory ? valueOf(draft.memory) : partOf(registers, draft.choice.rm ?? 0, size);
      if (random.oneIn(2)) setPart(draft, EAX, size, old);
    } else if (form.row.mnemonic === 'cmpxchg8b') {
      const view = new DataView(draft.memory.buffer, draft.memory.byteOffset, draft.memory.length);
      if (random.oneIn(2)) {
        setPart(draft, EAX, 32, view.getUint32(0, true));
        setPart(draft, EDX, 32, view.getUint32(4, true));
      }
    }
  },
});

const valueOf = (bytes: Uint8Array): number => bytes.reduceRight((all, byte) => all * 256 + byte, 0);
const partOf = (registers: Uint32Array, register: number, size: IntegerSize): number =>
  size === 8 ? (registers[register & 3]! >>> (register >= 4 ? 8 : 0)) & 0xff : registers[register]! % 2 ** size;

const bit = tableSource({
  family: 'bit',
  rows: rowsOf('bit'),
  casesPerForm: (form) => (/^(set|cmov)/.test(form.row.mnemonic) ? 12 : 24),
  prepare: (draft) => {
    const { form, random } = draft;
    // A register index of a memory operand reaches far: stay near the operand in most cases.
    if (!/^bt/.test(form.row.mnemonic) || !form.memory || form.row.operands[1]?.kind !== 'reg' || random.oneIn(6))
      return;
    const near = random.below(0x800) - 0x400;
    setPart(draft, draft.choice.reg ?? 0, form.size, near);
  },
});

/** Shifts leave OF undefined for counts other than 1, and CF where all bits have been shifted out (SDM vol. 2). */
const shift = tableSource({
  family: 'shift',
  rows: rowsOf('shift'),
  casesPerForm: 36,
  prepare: (draft) => {
    const { form, random, registers, masks } = draft;
    const { mnemonic, operands } = form.row;
    const by = operands.at(-1);
    const size = sizeOf(draft);
    let count = 1;
    if (by?.kind === 'imm') {
      count = random.pick(SHIFT_COUNTS);
      draft.choice = { ...draft.choice, immediate: count };
    } else if (by?.kind === 'fixed') {
      if (!random.oneIn(4)) setPart(draft, ECX, 8, random.pick(SHIFT_COUNTS));
      count = registers[ECX]! & 0xff;
    }
    count &= 31;
    // A shift by 0 changes no flag at all.
    const undefinedFlags = count === 0 ? 0 : (masks.undefinedFlags ?? 0);
    const overflow = count > 1 ? EFLAGS.OF : 0;
    const carry = /^sh[lr]$/.test(mnemonic) && count >= size ? EFLAGS.CF : 0;
    masks.undefinedFlags = undefinedFlags | overflow | carry;
    // SHLD and SHRD by more than the size: neither result nor flags are defined.
    if (/^sh[lr]d$/.test(mnemonic) && count > size) return false;
    return true;
  },
});

const mulDiv = tableSource({
  family: 'mul-div',
  rows: rowsOf('mul-div'),
  casesPerForm: (form) => (/div/.test(form.row.mnemonic) ? 80 : form.row.operands.length === 0 ? 200 : 32),
  prepare: (draft) => {
    const { form, random, registers } = draft;
    const { mnemonic, operands } = form.row;
    if (operands.length === 0) {
      registers[EAX] = (random.u32() & 0xffff0000) | (random.oneIn(2) ? anyInteger(random, 16) : random.below(0x10000));
      draft.eflags = random.u32() & EFLAGS_STATUS;
    }
    if (!/div/.test(mnemonic) || random.oneIn(4)) return;
    // A dividend whose quotient fits, more or less.
    const size = sizeOf(draft);
    const low = anyInteger(random, size);
    const negative = mnemonic === 'idiv' && low >= 2 ** (size - 1);
    const high = random.pick([0, 1, negative ? -1 : 0, negative ? -1 : 0, random.below(16), -2]);
    if (size === 8) setPart(draft, EAX, 16, ((high & 0xff) << 8) | low);
    else {
      setPart(draft, EAX, size, low);
      setPart(draft, EDX, size, high);
    }
  },
});

/**
 * Far transfers, and what enters the system: their results depend on tables that a case does not have. INT1 is a trap (SDM
 * vol. 2), but hypervisors that intercept #DB are known to report it as a fault.
 */
const FAR = is('retf', 'iret', 'int', 'int1');
const isFarPointer = (row: Row): boolean =>
  row.operands.some((o) => o.kind === 'far') || row.encoding === 'FF /3' || row.encoding === 'FF /5';

const control = tableSource({
  family: 'control',
  rows: rowsOf('control', (row) => !FAR(row) && !isFarPointer(row)),
  casesPerForm: (form) => (/^j.|^push|^pop/.test(form.row.mnemonic) ? 12 : 20),
  prepare: prepareControl,
});

function prepareControl(draft: Draft): boolean | void {
  const { form, random, registers, patches, masks } = draft;
  const { mnemonic, operands } = form.row;
  const esp = (draft.taken & (1 << ESP)) === 0 ? BASE_ESP + 8 * (random.below(9) - 4) : registers[ESP]!;
  registers[ESP] = esp;
  const place = BASE_CODE_ADDRESS + random.pick([0x20, -0x100, 0x123]);
  const target = form.size === 16 && random.oneIn(2) ? place & 0xffff : place;
  const near = (mnemonic === 'jmp' || mnemonic === 'call') && operands[0]?.kind === 'rm';
  if (near && form.memory) draft.memory = littleEndian(target, form.size / 8);
  else if (near) setPart(draft, draft.choice.rm ?? 0, form.size, target);
  switch (mnemonic) {
    case 'ret':
      patches.push({ address: esp, bytes: littleEndian(target, 4) });
      break;
    case 'popf':
      // TF would trap behind the next instruction, and RF cannot be seen.
      patches.push({ address: esp, bytes: littleEndian(random.u32() & ~EFLAGS.TF, 4) });
      break;
    case 'loop':
    case 'loope':
    case 'loopne':
    case 'jecxz':
      registers[ECX] = random.pick([0, 1, 2, 0x10000, 0x10001, 0xffff0000, 0xffffffff]);
      break;
    case 'leave':
    case 'enter':
      registers[EBP] = BASE_ESP + 4 * random.below(0x80) + 0x40;
      draft.choice = {
        ...draft.choice,
        immediate: random.pick([0, 1, 4, 0x20, 0x100, 0x3000]),
        immediate2: random.pick([0, 0, 1, 2, 3, 8, 31, 32, 35, 0xff]),
      };
      masks.undefinedMemory = true;
      if (mnemonic === 'leave') delete masks.undefinedMemory;
      break;
    case 'bound':
      draft.memory = Uint8Array.from([
        ...littleEndian(anyInteger(random, form.size), form.size / 8),
        ...littleEndian(anyInteger(random, form.size), form.size / 8),
      ]);
      break;
    case 'pushf':
      draft.eflags |= random.pick([0, EFLAGS.DF, EFLAGS.ID, EFLAGS.NT]);
      break;
  }
}

/** Ports are another source's business: at CPL 3 they raise #GP. */
const string = tableSource({
  family: 'string',
  rows: rowsOf('string'),
  casesPerForm: (form) => (form.row.repeat === undefined ? 3 : form.addressSize === 16 ? 6 : 24),
  prepare: (draft) => {
    const { form, random, registers, patches } = draft;
    const bytes = elementSizeOf(form) / 8;
    if (random.oneIn(3)) draft.eflags |= EFLAGS.DF;
    if (form.row.repeat === undefined) return;
    if (random.oneIn(8)) draft.choice = { ...draft.choice, segment: random.pick([0, 1, 2, 4]) };
    const reaches = form.addressSize === 32;
    const count = random.pick([0, 1, 2, 3, 5, 9, 17, 40]);
    registers[ECX] = reaches ? count : count + (random.oneIn(2) ? 0x50000 : 0);
    const source = DATA + 0x400 + random.below(0x100);
    const target = random.oneIn(4) ? source + bytes * (random.below(5) - 2) : DATA + 0x800 + random.below(0x100);
    registers[ESI] = reaches ? source : source & 0xffff;
    registers[EDI] = reaches ? target : target & 0xffff;
    // The same on both sides for a while, then not; AL among it.
    const element = littleEndian(registers[EAX]!, bytes);
    const down = (draft.eflags & EFLAGS.DF) !== 0;
    const run = random.below(12);
    if (/cmps|scas/.test(form.row.mnemonic) && reaches) {
      for (let i = 0; i < run; i++) {
        const at = (down ? -i : i) * bytes;
        const equal = form.repeat !== 'repne';
        if (form.row.mnemonic === 'scas' && equal) patches.push({ address: target + at, bytes: element });
        else if (equal)
          patches.push({ address: target + at, bytes: element }, { address: source + at, bytes: element });
      }
      if (form.repeat === 'repne') patches.push({ address: target + (down ? -run : run) * bytes, bytes: element });
    }
  },
});

export const INTEGER_SOURCES: readonly CaseSource[] = [mov, arith, bit, shift, mulDiv, control, string];
