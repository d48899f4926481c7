/** A small assembler for WebAssembly modules (core specification 2.0, section 5): types, imports, functions, one table, code. */
import { opInfo, type ValueType } from './ops.ts';

const TYPE_BYTE: Readonly<Record<ValueType, number>> = { i: 0x7f, l: 0x7e, f: 0x7d, d: 0x7c, v: 0x7b };
const VOID_BLOCK = 0x40;

/** Unsigned LEB128 of a 32-bit number. */
export function unsignedLeb(n: number): number[] {
  const out: number[] = [];
  n >>>= 0;
  do {
    let byte = n & 0x7f;
    n >>>= 7;
    if (n !== 0) byte |= 0x80;
    out.push(byte);
  } while (n !== 0);
  return out;
}

/** Signed LEB128 of a 64-bit number. */
export function signedLeb(value: number | bigint): number[] {
  const out: number[] = [];
  let n = BigInt.asIntN(64, BigInt(value));
  for (;;) {
    const byte = Number(n & 0x7fn);
    n >>= 7n;
    if ((n === 0n && (byte & 0x40) === 0) || (n === -1n && (byte & 0x40) !== 0)) return [...out, byte];
    out.push(byte | 0x80);
  }
}

/** "operands:results", e.g. 'ii:i' or 'i:'. */
export type Signature = string;

/** Memory accesses by name: opcode bytes and the natural alignment as a power of two. */
const MEMORY_OPS: Readonly<Record<string, readonly [bytes: readonly number[], alignLog2: number]>> = {
  'i32.load': [[0x28], 2],
  'i64.load': [[0x29], 3],
  'f32.load': [[0x2a], 2],
  'f64.load': [[0x2b], 3],
  'i32.load8_s': [[0x2c], 0],
  'i32.load8_u': [[0x2d], 0],
  'i32.load16_s': [[0x2e], 1],
  'i32.load16_u': [[0x2f], 1],
  'i32.store': [[0x36], 2],
  'i64.store': [[0x37], 3],
  'i32.store8': [[0x3a], 0],
  'i32.store16': [[0x3b], 1],
  'v128.load': [[0xfd, 0x00], 4],
  'v128.load64_zero': [[0xfd, 0x5d], 3],
  'v128.load32_zero': [[0xfd, 0x5c], 2],
  'v128.store': [[0xfd, 0x0b], 4],
};

/** A growing sequence of bytes. */
class Bytes {
  private data = new Uint8Array(256);
  private used = 0;

  /** Bytes that are written already. */
  patch(at: number, ...bytes: number[]): void {
    this.data.set(bytes, at);
  }
  get length(): number {
    return this.used;
  }
  /** What has been written so far. Valid until more is written. */
  get view(): Uint8Array {
    return this.data.subarray(0, this.used);
  }
  /** Takes back all but the first `length` bytes. */
  truncate(length: number): void {
    this.used = Math.min(this.used, length);
  }
  private room(bytes: number): void {
    if (this.used + bytes <= this.data.length) return;
    const larger = new Uint8Array(Math.max(this.data.length * 2, this.used + bytes));
    larger.set(this.view);
    this.data = larger;
  }
  byte(value: number): void {
    if (this.used === this.data.length) this.room(1);
    this.data[this.used++] = value;
  }
  write(bytes: ArrayLike<number>): void {
    this.room(bytes.length);
    this.data.set(bytes, this.used);
    this.used += bytes.length;
  }
  unsigned(n: number): void {
    n >>>= 0;
    while (n > 0x7f) {
      this.byte((n & 0x7f) | 0x80);
      n >>>= 7;
    }
    this.byte(n);
  }
  signed32(n: number): void {
    n |= 0;
    while (n < -64 || n > 63) {
      this.byte((n & 0x7f) | 0x80);
      n >>= 7;
    }
    this.byte(n & 0x7f);
  }
}

/** What is known of an `if` or `br_if` at an offset. */
interface Hint {
  readonly at: number;
  readonly isTaken: boolean;
}

/** A growing sequence of instructions. Methods append and return `this`, so that code reads in the order it runs. */
export class Code {
  private readonly out = new Bytes();
  private hinted: Hint[] = [];

  get length(): number {
    return this.out.length;
  }
  /** In ascending order. */
  get hints(): readonly Hint[] {
    return this.hinted.toSorted((a, b) => a.at - b.at);
  }
  /** A hint for optimising compilers: the `if` or `br_if` at this offset is seldom taken, so what it leads to is placed out of the way. */
  hintSeldom(at: number): void {
    this.hinted.push({ at, isTaken: false });
  }
  /** The instructions so far. Valid until more are appended. */
  get bytes(): Uint8Array {
    return this.out.view;
  }
  /** Takes back all but the first `length` bytes. */
  truncate(length: number): void {
    this.out.truncate(length);
    this.hinted = this.hinted.filter(({ at }) => at < length);
  }
  raw(...bytes: number[]): this {
    this.out.write(bytes);
    return this;
  }
  private with(opcode: number, n: number): this {
    this.out.byte(opcode);
    this.out.unsigned(n);
    return this;
  }
  private plain(opcode: number): this {
    this.out.byte(opcode);
    return this;
  }
  /** A numeric instruction, with lane indices where it takes them. */
  op(name: string, ...lanes: number[]): this {
    const { bytes } = opInfo(name);
    for (let i = 0; i < bytes.length; i++) this.out.byte(bytes[i]!);
    for (let i = 0; i < lanes.length; i++) this.out.byte(lanes[i]!);
    return this;
  }
  i32(n: number): this {
    this.out.byte(0x41);
    this.out.signed32(n);
    return this;
  }
  /** A constant that `patchIn2` may replace: -8192 to 8191. Returns where it lies. */
  i32In2(n: number): number {
    this.out.byte(0x41);
    this.out.byte(0);
    this.out.byte(0);
    this.patchIn2(this.length - 2, n);
    return this.length - 2;
  }
  patchIn2(at: number, n: number): void {
    this.out.patch(at, (n & 0x7f) | 0x80, (n >> 7) & 0x7f);
  }
  /** A constant that `patchIn3` may replace: -2^20 to 2^20 - 1. Returns where it lies. */
  i32In3(n: number): number {
    this.out.byte(0x41);
    this.out.byte(0);
    this.out.byte(0);
    this.out.byte(0);
    this.patchIn3(this.length - 3, n);
    return this.length - 3;
  }
  patchIn3(at: number, n: number): void {
    this.out.patch(at, (n & 0x7f) | 0x80, ((n >> 7) & 0x7f) | 0x80, (n >> 14) & 0x7f);
  }
  /** Replaces the last byte of an instruction: a constant from 0 to 63, or one like it. */
  patchByte(at: number, value: number): void {
    this.out.patch(at, value);
  }
  i64(n: bigint): this {
    return this.raw(0x42, ...signedLeb(n));
  }
  v128(n: bigint): this {
    this.raw(0xfd, 0x0c);
    for (let i = 0; i < 16; i++) this.out.byte(Number((n >> BigInt(8 * i)) & 0xffn));
    return this;
  }
  get(local: number): this {
    return this.with(0x20, local);
  }
  set(local: number): this {
    return this.with(0x21, local);
  }
  tee(local: number): this {
    return this.with(0x22, local);
  }
  globalGet(index: number): this {
    return this.with(0x23, index);
  }
  /** A load or store; the address (and value) are on the stack. Alignment hints are 1: guests are unaligned at will. */
  memory(name: string, offset = 0): this {
    const found = MEMORY_OPS[name];
    if (found === undefined) throw new Error(`no memory instruction '${name}'`);
    const opcode = found[0];
    for (let i = 0; i < opcode.length; i++) this.out.byte(opcode[i]!);
    this.out.byte(0);
    this.out.unsigned(offset);
    return this;
  }
  block(): this {
    return this.with(0x02, VOID_BLOCK);
  }
  loop(): this {
    return this.with(0x03, VOID_BLOCK);
  }
  if(): this {
    return this.with(0x04, VOID_BLOCK);
  }
  /** An `if` whose condition is seldom true (`hintSeldom`). */
  ifSeldom(): this {
    this.hintSeldom(this.length);
    return this.if();
  }
  else(): this {
    return this.plain(0x05);
  }
  end(): this {
    return this.plain(0x0b);
  }
  br(depth: number): this {
    return this.with(0x0c, depth);
  }
  brIf(depth: number): this {
    return this.with(0x0d, depth);
  }
  /** A `br_if` that is seldom taken (`hintSeldom`). */
  brIfSeldom(depth: number): this {
    this.hintSeldom(this.length);
    return this.brIf(depth);
  }
  /** A `br_if` that is taken nearly always: what comes behind it is placed out of the way. */
  brIfOften(depth: number): this {
    this.hinted.push({ at: this.length, isTaken: true });
    return this.brIf(depth);
  }
  brTable(depths: readonly number[], otherwise: number): this {
    this.raw(0x0e, ...unsignedLeb(depths.length));
    for (const d of depths) this.raw(...unsignedLeb(d));
    return this.raw(...unsignedLeb(otherwise));
  }
  return(): this {
    return this.plain(0x0f);
  }
  call(index: number): this {
    return this.with(0x10, index);
  }
  callIndirect(type: number, table = 0): this {
    return this.raw(0x11, ...unsignedLeb(type), ...unsignedLeb(table));
  }
  /** Ends the function with a call that takes its place (tail calls, core specification 3.0). */
  returnCall(index: number): this {
    return this.with(0x12, index);
  }
  returnCallIndirect(type: number, table = 0): this {
    return this.raw(0x13, ...unsignedLeb(type), ...unsignedLeb(table));
  }
  drop(): this {
    return this.plain(0x1a);
  }
  select(): this {
    return this.plain(0x1b);
  }
  unreachable(): this {
    return this.plain(0x00);
  }
  append(other: Code): this {
    for (const { at, isTaken } of other.hinted) this.hinted.push({ at: this.length + at, isTaken });
    this.out.write(other.bytes);
    return this;
  }
}

const BRANCH_HINTS = new TextEncoder().encode('metadata.code.branch_hint');

interface Defined {
  readonly type: number;
  readonly locals: readonly ValueType[];
  readonly code: Code;
}

/** Collects the parts of one module; `bytes()` lays them out. Imports come before functions. */
export class ModuleBuilder {
  private readonly types: string[] = [];
  private readonly imports: { name: string; type: number }[] = [];
  private readonly globals: string[] = [];
  private readonly functions: Defined[] = [];
  private readonly exports: { name: string; index: number }[] = [];
  private readonly tables: string[] = [];
  private tableEntries: readonly number[] = [];
  private tableExport: string | undefined;

  type(signature: Signature): number {
    const at = this.types.indexOf(signature);
    return at >= 0 ? at : this.types.push(signature) - 1;
  }
  /** Imports `env.name` as a function and returns its index. */
  importFunction(name: string, signature: Signature): number {
    if (this.functions.length > 0) throw new Error('imports come before functions');
    return this.imports.push({ name, type: this.type(signature) }) - 1;
  }
  /** Imports `env.name` as an immutable i32 global and returns its index. */
  importGlobal(name: string): number {
    return this.globals.push(name) - 1;
  }
  /** Imports `env.name` as a table of functions and returns its index; comes before `table`, whose index follows. */
  importTable(name: string): number {
    return this.tables.push(name) - 1;
  }
  /** Adds a function; `locals` are those after the parameters. Returns its index. */
  function(signature: Signature, locals: readonly ValueType[], code: Code, exportAs?: string): number {
    const index = this.imports.length + this.functions.push({ type: this.type(signature), locals, code }) - 1;
    if (exportAs !== undefined) this.exports.push({ name: exportAs, index });
    return index;
  }
  /** The index that the next `function` will get. */
  nextFunction(): number {
    return this.imports.length + this.functions.length;
  }
  /** The module's own table of functions; returns its index. */
  table(functions: readonly number[], exportAs?: string): number {
    this.tableEntries = functions;
    this.tableExport = exportAs;
    return this.tables.length;
  }

  /** The module: imports a shared `env.memory` of any size up to 4 GiB. */
  bytes(): Uint8Array<ArrayBuffer> {
    const out = new Bytes();
    out.write([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const name = (s: string): number[] => {
      const text = new TextEncoder().encode(s);
      return [...unsignedLeb(text.length), ...text];
    };
    const section = (id: number, items: readonly ArrayLike<number>[]): void => {
      const count = unsignedLeb(items.length);
      out.byte(id);
      out.unsigned(items.reduce((sum, item) => sum + item.length, count.length));
      out.write(count);
      for (const item of items) out.write(item);
    };
    const typeOf = (signature: string): number[] => {
      const [params, results] = signature.split(':') as [string, string];
      const list = (s: string): number[] => [...unsignedLeb(s.length), ...[...s].map((c) => TYPE_BYTE[c as ValueType])];
      return [0x60, ...list(params), ...list(results)];
    };
    section(1, this.types.map(typeOf));
    const env = name('env');
    section(2, [
      [...env, ...name('memory'), 2, 3, ...unsignedLeb(1), ...unsignedLeb(65536)],
      ...this.globals.map((g) => [...env, ...name(g), 3, 0x7f, 0]),
      ...this.tables.map((t) => [...env, ...name(t), 1, 0x70, 0, 0]),
      ...this.imports.map((f) => [...env, ...name(f.name), 0, ...unsignedLeb(f.type)]),
    ]);
    section(
      3,
      this.functions.map((f) => unsignedLeb(f.type)),
    );
    const entries = this.tableEntries;
    if (entries.length > 0) section(4, [[0x70, 0, ...unsignedLeb(entries.length)]]);
    section(7, [
      ...this.exports.map((e) => [...name(e.name), 0, ...unsignedLeb(e.index)]),
      ...(this.tableExport === undefined ? [] : [[...name(this.tableExport), 1, ...unsignedLeb(this.tables.length)]]),
    ]);
    if (entries.length > 0)
      section(9, [
        [
          ...(this.tables.length === 0 ? [0] : [2, ...unsignedLeb(this.tables.length)]),
          ...[0x41, 0, 0x0b],
          ...(this.tables.length === 0 ? [] : [0]),
          ...unsignedLeb(entries.length),
          ...entries.flatMap((f) => unsignedLeb(f)),
        ],
      ]);
    const bodies = this.functions.map((f) => {
      const groups: [ValueType, number][] = [];
      for (const t of f.locals) {
        const last = groups.at(-1);
        if (last !== undefined && last[0] === t) last[1]++;
        else groups.push([t, 1]);
      }
      const head = [...unsignedLeb(groups.length), ...groups.flatMap(([t, n]) => [...unsignedLeb(n), TYPE_BYTE[t]])];
      const body = new Bytes();
      body.unsigned(head.length + f.code.length + 1);
      body.write(head);
      body.write(f.code.bytes);
      body.byte(0x0b);
      return { head: head.length, bytes: body.view };
    });
    this.branchHints(
      out,
      bodies.map(({ head }) => head),
    );
    section(
      10,
      bodies.map(({ bytes }) => bytes),
    );
    return Uint8Array.from(out.view);
  }
  /** Branch hinting (proposal of the core specification): a custom section, which whoever does not know it passes over. */
  private branchHints(out: Bytes, heads: readonly number[]): void {
    const hinted = this.functions
      .map(({ code: { hints } }, i) => ({ hints, i }))
      .filter(({ hints }) => hints.length > 0);
    if (hinted.length === 0) return;
    const content = new Bytes();
    content.unsigned(BRANCH_HINTS.length);
    content.write(BRANCH_HINTS);
    content.unsigned(hinted.length);
    for (const { hints, i } of hinted) {
      content.unsigned(this.imports.length + i);
      content.unsigned(hints.length);
      for (const { at, isTaken } of hints) {
        // Counted from the declarations of locals; one byte, which says whether it is likely.
        content.unsigned(heads[i]! + at);
        content.write([1, isTaken ? 1 : 0]);
      }
    }
    out.byte(0);
    out.unsigned(content.length);
    out.write(content.view);
  }
}
