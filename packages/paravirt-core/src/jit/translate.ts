/** Regions to WebAssembly functions (left) -> REGION, several in one module. */
import { ImportList, importName, meaning, type ServiceImport } from '../core/interpreter/generate.ts';
import { REGION, STATUS } from '../core/interpreter/record.ts';
import { Locals, type Frame, type Value } from '../core/interpreter/value.ts';
import { COMPILED, OFFSET, TLB } from '../core/layout.ts';
import type { Form } from '../isa/model.ts';
import { Code, ModuleBuilder } from '../wasm/module.ts';
import { PendingFlags } from './pending-flags.ts';
import { CONDITIONAL_FLAGS, RegionBuild, UNSUPPORTED, type RegionFrame } from './region-build.ts';
import { pageOf, type Block, type Place, type Placed, type Region } from './region.ts';
import { DISPATCHER, structureOf, type Node, type Structure } from './structure.ts';

/** Where the processor's state and its TLB lie, and the mode to compile for (COMPILED). */
export interface Target {
  readonly cpuBase: number;
  readonly tlb: number;
  readonly mode: number;
}
export interface Translation {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What must be given as `env.<name>`, besides memory, `env.reach` and `env.chain`. */
  readonly imports: readonly ServiceImport[];
  /** Bytes of each region's code. */
  readonly sizes: readonly number[];
}

/** The type of handlers and of regions: the first of a module. */
const HANDLER = 'i:i',
  HANDLER_TYPE = 0;
/** The functions that every module imports first. */
const REACH = 0,
  CHAIN = 1,
  FIXED_IMPORTS = 2;

/** A module with one function for each region, exported as '0', '1' and so on. */
export function translate(regions: readonly Region[], target: Target): Translation {
  const imports = new ImportList(FIXED_IMPORTS);
  const functions = regions.map((region) => new RegionWriter(region, target, imports).write());
  const module = new ModuleBuilder();
  module.type(HANDLER);
  module.importFunction('reach', 'ii:i');
  module.importFunction('chain', 'ii:i');
  for (const each of imports.list) module.importFunction(importName(each), `${each.parameters}:i`);
  module.importTable('handlers');
  functions.forEach(({ locals, code }, i) => module.function(HANDLER, locals, code, String(i)));
  return { bytes: module.bytes(), imports: imports.list, sizes: functions.map(({ code }) => code.length) };
}

/** Forms whose flags depend on their operands, as they are found out. */
const setsFlagsConditionally = new WeakSet<Form>();

const changesFlags = ({ instruction }: Placed): boolean => /[wu01]=/.test(instruction.form.row.flags ?? '');

type Label =
  | { readonly kind: 'block' | 'loop'; readonly at: Place }
  | { readonly kind: 'dispatcher' | 'exit' | 'stop' | 'left' | 'bailed' | 'behind' };

class RegionWriter implements RegionFrame {
  readonly cpuBase: number;
  readonly tlb: number;
  readonly readBit: number;
  readonly gpr: readonly number[];
  readonly flagResult: number;
  readonly flagAux: number;
  readonly pageEip: number;
  readonly flags: PendingFlags;
  readonly reach = REACH;
  private readonly region: Region;
  private readonly mode: number;
  private readonly structure: Structure;
  private readonly imports: ImportList;
  private readonly locals = new Locals(1);
  private readonly code = new Code();
  private readonly frame: Frame;
  private readonly left = 0;
  private readonly eip: number;
  private readonly status: number;
  /** Which of its targets the dispatcher leads to next. */
  private readonly next: number;
  /** Instructions of the block that were executed before a bail. */
  private readonly count: number;
  private flagsOfSegment: () => void = () => undefined;
  /** A handler was called: the flags are no longer those of the segment. */
  private called = false;
  private readonly used = new Set<number>();
  private readonly written = new Set<number>();
  private readonly open: Label[] = [];
  private block!: Block;
  private current!: Placed;
  /** Instructions of the block before the current one. */
  private before = 0;

  constructor(region: Region, target: Target, imports: ImportList) {
    this.region = region;
    this.mode = target.mode;
    this.imports = imports;
    this.structure = structureOf(region.entry, (place) => region.blocks.get(place)!.successors);
    this.cpuBase = target.cpuBase;
    this.tlb = target.tlb;
    this.readBit = (target.mode & COMPILED.user) !== 0 ? TLB.userRead : TLB.supervisorRead;
    const take = (): number => this.locals.fixed('i');
    const cpu = take();
    this.gpr = Array.from({ length: 8 }, take);
    this.flagResult = take();
    this.flagAux = take();
    this.pageEip = take();
    this.eip = take();
    this.status = take();
    this.next = take();
    this.count = take();
    this.flags = new PendingFlags([take(), take(), take(), take()]);
    this.frame = {
      cpu,
      record: 0,
      start: 0,
      tlb: 0,
      readBit: 0,
      writeBit: 0,
      pageEip: this.pageEip,
      target: 0,
      labels: { fault: 0, jump: 0, exit: 0 },
      left: 0,
    };
  }

  write(): { locals: Locals['types']; code: Code } {
    const { code, frame, locals } = this;
    this.open.push({ kind: 'left' }, { kind: 'stop' }, { kind: 'exit' });
    this.node(this.structure.root);
    // What is used is known now: the prologue goes before.
    const whole = new Code().i32(this.cpuBase).set(frame.cpu);
    const load = (offset: number, to: number): Code => whole.get(frame.cpu).memory('i32.load', offset).set(to);
    for (const n of this.used) load(OFFSET.gpr + n * 8, this.gpr[n]!);
    load(OFFSET.flagResult, this.flagResult);
    load(OFFSET.flagAux, this.flagAux);
    load(OFFSET.pageEip, this.pageEip);
    whole.block().block().block().append(code).unreachable().end();
    const writeBack = (): void => {
      const store = (offset: number, from: number): Code => whole.get(frame.cpu).get(from).memory('i32.store', offset);
      for (const n of this.written) store(OFFSET.gpr + n * 8, this.gpr[n]!);
      store(OFFSET.flagResult, this.flagResult);
      store(OFFSET.flagAux, this.flagAux);
    };
    writeBack();
    whole.get(this.eip).get(this.left).returnCall(CHAIN).end();
    writeBack();
    whole.end();
    whole.get(frame.cpu).get(this.eip).memory('i32.store', OFFSET.eip);
    whole.get(frame.cpu).get(this.left).memory('i32.store', OFFSET.instructionsLeft);
    whole.get(this.status);
    return { locals: locals.types, code: whole };
  }

  // --- structure

  private node(node: Node): void {
    const { code, open } = this;
    const isDispatcher = node.at === DISPATCHER,
      isLoop = node.isLoop || isDispatcher;
    if (isLoop) {
      code.loop();
      open.push(isDispatcher ? { kind: 'dispatcher' } : { kind: 'loop', at: node.at });
    }
    for (const child of [...node.children].reverse()) {
      code.block();
      open.push({ kind: 'block', at: child.at });
    }
    if (isDispatcher) {
      const depths = this.structure.dispatched.map((at) =>
        this.depthOf((label) => label.kind === 'block' && label.at === at),
      );
      code.get(this.next).brTable(depths, depths[0]!);
    } else this.body(this.region.blocks.get(node.at)!);
    for (const child of node.children) {
      code.end();
      open.pop();
      this.node(child);
    }
    if (isLoop) {
      code.end();
      open.pop();
    }
  }
  private depthOf(matches: (label: Label) => boolean): number {
    for (let i = this.open.length - 1; i >= 0; i--) if (matches(this.open[i]!)) return this.open.length - 1 - i;
    throw new Error('a jump to what is not around it');
  }
  private body(block: Block): void {
    this.block = block;
    this.flags.forget();
    this.before = 0;
    this.openSegment();
    for (const placed of block.instructions) {
      this.current = placed;
      if (!this.instruction(placed)) return this.closeSegment();
      this.before++;
      if ((changesFlags(placed) || this.called) && placed !== block.instructions.at(-1)) {
        this.called = false;
        this.closeSegment();
        this.openSegment();
      }
    }
    // Falls into the next block; `before` counts the last instruction.
    this.before--;
    const build = this.build(this.current, false);
    this.flags.settle(build);
    this.leave(build, 0, block.next, build.eipOf(block.next));
    this.locals.reset();
    this.closeSegment();
  }
  /**
   * Instructions that see the same flags share the code of their bails: `eip` and `count` say which one it was, seen from the page and
   * from the block.
   */
  private openSegment(): void {
    this.code.block().block();
    this.open.push({ kind: 'behind' }, { kind: 'bailed' });
    this.flagsOfSegment = this.flags.mark();
  }
  private closeSegment(): void {
    const { code, flags } = this;
    code.br(1).end();
    this.open.pop();
    const now = flags.mark();
    this.flagsOfSegment();
    flags.emitWords(this.build(this.current, false));
    this.locals.reset();
    now();
    code.get(this.left).get(this.count).op('i32.sub').set(this.left);
    code.get(this.pageEip).get(this.eip).op('i32.add').set(this.eip);
    code
      .i32(REGION.bail)
      .set(this.status)
      .br(this.depthOf((label) => label.kind === 'stop'));
    code.end();
    this.open.pop();
  }
  private build(placed: Placed, flagsInPlace: boolean): RegionBuild {
    const { form } = placed.instruction;
    return new RegionBuild(this, [form, this.frame, this.locals, this.imports, this.code], placed, flagsInPlace);
  }
  /** False when the block ends before it. */
  private instruction(placed: Placed): boolean {
    const { code, locals } = this,
      { form } = placed.instruction,
      { row } = form;
    const length = code.length,
      takeBack = this.flags.mark();
    let inPlace = setsFlagsConditionally.has(form);
    for (;;) {
      const build = this.build(placed, inPlace);
      try {
        if (inPlace || row.transfers === true) this.flags.settle(build);
        if (inPlace) this.flags.forget();
        meaning(build, form);
        locals.reset();
        return true;
      } catch (error) {
        if (error !== UNSUPPORTED && error !== CONDITIONAL_FLAGS) throw error;
        code.truncate(length);
        takeBack();
        locals.reset();
        if (error === UNSUPPORTED) {
          if (this.callHandler(placed)) {
            this.called = true;
            return true;
          }
          this.bail(0);
          return false;
        }
        setsFlagsConditionally.add(form);
        inPlace = true;
      }
    }
  }

  /**
   * Lets the interpreter's handler do an instruction, over registers and flags in memory. False when it has none that can be called.
   * Code may have changed afterwards, or the mode.
   */
  private callHandler(placed: Placed): boolean {
    const { code, frame, region, gpr, flagResult, flagAux } = this,
      { at, instruction } = placed;
    const found = region.pages.get(pageOf(at))!.handlerAt(at & 0xfff);
    if (found === undefined) return false;
    this.flags.settle(this.build(placed, false));
    this.locals.reset();
    const words: [number, number][] = gpr.map((local, n) => [OFFSET.gpr + n * 8, local]);
    words.push([OFFSET.flagResult, flagResult], [OFFSET.flagAux, flagAux]);
    gpr.forEach((_, n) => this.registerUsed(n, true));
    for (const [offset, local] of words) code.get(frame.cpu).get(local).memory('i32.store', offset);
    code
      .get(frame.cpu)
      .get(this.pageEip)
      .i32(at & ~0xfff)
      .op('i32.add')
      .memory('i32.store', OFFSET.pageEip);
    code.i32(found.record).i32(found.handler).callIndirect(HANDLER_TYPE, 0).tee(this.status);
    code.get(frame.cpu).memory('i32.load', OFFSET.exit).op('i32.or');
    code.get(frame.cpu).memory('i32.load', OFFSET.compiledMode).i32(this.mode).op('i32.ne').op('i32.or').if();
    const behind = (): Code =>
      code
        .get(this.pageEip)
        .i32(at + instruction.length)
        .op('i32.add');
    code.get(this.left).i32(this.before).op('i32.sub').set(this.left);
    code.get(this.status).i32(STATUS.fault).op('i32.eq').if();
    code.i32(REGION.fault).set(this.status);
    code.get(this.pageEip).i32(at).op('i32.add').set(this.eip);
    code.else();
    code.get(this.status).i32(STATUS.restart).op('i32.eq').if();
    code.i32(REGION.restart).set(this.status);
    code.get(this.pageEip).i32(at).op('i32.add').set(this.eip);
    code.else();
    code.get(this.left).i32(1).op('i32.sub').set(this.left);
    code.get(frame.cpu).memory('i32.load', OFFSET.eip);
    behind().get(this.status).i32(STATUS.jump).op('i32.eq').select().set(this.eip);
    code.i32(REGION.next).set(this.status);
    code.end().end();
    code.br(1 + this.depthOf((label) => label.kind === 'left')).end();
    for (const [offset, local] of words) code.get(frame.cpu).memory('i32.load', offset).set(local);
    this.flags.forget();
    return true;
  }

  // --- RegionFrame

  registerUsed(index: number, written: boolean): void {
    this.used.add(index);
    if (written) this.written.add(index);
  }
  private spend(instructions: number): void {
    if (instructions > 0) this.code.get(this.left).i32(instructions).op('i32.sub').set(this.left);
  }
  bail(nest: number): void {
    this.code.i32(this.current.at).set(this.eip).i32(this.before).set(this.count);
    this.code.br(nest + this.depthOf((label) => label.kind === 'bailed'));
  }
  stop(build: RegionBuild, nest: number, eip: Value): void {
    this.flags.emitWords(build);
    this.spend(this.before + 1);
    build.keep(eip, this.eip);
    this.code.i32(REGION.next).set(this.status);
    this.code.br(nest + this.depthOf((label) => label.kind === 'stop'));
  }
  leave(build: RegionBuild, nest: number, to: Place | undefined, eip: Value): void {
    const { code } = this;
    this.spend(this.before + 1);
    build.keep(eip, this.eip);
    if (to !== undefined) this.edge(nest, to);
    else {
      for (const place of this.block.guesses) {
        code.get(this.eip).get(this.pageEip).i32(place).op('i32.add').op('i32.eq').if();
        this.edge(nest + 1, place);
        code.end();
      }
    }
    code.br(nest + this.depthOf((label) => label.kind === 'exit'));
  }
  /** Branches to a block of the region if there is one and the way there is open; else does nothing. `eip` is set. */
  private edge(nest: number, to: Place): void {
    const { code, structure, region, block } = this;
    const isStructured = block.successors.includes(to) && structure.isStructured(block.at, to),
      turn = structure.dispatched.indexOf(to);
    if (!block.successors.includes(to) || (!isStructured && turn < 0)) return;
    const isBack = !isStructured || structure.isBack(block.at, to);
    const page = region.pages.get(pageOf(to))!;
    const isElsewhere = pageOf(to) !== pageOf(this.current.at);
    const kind = isStructured ? (isBack ? 'loop' : 'block') : 'dispatcher';
    let depth = nest + this.depthOf((label) => label.kind === kind && (!('at' in label) || label.at === to));
    if (!isStructured) code.i32(turn).set(this.next);
    if (isElsewhere) {
      // The page there must still be the one that was compiled.
      const { readBit } = this;
      code.get(this.eip).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and').memory('i32.load', this.tlb);
      code.get(this.eip).i32(-4096).op('i32.and').op('i32.add');
      code
        .i32(-4096 | readBit | TLB.noExecute)
        .op('i32.and')
        .i32(page.host | readBit)
        .op('i32.eq')
        .if();
      depth++;
    }
    if (isBack) {
      code.get(this.left).i32(0).op('i32.gt_s').brIf(depth);
    } else code.br(depth);
    if (isElsewhere) code.end();
  }
}
