/** Values, locals and the frame of a handler: what every part of the emitter works with. */
import type { MemoryType, Size } from '../../isa/build.ts';
import type { ValueType } from '../../wasm/ops.ts';

/** A value: a constant, or what a local holds. */
export interface Value {
  readonly type: ValueType;
  readonly constant?: number | bigint;
  readonly local?: number;
}

/** Indices of the functions that handlers call. */
export interface Imports {
  /** By name; signature i32 x n -> i32. */
  service(name: string, parameters: number): number;
  /** By name and types of the parameters, one letter each; the result is an i32. */
  leaf(name: string, parameters: string): number;
  /** The function that does what the service of that name does where that is plain work, and returns 1; 0 when it has done nothing. */
  flat(name: string): number | undefined;
}

/** Where the state that all handlers share lies, and how control leaves a handler. */
export interface Frame {
  readonly cpu: number;
  readonly record: number;
  /** Inline handlers: the record from which instructions are counted. */
  readonly start: number;
  readonly tlb: number;
  readonly readBit: number;
  readonly writeBit: number;
  readonly pageEip: number;
  readonly target: number;
  /** Inline handlers: branch depths, seen from the handler's outermost level. */
  readonly labels: { readonly fault: number; readonly jump: number; readonly exit: number } | null;
  /** Inline handlers: the local that counts instructions still to run. */
  readonly left: number;
}

export const MASK: Readonly<Record<Size, number>> = { 8: 0xff, 16: 0xffff, 32: -1 };
export const BYTES: Readonly<Record<MemoryType, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, v128: 16 };
export const LOAD: Readonly<Record<MemoryType, string>> = {
  u8: 'i32.load8_u',
  u16: 'i32.load16_u',
  u32: 'i32.load',
  u64: 'i64.load',
  v128: 'v128.load',
};
export const STORE: Readonly<Record<MemoryType, string>> = {
  u8: 'i32.store8',
  u16: 'i32.store16',
  u32: 'i32.store',
  u64: 'i64.store',
  v128: 'v128.store',
};
export const TYPE: Readonly<Record<MemoryType, ValueType>> = { u8: 'i', u16: 'i', u32: 'i', u64: 'l', v128: 'v' };
export const integerType = (size: Size): MemoryType => (size === 8 ? 'u8' : size === 16 ? 'u16' : 'u32');

/** Allocates locals by type; a handler gives all of them back when it ends. */
export class Locals {
  readonly types: ValueType[] = [];
  private readonly free = new Map<ValueType, number[]>();
  private used: number[] = [];
  private readonly first: number;

  constructor(first: number) {
    this.first = first;
  }
  take(type: ValueType): number {
    const pool = this.free.get(type);
    const local = pool !== undefined && pool.length > 0 ? pool.pop()! : this.first + this.types.push(type) - 1;
    this.used.push(local);
    return local;
  }
  /** A local that is never given back. */
  fixed(type: ValueType): number {
    return this.first + this.types.push(type) - 1;
  }
  reset(): void {
    for (const local of this.used.reverse()) {
      const type = this.types[local - this.first]!;
      const pool = this.free.get(type);
      if (pool === undefined) this.free.set(type, [local]);
      else pool.push(local);
    }
    this.used = [];
  }
}
