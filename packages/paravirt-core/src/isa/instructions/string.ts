/** String instructions and port input and output (SDM vol. 1, 7.3.9; vol. 2: MOVS CMPS SCAS LODS STOS INS OUTS IN OUT). */
import { EAX, EDI, EDX, ES, ESI, type Build, type Semantics } from '../build.ts';
import { al, dx, family, imm8, r, rax, row, w } from '../dsl.ts';
import type { Traits } from '../model.ts';
import { add, memoryType, sizeOf, stringStep, sub, type RowSize } from '../ops.ts';

const at = <V>(b: Build<V>, register: number): V => b.getRegister(b.addressSize, register);
const advance = <V>(b: Build<V>, register: number, bytes: number): void =>
  b.setRegister(b.addressSize, register, add(b, at(b, register), stringStep(b, bytes)));

const movingString = (size: RowSize): Semantics => (b) => {
  const n = sizeOf(b, size), type = memoryType(n);
  b.store(ES, at(b, EDI), type, b.load('operand', at(b, ESI), type));
  advance(b, ESI, n / 8);
  advance(b, EDI, n / 8);
};
const comparingString = (size: RowSize): Semantics => (b) => {
  const n = sizeOf(b, size), type = memoryType(n);
  // The destination is read first: where both fault, its page is the one that processors name.
  const y = b.load(ES, at(b, EDI), type), x = b.load('operand', at(b, ESI), type);
  advance(b, ESI, n / 8);
  advance(b, EDI, n / 8);
  b.setFlags('sub', n, sub(b, x, y), x, y);
};
const scanningString = (size: RowSize): Semantics => (b) => {
  const n = sizeOf(b, size), x = b.getRegister(n, EAX), y = b.load(ES, at(b, EDI), memoryType(n));
  advance(b, EDI, n / 8);
  b.setFlags('sub', n, sub(b, x, y), x, y);
};
const loadingString = (size: RowSize): Semantics => (b) => {
  const n = sizeOf(b, size);
  b.setRegister(n, EAX, b.load('operand', at(b, ESI), memoryType(n)));
  advance(b, ESI, n / 8);
};
const storingString = (size: RowSize): Semantics => (b) => {
  const n = sizeOf(b, size);
  b.store(ES, at(b, EDI), memoryType(n), b.getRegister(n, EAX));
  advance(b, EDI, n / 8);
};
const inputtingString = (size: RowSize): Semantics => (b) => {
  const n = sizeOf(b, size);
  // The port is read after the store is known to succeed: reading may have effects in the device.
  b.service('checkPort', b.getRegister(16, EDX), b.imm(n / 8));
  b.probeStore(ES, at(b, EDI), memoryType(n));
  b.store(ES, at(b, EDI), memoryType(n), b.service('portIn', b.getRegister(16, EDX), b.imm(n / 8)));
  advance(b, EDI, n / 8);
};
const outputtingString = (size: RowSize): Semantics => (b) => {
  const n = sizeOf(b, size);
  b.service('checkPort', b.getRegister(16, EDX), b.imm(n / 8));
  b.service('portOut', b.getRegister(16, EDX), b.imm(n / 8), b.load('operand', at(b, ESI), memoryType(n)));
  advance(b, ESI, n / 8);
};
const reading = (size: RowSize): Semantics => (b, dst, port) => {
  const bytes = b.imm(sizeOf(b, size) / 8), from = port.read();
  b.service('checkPort', from, bytes);
  dst.write(b.service('portIn', from, bytes));
};
const writing = (size: RowSize): Semantics => (b, port, src) => {
  const bytes = b.imm(sizeOf(b, size) / 8), to = port.read();
  b.service('checkPort', to, bytes);
  b.service('portOut', to, bytes, src.read());
};

const MOVE: Traits = { repeat: 'rep', addressSized: true };
const WIDE: Traits = { ...MOVE, operandSized: true };
const COMPARE: Traits = { repeat: 'repz', addressSized: true, flags: 'w=oszapc' };
export const string = family('string', [
  row('movs', 'A4',    [],             movingString(8),     { ...MOVE, bulk: 'movs' }),
  row('movs', 'A5',    [],             movingString('v'),   { ...WIDE, bulk: 'movs' }),
  row('cmps', 'A6',    [],             comparingString(8),   COMPARE),
  row('cmps', 'A7',    [],             comparingString('v'), { ...COMPARE, operandSized: true }),
  row('stos', 'AA',    [],             storingString(8),    { ...MOVE, bulk: 'stos' }),
  row('stos', 'AB',    [],             storingString('v'),  { ...WIDE, bulk: 'stos' }),
  row('lods', 'AC',    [],             loadingString(8),     MOVE),
  row('lods', 'AD',    [],             loadingString('v'),   WIDE),
  row('scas', 'AE',    [],             scanningString(8),    COMPARE),
  row('scas', 'AF',    [],             scanningString('v'), { ...COMPARE, operandSized: true }),
  row('ins',  '6C',    [],             inputtingString(8),   { ...MOVE, port: true }),
  row('ins',  '6D',    [],             inputtingString('v'), { ...WIDE, port: true }),
  row('outs', '6E',    [],             outputtingString(8),  { ...MOVE, port: true }),
  row('outs', '6F',    [],             outputtingString('v'), { ...WIDE, port: true }),
  row('in',   'E4 ib', [w(al), r(imm8)],  reading(8)),
  row('in',   'E5 ib', [w(rax), r(imm8)], reading('v')),
  row('in',   'EC',    [w(al), r(dx)],    reading(8)),
  row('in',   'ED',    [w(rax), r(dx)],   reading('v')),
  row('out',  'E6 ib', [r(imm8), r(al)],  writing(8)),
  row('out',  'E7 ib', [r(imm8), r(rax)], writing('v')),
  row('out',  'EE',    [r(dx), r(al)],    writing(8)),
  row('out',  'EF',    [r(dx), r(rax)],   writing('v')),
]);
