/**
 * `Build<V>` with V = text: what an instruction does, as lines to read, and which flags and state it touches on any path. The
 * manual prints the lines; the table's own tests hold the declared flags against the touched ones.
 */
import { setTag, tagOf } from './x87-tags.ts';
import {
  CONDITIONS,
  EXCEPTION,
  type Build,
  type MemoryType,
  type Operand,
  type SegmentRef,
  type Size,
  type SlotField,
  type StateField,
  type StatusFlag,
  type Variable,
} from './build.ts';
import { elementSizeOf } from './forms.ts';
import type { Form, OperandSpec } from './model.ts';
import { repeated } from './repeat.ts';

const REGISTERS: Readonly<Record<Size, readonly string[]>> = {
  8: ['AL', 'CL', 'DL', 'BL', 'AH', 'CH', 'DH', 'BH'],
  16: ['AX', 'CX', 'DX', 'BX', 'SP', 'BP', 'SI', 'DI'],
  32: ['EAX', 'ECX', 'EDX', 'EBX', 'ESP', 'EBP', 'ESI', 'EDI'],
};
const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];
const FIELDS: Readonly<Partial<Record<StateField, string>>> = {
  systemFlags: 'EFLAGS',
  stackMask: 'stackMask',
  codeLimit: 'CS.limit',
  cpl: 'CPL',
  cr0: 'CR0',
  cr4: 'CR4',
  fpuControl: 'FCW',
  fpuStatus: 'FSW',
  fpuTop: 'TOP',
  fpuTags: 'FTW',
  mxcsr: 'MXCSR',
};
const TYPE: Readonly<Record<MemoryType, string>> = {
  u8: 'byte',
  u16: 'word',
  u32: 'dword',
  u64: 'qword',
  v128: 'xmmword',
};
/** Numeric instructions that have a sign of their own. */
const INFIX: Readonly<Record<string, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  and: 'and',
  or: 'or',
  xor: 'xor',
  shl: '<<',
  shr_u: '>>',
  shr_s: '>>s',
  rotl: 'rol',
  rotr: 'ror',
  eq: '=',
  ne: '!=',
  lt_u: '<',
  gt_u: '>',
  le_u: '<=',
  ge_u: '>=',
  lt_s: '<s',
  gt_s: '>s',
  le_s: '<=s',
  ge_s: '>=s',
  div_u: '/',
  div_s: '/s',
  rem_u: 'mod',
  rem_s: 'mod s',
};
const CHANGES_NOTHING = new Set(['i32.wrap_i64', 'i64.extend_i32_u']);
/** Expressions longer than this get a name. */
const LONG = 40;
const VECTORS = Object.fromEntries(Object.entries(EXCEPTION).map(([name, vector]) => [vector, name]));
/** One letter each, in the order of the SDM's tables. */
const ALL_FLAGS: readonly StatusFlag[] = ['O', 'S', 'Z', 'A', 'P', 'C'];

const isSimple = (text: string): boolean => /^-?[\w.:]+$/.test(text);
const wrapped = (text: string): string => (isSimple(text) || /^\w+\([^()]*\)$/.test(text) ? text : `(${text})`);
const shown = (n: number): string => (n >= -256 && n <= 256 ? String(n) : `0x${(n >>> 0).toString(16)}`);
const shownBig = (n: bigint): string =>
  n >= -256n && n <= 256n ? n.toString() : n < 0n ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`;

export class TextBuild implements Build<string> {
  readonly size: 16 | 32;
  readonly addressSize: 16 | 32;
  readonly shortcuts = false;
  readonly lines: string[] = [];
  /** Status flags that some path reads before it has set them, and that some path sets. */
  readonly flagsRead = new Set<StatusFlag>();
  readonly flagsWritten = new Set<StatusFlag>();
  readonly fieldsRead = new Set<StateField>();
  readonly fieldsWritten = new Set<StateField>();
  readonly servicesCalled = new Set<string>();
  private readonly form: Form;
  private depth = 0;
  private names = 0;

  constructor(form: Form) {
    this.form = form;
    this.size = form.size;
    this.addressSize = form.addressSize;
  }

  private line(text: string): void {
    this.lines.push('  '.repeat(this.depth) + text);
  }
  /** Names a value, so that what is read stays what it was. */
  private named(text: string): string {
    const n = this.names++,
      name = String.fromCharCode(97 + (n % 26)) + (n < 26 ? '' : String(Math.floor(n / 26)));
    this.line(`${name} := ${text}`);
    return name;
  }

  // --- values

  imm(n: number): string {
    return shown(n | 0);
  }
  imm64(n: bigint): string {
    return shownBig(n);
  }
  imm128(n: bigint): string {
    return shownBig(n);
  }
  op(name: string, args: readonly string[], lanes: readonly number[] = []): string {
    const text = this.expression(name, args, lanes);
    return text.length > LONG ? this.named(text) : text;
  }
  private expression(name: string, args: readonly string[], lanes: readonly number[]): string {
    const [type, what] = name.split('.') as [string, string];
    const scalar = type === 'i32' || type === 'i64' || type === 'f32' || type === 'f64';
    if (CHANGES_NOTHING.has(name)) return args[0]!;
    if (scalar && what === 'eqz') return `${wrapped(args[0]!)} = 0`;
    const sign = scalar && args.length === 2 ? INFIX[what] : undefined;
    if (sign !== undefined) return `${wrapped(args[0]!)} ${sign} ${wrapped(args[1]!)}`;
    return `${name}(${[...args, ...(lanes.length === 0 ? [] : [`lanes ${lanes.join(' ')}`])].join(', ')})`;
  }
  select(condition: string, a: string, b: string): string {
    return this.named(`if ${condition} then ${a} else ${b}`);
  }
  variable(initial: string): Variable<string> {
    const name = this.named(initial);
    return { get: () => this.named(name), set: (value) => this.line(`${name} := ${value}`) };
  }

  // --- processor state

  getRegister(size: Size, index: number): string {
    return this.named(REGISTERS[size][index]!);
  }
  setRegister(size: Size, index: number, value: string): void {
    this.line(`${REGISTERS[size][index]!} := ${value}`);
  }
  get(field: StateField): string {
    this.fieldsRead.add(field);
    return this.named(FIELDS[field] ?? field);
  }
  set(field: StateField, value: string): void {
    this.fieldsWritten.add(field);
    this.line(`${FIELDS[field] ?? field} := ${value}`);
  }

  isEmpty(register: string): string {
    return tagOf<string>(this, register);
  }
  setEmpty(register: string, empty: boolean): void {
    setTag<string>(this, register, empty);
  }
  private reads(...flags: StatusFlag[]): void {
    for (const flag of flags) if (!this.certain.has(flag)) this.flagsRead.add(flag);
  }
  /** Flags that every path up to here has set. */
  private certain = new Set<StatusFlag>();
  private writes(...flags: StatusFlag[]): void {
    for (const flag of flags) {
      this.flagsWritten.add(flag);
      this.certain.add(flag);
    }
  }
  /** Names under which a flag was read, and whether nothing before had set it. */
  private readonly flagNames = new Map<string, StatusFlag>();
  flag(flag: StatusFlag): string {
    const isOld = !this.flagsWritten.has(flag);
    this.reads(flag);
    const name = this.named(`${flag}F`);
    if (isOld) this.flagNames.set(name, flag);
    return name;
  }
  setFlag(flag: StatusFlag, value: string): void {
    this.writes(flag);
    this.line(`${flag}F := ${value}`);
    // Put back as it was (INC, DEC): neither read nor written, seen from outside.
    if (this.flagNames.get(value) === flag) {
      this.flagsRead.delete(flag);
      this.flagsWritten.delete(flag);
      this.certain.delete(flag);
    }
  }
  /** Flags that every path sets, without having read them first: what was there before does not matter. */
  get flagsReplaced(): ReadonlySet<StatusFlag> {
    return new Set([...this.certain].filter((flag) => !this.flagsRead.has(flag)));
  }
  statusFlags(): string {
    this.reads(...ALL_FLAGS);
    return this.named('status flags');
  }
  setStatusFlags(image: string): void {
    this.writes(...ALL_FLAGS);
    this.line(`status flags := ${image}`);
  }
  keepFlags(): () => void {
    return () => this.line('status flags := those before the instruction');
  }
  condition(code: number): string {
    const used: readonly StatusFlag[][] = [['O'], ['C'], ['Z'], ['C', 'Z'], ['S'], ['P'], ['S', 'O'], ['Z', 'S', 'O']];
    this.reads(...used[code >> 1]!);
    return this.named(`condition ${CONDITIONS[code]!}`);
  }
  setFlags(kind: 'add' | 'sub' | 'logic', _size: Size, result: string, x?: string, y?: string): void {
    this.writes(...ALL_FLAGS);
    if (kind === 'logic') return this.line(`SF ZF PF := of ${result}; OF AF CF := 0`);
    const plain = `${wrapped(x!)} ${kind === 'add' ? '+' : '-'} ${wrapped(y!)}`;
    this.line(`OF SF ZF AF PF CF := of ${plain}${result === plain ? '' : `, result ${result}`}`);
  }
  setFlagsWith(_size: Size, result: string, carry: string, overflow: string, adjust: string): void {
    this.writes(...ALL_FLAGS);
    this.line(`SF ZF PF := of ${result}; CF := ${carry}; OF := ${overflow}; AF := ${adjust}`);
  }

  // --- memory

  private place(segment: SegmentRef, offset: string): string {
    return segment === 'operand' ? `[${offset}]` : `[${SEGMENTS[segment]!}:${offset}]`;
  }
  load(segment: SegmentRef, offset: string, type: MemoryType): string {
    return this.named(`${TYPE[type]} ${this.place(segment, offset)}`);
  }
  store(segment: SegmentRef, offset: string, type: MemoryType, value: string): void {
    this.line(`${TYPE[type]} ${this.place(segment, offset)} := ${value}`);
  }
  linear(segment: SegmentRef, offset: string): string {
    return `linear ${this.place(segment, offset)}`;
  }
  segmentAddress(): string {
    return 'segment';
  }
  probeStore(segment: SegmentRef, offset: string, type: MemoryType): void {
    this.line(`fault unless ${TYPE[type]} ${this.place(segment, offset)} can be written`);
  }

  // --- control

  private indented(body: () => void): void {
    this.depth++;
    body();
    this.depth--;
  }
  if(condition: string, then: () => void, otherwise?: () => void): void {
    const before = new Set(this.certain),
      from = this.lines.length;
    this.line(`if ${condition}`);
    this.indented(then);
    const leaves = /^ *raise/.test(this.lines.at(-1) ?? '');
    const afterThen = this.certain;
    this.certain = new Set(before);
    if (this.lines.length === from + 1 && otherwise !== undefined) {
      this.lines[from] = `${'  '.repeat(this.depth)}unless ${condition}`;
      this.indented(otherwise);
    } else if (otherwise !== undefined) {
      const at = this.lines.length;
      this.line('else');
      this.indented(otherwise);
      if (this.lines.length === at + 1) this.lines.pop();
    }
    const afterElse = this.certain;
    this.certain = leaves ? afterElse : new Set([...afterThen].filter((flag) => afterElse.has(flag)));
  }
  unlikely(condition: string, rare: () => void, usual: () => void): void {
    this.if(condition, rare, usual);
  }
  loop(body: (leave: (condition: string) => void) => void): void {
    const before = new Set(this.certain);
    this.line('repeat');
    this.indented(() => body((condition) => this.line(`leave if ${condition}`)));
    this.certain = before;
  }
  raise(vector: number, errorCode?: number): void {
    this.line(`raise #${VECTORS[vector] ?? vector}${errorCode === undefined ? '' : `(${errorCode})`}`);
  }
  nextEip(): string {
    return 'nextEIP';
  }
  checkTarget(eip: string): void {
    this.line(`if ${wrapped(eip)} > CS.limit raise #GP(0)`);
  }
  jump(eip: string): void {
    this.line(`EIP := ${eip}`);
  }
  service(name: string, ...args: string[]): string {
    this.servicesCalled.add(name);
    return this.named(`${name}(${args.join(', ')})`);
  }
  leaf(name: string, ...args: string[]): string {
    return this.named(`${name}(${args.join(', ')})`);
  }
  slotAddress(field: SlotField, index: string): string {
    return `${field}[${index}]`;
  }
  peek(address: string, type: MemoryType, delta: number): string {
    return this.named(`${TYPE[type]} of ${address}${delta === 0 ? '' : ` + ${delta}`}`);
  }
  poke(address: string, type: MemoryType, delta: number, value: string): void {
    this.line(`${TYPE[type]} of ${address}${delta === 0 ? '' : ` + ${delta}`} := ${value}`);
  }
  poll(): void {
    this.line('interrupts may come in here');
  }

  // --- operands

  operands(): Operand<string>[] {
    const names = operandNames(this.form.row.operands);
    return this.form.row.operands.map((spec, i) => this.operand(spec, names[i]!));
  }
  private operand(spec: OperandSpec, name: string): Operand<string> {
    const isMemory =
      spec.kind === 'mem' || spec.kind === 'moffs' || (this.form.memory && ['rm', 'mmrm', 'xmmrm'].includes(spec.kind));
    const constant = ['imm', 'simm', 'one', 'rel'].includes(spec.kind);
    const at = (delta: number): string => (delta === 0 ? `offset of ${name}` : `offset of ${name} + ${delta}`);
    return {
      isMemory,
      read: () => (constant ? name : this.named(name)),
      write: (value) => this.line(`${name} := ${value}`),
      offset: () => `offset of ${name}`,
      load: (type, delta) => this.named(`${TYPE[type]} [${at(delta)}]`),
      store: (type, delta, value) => this.line(`${TYPE[type]} [${at(delta)}] := ${value}`),
      moved: (delta) => this.operand(spec, `${name} moved by ${wrapped(delta)}`),
      number: () => `number of ${name}`,
      address: () => `address of ${name}`,
    };
  }

  /** Everything that the form does, prologue left out. */
  run(): this {
    const { form } = this,
      operands = this.operands();
    if (form.row.repeat === undefined) form.row.semantics<string>(this, ...operands);
    else repeated<string>(this, form, elementSizeOf(form), () => form.row.semantics<string>(this, ...operands));
    return this;
  }
}

/** The operands' places: the manual's words where they tell operands apart. */
function operandNames(operands: readonly OperandSpec[]): string[] {
  const usual = operands.length === 1 ? ['operand'] : ['dst', 'src', 'src2'];
  return operands.map((o, i) =>
    o.kind === 'imm' || o.kind === 'simm' ? 'imm' : o.kind === 'one' ? '1' : o.kind === 'rel' ? 'target' : usual[i]!,
  );
}
