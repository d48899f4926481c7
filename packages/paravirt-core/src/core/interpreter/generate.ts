/**
 * The interpreter, generated from the table: one WebAssembly module. Common forms lie inline under one `br_table`, the rest are
 * functions behind a `call_indirect`; docs/decisions/0001 has the measurements behind that line.
 *
 *   run(entry, budget) -> RUN      executes from cpu.eip, or from the scratch record `entry`, for about `budget` instructions
 */
import { Code, ModuleBuilder } from '../../wasm/module.ts';
import { CS, EXCEPTION, type Semantics } from '../../isa/build.ts';
import { elementSizeOf, recordsPointers } from '../../isa/forms.ts';
import { repeated } from '../../isa/repeat.ts';
import type { Form } from '../../isa/model.ts';
import { OFFSET, SEGMENT, segmentOffset } from '../layout.ts';
import { chainFunction, codeTlbEntry, enter, type Indices } from './chain.ts';
import { HandlerBuild } from './emit.ts';
import { FLAT_SERVICES, flatFunctions, type FlatService } from './flat-services.ts';
import { HANDLED_SIGNATURE, handledFunction } from './leaving.ts';
import { Locals, type Frame, type Imports, type Value } from './value.ts';
import { PSEUDO, PSEUDO_COUNT, RECORD, RECORD_BYTES, RECORD_SHIFT, REGION, RUN, STATUS } from './record.ts';

/** Services and leaves that handlers call: name and types of the parameters, one letter each; all return an i32. */
export interface ServiceImport {
  readonly name: string;
  readonly parameters: string;
  readonly kind: 'service' | 'leaf';
}
export interface GeneratedInterpreter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What must be given as `env.<kind>.<name>.<parameters>`. */
  readonly imports: readonly ServiceImport[];
  /** Form index to handler number. */
  readonly handlerOf: Uint16Array;
  readonly inlineCount: number;
}

/** Whether a form lies inline: common, and of the size that 32-bit code uses. */
const isInline = (form: Form): boolean => form.row.hot === true && form.size === 32 && form.addressSize === 32;

export const importName = (i: ServiceImport): string => `${i.kind}.${i.name}.${i.parameters}`;

/** Emits the semantics of a form, with its repeat prefix. */
export function meaning(build: HandlerBuild, form: Form): void {
  build.prologue();
  const operands = build.operands();
  const semantics: Semantics = form.row.semantics;
  if (form.row.repeat === undefined) semantics<Value>(build, ...operands);
  else repeated<Value>(build, form, elementSizeOf(form), () => semantics<Value>(build, ...operands));
  if (recordsPointers(form.row)) build.recordPointers(operands.find((each) => each.isMemory));
}

/** Collects what code calls, as it is first called. Indices count from `first`: a module's other imports come before. */
export class ImportList implements Imports {
  readonly list: ServiceImport[] = [];
  /** Functions of flat-services.ts, by name. */
  readonly flats = new Map<string, number>();
  private readonly first: number;
  private readonly index = new Map<string, number>();

  constructor(first = 0) {
    this.first = first;
  }
  private find(kind: ServiceImport['kind'], name: string, parameters: string): number {
    const key = `${kind}.${name}.${parameters}`;
    let at = this.index.get(key);
    if (at === undefined) {
      at = this.first + this.list.push({ kind, name, parameters }) - 1;
      this.index.set(key, at);
    }
    return at;
  }
  service(name: string, parameters: number): number {
    return this.find('service', name, 'i'.repeat(parameters));
  }
  leaf(name: string, parameters: string): number {
    return this.find('leaf', name, parameters);
  }
  flat(name: string): number | undefined {
    return this.flats.get(name);
  }
}

export function generateInterpreter(forms: readonly Form[]): GeneratedInterpreter {
  // Imports precede functions in the index space, and handlers discover them: the first pass only collects.
  const imports = new ImportList();
  imports.service('resolve', 1);
  imports.service('cross', 1);
  imports.service('hot', 1);
  emitAll(forms, imports, new ModuleBuilder(), false);
  const module = new ModuleBuilder();
  for (const i of imports.list) module.importFunction(importName(i), `${i.parameters}:i`);
  const { handlerOf, inlineCount } = emitAll(forms, imports, module, true);
  return { bytes: module.bytes(), imports: imports.list, handlerOf, inlineCount };
}

function emitAll(
  forms: readonly Form[],
  imports: ImportList,
  module: ModuleBuilder,
  define: boolean,
): { handlerOf: Uint16Array; inlineCount: number } {
  const inline = forms.filter(isInline),
    outline = forms.filter((f) => !isInline(f));
  const handlerOf = new Uint16Array(forms.length);
  inline.forEach((f, i) => (handlerOf[f.index] = PSEUDO_COUNT + i));
  outline.forEach((f, i) => (handlerOf[f.index] = PSEUDO_COUNT + inline.length + i));
  const cpuGlobal = module.importGlobal('cpu'),
    hotLandings = module.importGlobal('hotLandings');
  const regions = module.importTable('regions');
  for (const [name, { locals, code }] of Object.entries(flatFunctions(cpuGlobal))) {
    const index = define ? module.function(FLAT_SERVICES[name as FlatService], locals, code, name) : 0;
    imports.flats.set(name, index);
  }
  const functions = outline.map((form) => outlineHandler(form, imports, module, cpuGlobal, define));
  const handlers = define ? module.table(functions, 'handlers') : 0;
  const handlerType = module.type('i:i'),
    regionType = module.type('ii:i');
  const indices = { cpuGlobal, hotLandings, handlerType, handlers, regionType, regions };
  const run = runFunction(inline, imports, indices);
  if (define) {
    module.function('ii:i', run.locals, run.code, 'run');
    const chain = chainFunction(indices);
    const handled = handledFunction(indices, module.function('ii:i', chain.locals, chain.code, 'chain'));
    module.function(HANDLED_SIGNATURE, handled.locals, handled.code, 'handled');
  }
  return { handlerOf, inlineCount: inline.length };
}

/** A handler behind a call: (record) -> STATUS. */
function outlineHandler(
  form: Form,
  imports: Imports,
  module: ModuleBuilder,
  cpuGlobal: number,
  define: boolean,
): number {
  const locals = new Locals(1);
  const take = (): number => locals.fixed('i');
  const [cpu, tlb, readBit, writeBit, pageEip, target] = [take(), take(), take(), take(), take(), take()];
  // What the body asks for is loaded before it, and nothing else: most handlers need no TLB.
  const used = new Set<number>();
  const use = (local: number): number => {
    used.add(local);
    return local;
  };
  const frame: Frame = {
    cpu,
    record: 0,
    start: 0,
    get tlb() {
      return use(tlb);
    },
    get readBit() {
      return use(readBit);
    },
    get writeBit() {
      return use(writeBit);
    },
    get pageEip() {
      return use(pageEip);
    },
    target,
    labels: null,
    left: 0,
  };
  const build = new HandlerBuild(form, frame, locals, imports);
  meaning(build, form);
  build.epilogue();
  const code = new Code().globalGet(cpuGlobal).set(cpu);
  const load = (field: number, to: number): Code => code.get(cpu).memory('i32.load', field).set(to);
  if (used.has(tlb)) load(OFFSET.tlb, tlb);
  if (used.has(readBit)) load(OFFSET.accessRead, readBit);
  if (used.has(writeBit)) load(OFFSET.accessRead, writeBit).get(writeBit).i32(1).op('i32.shl').set(writeBit);
  if (used.has(pageEip)) load(OFFSET.pageEip, pageEip);
  code.append(build.code);
  return define ? module.function('i:i', locals.types, code) : 0;
}

/** The dispatch loop with the inline handlers in it. */
function runFunction(
  inline: readonly Form[],
  imports: Imports,
  { cpuGlobal, hotLandings, handlerType, handlers: handlerTable, regionType, regions }: Indices,
): { locals: Locals['types']; code: Code } {
  const entry = 0,
    left = 1;
  const locals = new Locals(2);
  const take = (): number => locals.fixed('i');
  const cpu = take(),
    record = take(),
    start = take(),
    tlb = take(),
    readBit = take(),
    writeBit = take(),
    pageEip = take(),
    target = take(),
    map = take(),
    t = take(),
    tag = take(),
    skip = take();
  const code = new Code();
  const load = (field: number, to: number): void => void code.get(cpu).memory('i32.load', field).set(to);
  const store = (field: number, from: number): void => void code.get(cpu).get(from).memory('i32.store', field);
  const returning = (how: number): void => {
    store(OFFSET.instructionsLeft, left);
    code.i32(how).return();
  };
  /** left -= instructions since `start`, plus the current one if it is done. */
  const account = (withCurrent: boolean): void => {
    code.get(left).get(record).get(start).op('i32.sub').i32(RECORD_SHIFT).op('i32.shr_u').op('i32.sub');
    if (withCurrent) code.i32(1).op('i32.sub');
    code.set(left);
  };
  /** EIP of the current instruction, or of the next one, on the stack. */
  const eip = (next: boolean): void => {
    code.get(pageEip).get(record).memory('i32.load16_u', RECORD.pageOffset).op('i32.add');
    if (next) code.get(record).memory('i32.load8_u', RECORD.length).op('i32.add');
  };

  code.globalGet(cpuGlobal).set(cpu);
  load(OFFSET.tlb, tlb);
  load(OFFSET.eip, target);
  // No page is current: an EIP of the same page would have its upper bit flipped.
  const forgetPage = (): void =>
    void code
      .get(target)
      .i32(0x80000000 | 0)
      .op('i32.xor')
      .set(pageEip);
  const reloadMode = (): void => {
    load(OFFSET.accessRead, readBit);
    code.get(readBit).i32(1).op('i32.shl').set(writeBit);
    forgetPage();
  };
  reloadMode();

  const handlers = inline.length,
    pseudos = PSEUDO_COUNT;
  // Blocks, outermost first: fault, exit (after the current instruction), lookup loop, jump, dispatch loop, seq, handlers.
  code.block(); // $fault
  code.block(); // $exit
  code.loop(); // $lookup
  code.block(); // $found
  // Same page: one load.
  code.get(target).get(pageEip).op('i32.sub').tee(t).i32(4096).op('i32.lt_u').if();
  code.get(map).get(t).i32(2).op('i32.shl').op('i32.add').memory('i32.load').tee(record).brIf(1);
  code.else();
  // A scratch record to start from.
  code.get(entry).if();
  code.get(entry).set(record).i32(0).set(entry);
  load(OFFSET.pageEip, pageEip);
  load(OFFSET.pageMap, map);
  code.br(2).end();
  // Code TLB: linear page and mode must agree. What misses goes to the core, which says which page this is.
  code.get(target).get(cpu).memory('i32.load', segmentCsBase()).op('i32.add').tee(t).i32(-4096).op('i32.and');
  code.get(cpu).memory('i32.load', OFFSET.codeKey).op('i32.or').set(tag);
  codeTlbEntry(code, cpu, t, map);
  code.get(map).memory('i32.load', 0).get(tag).op('i32.eq');
  // The page may have been found under another CS: this one has to hold all of it.
  code.get(target).get(t).i32(0xfff).op('i32.and').op('i32.sub').tee(pageEip);
  code.get(cpu).memory('i32.load', OFFSET.codeSkew).op('i32.add');
  code.get(cpu).memory('i32.load', OFFSET.codeBound).op('i32.le_u').op('i32.and').if();
  code.get(map).memory('i32.load', 4).set(map);
  store(OFFSET.pageEip, pageEip);
  store(OFFSET.pageMap, map);
  code
    .get(map)
    .get(t)
    .i32(0xfff)
    .op('i32.and')
    .i32(2)
    .op('i32.shl')
    .op('i32.add')
    .memory('i32.load')
    .tee(record)
    .brIf(2);
  code.end();
  code.end();
  // The core decodes, and says which page this is.
  store(OFFSET.eip, target);
  code.get(target).call(imports.service('resolve', 1)).tee(record).op('i32.eqz').ifSeldom();
  returning(RUN.fault);
  code.end();
  load(OFFSET.pageEip, pageEip);
  load(OFFSET.pageMap, map);
  code.end(); // $found
  code.get(record).get(record).memory('i32.load16_u', RECORD.landings).i32(1).op('i32.add').tee(t);
  code.memory('i32.store16', RECORD.landings);
  code.get(t).globalGet(hotLandings).op('i32.eq').ifSeldom();
  code.get(record).call(imports.service('hot', 1)).set(record);
  code.end();
  code.get(record).set(start);

  code.block(); // $jump
  code.loop(); // $dispatch
  code.block(); // $seq
  for (let i = 0; i < handlers + pseudos; i++) code.block();
  code.block(); // behind a call
  code.get(record).memory('i32.load16_u', RECORD.handler);
  code.brTable(
    Array.from({ length: handlers + pseudos }, (_, i) => i + 1),
    0,
  );
  code.end();
  // Depth of a label seen from the code after `remaining` handler blocks are still open.
  const total = handlers + pseudos;
  const depths = (
    remaining: number,
  ): { seq: number; dispatch: number; jump: number; lookup: number; exit: number; fault: number } => ({
    seq: remaining,
    dispatch: remaining + 1,
    jump: remaining + 2,
    lookup: remaining + 3,
    exit: remaining + 4,
    fault: remaining + 5,
  });
  {
    const d = depths(total);
    code.get(record);
    code.get(record).memory('i32.load16_u', RECORD.handler).i32(total).op('i32.sub');
    code.callIndirect(handlerType, handlerTable).tee(t);
    code.if();
    code
      .get(t)
      .i32(STATUS.fault)
      .op('i32.eq')
      .brIf(d.fault + 1);
    code.get(t).i32(STATUS.restart).op('i32.eq').if();
    account(false);
    eip(false);
    code.set(target);
    store(OFFSET.eip, target);
    returning(RUN.restart);
    code.end();
    load(OFFSET.eip, target);
    code.get(cpu).memory('i32.load', OFFSET.exit).if();
    account(true);
    returning(RUN.exit);
    code.end();
    reloadMode();
    code.br(d.jump + 1);
    code.end();
    code.get(cpu).memory('i32.load', OFFSET.exit).brIfSeldom(d.exit);
    code.br(d.seq);
  }
  for (let n = 0; n < total; n++) {
    code.end();
    const d = depths(total - 1 - n);
    if (n < pseudos) {
      pseudo(n, d);
      continue;
    }
    const form = inline[n - pseudos]!;
    locals.reset();
    const frame: Frame = {
      cpu,
      record,
      start,
      tlb,
      readBit,
      writeBit,
      pageEip,
      target,
      labels: { fault: d.fault, jump: d.jump, exit: d.exit },
      left,
    };
    const build = new HandlerBuild(form, frame, locals, imports, code);
    meaning(build, form);
    if (build.mayExit) code.get(cpu).memory('i32.load', OFFSET.exit).brIfSeldom(d.exit);
    if (n < total - 1) code.br(d.seq);
  }
  code.end(); // $seq
  code.get(record).i32(RECORD_BYTES).op('i32.add').set(record).br(0);
  code.end(); // $dispatch
  code.unreachable();
  code.end(); // $jump
  account(true);
  code.get(left).i32(0).op('i32.le_s').ifSeldom();
  store(OFFSET.eip, target);
  returning(RUN.budget);
  code.end();
  code.br(0);
  code.end(); // $lookup
  code.unreachable();
  code.end(); // $exit
  account(true);
  eip(true);
  code.set(target);
  store(OFFSET.eip, target);
  returning(RUN.exit);
  code.end(); // $fault
  account(false);
  eip(false);
  code.set(target);
  store(OFFSET.eip, target);
  returning(RUN.fault);
  code.unreachable();
  return { locals: locals.types, code };

  function pseudo(n: number, d: ReturnType<typeof depths>): void {
    const raise = (vector: number, errorCode: number): void => {
      code.get(cpu).i32(vector).memory('i32.store', OFFSET.faultVector);
      code.get(cpu).i32(errorCode).memory('i32.store', OFFSET.faultCode);
      code.get(cpu).i32(1).memory('i32.store', OFFSET.fault).br(d.fault);
    };
    switch (n) {
      case PSEUDO.lookup: {
        // Not an instruction: the count leaves it out, and `account(true)` at $jump puts one back in.
        eip(false);
        code.set(target);
        code.get(left).i32(1).op('i32.add').set(left);
        code.br(d.jump);
        break;
      }
      case PSEUDO.exit:
        account(false);
        eip(false);
        code.set(target);
        store(OFFSET.eip, target);
        returning(RUN.budget);
        break;
      case PSEUDO.cross:
        account(false);
        eip(false);
        code.tee(target).call(imports.service('cross', 1)).tee(t).op('i32.eqz').if();
        // Fetching from the second page faulted: the record is this one, nothing more to count.
        code
          .get(record)
          .set(start)
          .br(d.fault + 1);
        code.end();
        code.get(t).tee(record).set(start).br(d.dispatch);
        break;
      case PSEUDO.undefined:
        raise(EXCEPTION.UD, -1);
        break;
      case PSEUDO.tooLong:
        raise(EXCEPTION.GP, 0);
        break;
      case PSEUDO.join:
        // The records before this one are done; the flow goes on elsewhere in the page, unless the budget is used.
        account(false);
        code.get(left).i32(0).op('i32.le_s').ifSeldom();
        eip(false);
        code.set(target);
        store(OFFSET.eip, target);
        returning(RUN.budget);
        code.end();
        code.get(record).memory('i32.load', RECORD.immediate).tee(record).set(start).br(d.dispatch);
        break;
      case PSEUDO.address16:
        code.get(cpu);
        code.get(record).memory('i32.load16_u', RECORD.rm).memory('i32.load');
        code.get(record).memory('i32.load16_u', RECORD.index).memory('i32.load').op('i32.add');
        code.get(record).memory('i32.load', RECORD.displacement).op('i32.add').i32(0xffff).op('i32.and');
        code.memory('i32.store', OFFSET.address16);
        code.get(left).i32(1).op('i32.add').set(left).br(d.seq);
        break;
      case PSEUDO.region:
        // Only the map leads here, so nothing is counted yet.
        code.get(record).memory('i32.load', RECORD.displacement).get(cpu).memory('i32.load', OFFSET.compiledMode);
        code.op('i32.ne').get(skip).op('i32.or').if();
        code.i32(0).set(skip);
        code
          .get(record)
          .memory('i32.load', RECORD.immediate2)
          .tee(record)
          .set(start)
          .br(d.dispatch + 1);
        code.end();
        code.get(record).memory('i32.load', RECORD.immediate).set(t);
        enter(code, left, t).callIndirect(regionType, regions).set(t);
        code.get(t).i32(REGION.bail).op('i32.eq').set(skip);
        load(OFFSET.instructionsLeft, left);
        load(OFFSET.eip, target);
        code.get(t).i32(REGION.fault).op('i32.eq').if();
        returning(RUN.fault);
        code.end();
        code.get(t).i32(REGION.restart).op('i32.eq').if();
        returning(RUN.restart);
        code.end();
        code.get(cpu).memory('i32.load', OFFSET.exit).if();
        returning(RUN.exit);
        code.end();
        code.get(left).i32(0).op('i32.le_s').ifSeldom();
        returning(RUN.budget);
        code.end();
        // It may have gone from one privilege level to another.
        reloadMode();
        code.br(d.lookup);
        break;
      default:
        code.unreachable();
    }
  }
}

/** Offset of CS's base. */
function segmentCsBase(): number {
  return segmentOffset(CS) + SEGMENT.base;
}
