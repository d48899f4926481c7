/** The generated interpreter, instantiated for one processor. */
import type { FormTable } from '../../isa/forms.ts';
import { allRows } from '../../isa/instructions/index.ts';
import { GUEST_FAULT, type Cpu } from '../cpu.ts';
import { moduleWithCode } from '../../wasm/machine-code.ts';
import { tuneForGuests } from '../../wasm/v8-flags.ts';
import { OFFSET } from '../layout.ts';
import type { Service } from '../services.ts';
import { generateInterpreter, importName, type GeneratedInterpreter } from './generate.ts';
import { readPrebuilt } from './prebuilt.ts';

/** Leaf numerics by name: functions over addresses in linear memory, as WebAssembly exports them. */
export type Leaf = (...args: never[]) => unknown;

interface Compiled {
  readonly generated: GeneratedInterpreter;
  readonly module: WebAssembly.Module;
}
const compiled = new WeakMap<FormTable, Compiled>();

/** The interpreter of a table: generated, unless that was done beforehand, and compiled, once in a thread. */
export function compileInterpreter(table: FormTable): Compiled {
  let known = compiled.get(table);
  if (known === undefined) {
    const prebuilt = table.rows === allRows ? readPrebuilt() : undefined,
      generated = prebuilt?.generated ?? generateInterpreter(table.forms);
    tuneForGuests();
    const whole = prebuilt?.code && moduleWithCode(generated.bytes, prebuilt.code);
    known = { generated, module: whole ?? new WebAssembly.Module(generated.bytes) };
    compiled.set(table, known);
  }
  return known;
}

export interface Engine {
  /** Runs from cpu.eip, or from a scratch record, for about `budget` instructions; returns a RUN code. */
  run(entry: number, budget: number): number;
  /** Delivers an event between flat segments, as flat-services.ts has it; 0 when it has done nothing. */
  deliver?(vector: number, flags: number, errorCode: number, isSoftware: number): number;
}

/** What compiled code shares with the interpreter (jit/). */
export interface Regions {
  /** Functions (left, entrance) -> REGION, at the places that entrances name (`entranceOf`). */
  readonly table: WebAssembly.Table;
  /** Landings on one record after which `hot` is called; 0 = never. */
  readonly hotLandings: number;
  /** Control landed so often on a record: the record to go on with. */
  hot(record: number): number;
}
export interface Interpreter extends Engine {
  readonly deliver: NonNullable<Engine['deliver']>;
  /** (target, left) -> REGION: the way from one region to another. */
  readonly chain: (target: number, left: number) => number;
  /** (left, eip, length, status) -> REGION: the way back behind a handler (leaving.ts). */
  readonly handled: (left: number, eip: number, length: number, status: number) => number;
  /** (register, selector) -> 1: loaded; 0: the core has to do it. */
  readonly loadSegment: (index: number, selector: number) => number;
  /** Handlers behind a call: (record) -> STATUS. */
  readonly handlers: WebAssembly.Table;
}

const NO_REGIONS: Regions = {
  table: new WebAssembly.Table({ element: 'anyfunc', initial: 1 }),
  hotLandings: 0,
  hot: (record) => record,
};

/** Binds services: a recorded fault comes back as a flag that handlers test, any other error is a bug and goes up. */
export function instantiateInterpreter(
  { generated, module }: Compiled,
  cpu: Cpu,
  services: Readonly<Record<string, Service>>,
  leaves: Readonly<Record<string, Leaf>>,
  regions: Regions = NO_REGIONS,
): Interpreter {
  const fault = (cpu.base + OFFSET.fault) >> 2;
  const bind =
    (service: Service) =>
    (a: number, b: number, c: number, d: number): number => {
      try {
        return (service(a, b, c, d) ?? 0) | 0;
      } catch (error) {
        if (error !== GUEST_FAULT) throw error;
        if (cpu.i32[fault] === 0) throw new Error('a service unwound without a fault', { cause: error });
        return 0;
      }
    };
  const env: Record<string, unknown> = {
    memory: cpu.memory,
    cpu: new WebAssembly.Global({ value: 'i32', mutable: false }, cpu.base),
    hotLandings: new WebAssembly.Global({ value: 'i32', mutable: false }, regions.hotLandings),
    regions: regions.table,
  };
  for (const wanted of generated.imports) {
    const found =
      wanted.kind !== 'service'
        ? undefined
        : wanted.name === 'hot'
          ? (r: number) => regions.hot(r)
          : services[wanted.name];
    const leaf = wanted.kind === 'leaf' ? leaves[wanted.name] : undefined;
    if (found === undefined && leaf === undefined) throw new Error(`the core has no ${wanted.kind} '${wanted.name}'`);
    env[importName(wanted)] = found !== undefined ? bind(found) : leaf!;
  }
  const { exports } = new WebAssembly.Instance(module, { env });
  return {
    run: exports['run'] as Engine['run'],
    deliver: exports['deliver'] as NonNullable<Engine['deliver']>,
    loadSegment: exports['loadSegment'] as Interpreter['loadSegment'],
    chain: exports['chain'] as Interpreter['chain'],
    handled: exports['handled'] as Interpreter['handled'],
    handlers: exports['handlers'] as WebAssembly.Table,
  };
}
