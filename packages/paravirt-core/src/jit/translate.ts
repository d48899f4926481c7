/** Regions to WebAssembly functions (left, entrance) -> REGION, several in one module. */
import { ImportList, importName, meaning, type ServiceImport } from '../core/interpreter/generate.ts';
import { entryNumber, goOn } from '../core/interpreter/chain.ts';
import { FLAT_SERVICES } from '../core/interpreter/flat-services.ts';
import { HANDLED_SIGNATURE } from '../core/interpreter/leaving.ts';
import { REGION } from '../core/interpreter/record.ts';
import { Locals, type Frame, type Value } from '../core/interpreter/value.ts';
import { COMPILED, JUMP_TARGETS, OFFSET, TLB, jumpSite } from '../core/layout.ts';
import type { Form } from '../isa/model.ts';
import { Code, ModuleBuilder } from '../wasm/module.ts';
import { bailWord, isNearEnough, pendingOf, settleBail } from './bail-word.ts';
import { FieldLocals } from './fields.ts';
import { FpuStack } from './fpu-stack.ts';
import { PendingFlags } from './pending-flags.ts';
import { RegionBuild, type RegionFrame } from './region-build.ts';
import {
  changesXmm,
  isIndirect,
  neverGoesOn,
  pageOf,
  type Block,
  type Place,
  type Placed,
  type Region,
} from './region.ts';
import { DISPATCHER, onlyPredecessors, structureOf, type Node, type Structure } from './structure.ts';
import { CONDITIONAL_FLAGS, UNSUPPORTED } from './unsupported.ts';
import { Windows } from './windows.ts';
import { XmmRegisters } from './xmm-registers.ts';

/** Where the processor's state and its TLB lie, and the mode to compile for (COMPILED). */
export interface Target {
  readonly cpuBase: number;
  readonly tlb: number;
  readonly mode: number;
  /** Where targets of indirect jumps are noted (`jumpSite`). */
  readonly jumpSites: number;
}
export interface Translation {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What must be given as `env.<name>`, besides memory, `env.look`, `env.chain`, `env.handled`, `env.loadSegment` and `env.odd`. */
  readonly imports: readonly ServiceImport[];
  /** Bytes of each region's code. */
  readonly sizes: readonly number[];
}

/** Types: the first of a module. */
const HANDLER = 'i:i',
  HANDLER_TYPE = 0,
  ENTERED = 'ii:i',
  REGION_TYPE = 1,
  REGIONS = 1;
/** The functions that every module imports first. */
const LOOK = 0,
  CHAIN = 1,
  HANDLED = 2,
  LOAD_SEGMENT = 3,
  ODD = 4,
  FIXED_IMPORTS = 5;

/** A module with one function for each region, exported as '0', '1' and so on. */
export function translate(regions: readonly Region[], target: Target): Translation {
  const imports = new ImportList(FIXED_IMPORTS);
  const functions = regions.map((region) => new RegionWriter(region, target, imports).write());
  const module = new ModuleBuilder();
  module.type(HANDLER);
  module.type(ENTERED);
  module.importFunction('look', 'ii:i');
  module.importFunction('chain', 'ii:i');
  module.importFunction('handled', HANDLED_SIGNATURE);
  module.importFunction('loadSegment', FLAT_SERVICES.loadSegment);
  module.importFunction('odd', 'i:');
  for (const each of imports.list) module.importFunction(importName(each), `${each.parameters}:i`);
  module.importTable('handlers');
  module.importTable('regions');
  functions.forEach(({ locals, code }, i) => module.function(ENTERED, locals, code, String(i)));
  return { bytes: module.bytes(), imports: imports.list, sizes: functions.map(({ code }) => code.length) };
}

/** Forms whose flags depend on their operands, as they are found out. */
const setsFlagsConditionally = new WeakSet<Form>();

type Label =
  { readonly kind: 'block' | 'loop'; readonly at: Place } | { readonly kind: 'dispatcher' | 'exit' | 'bailed' | 'odd' };

/** What is known at the end of a block, for those that only it leads to. */
type Knowledge = readonly (() => void)[];

class RegionWriter implements RegionFrame {
  readonly cpuBase: number;
  readonly tlb: number;
  readonly readBit: number;
  readonly gpr: readonly number[];
  readonly flagResult: number;
  readonly flagAux: number;
  readonly pageEip: number;
  readonly flags: PendingFlags;
  readonly windows: Windows;
  readonly fields: FieldLocals;
  readonly fpu: FpuStack;
  readonly xmm: XmmRegisters;
  readonly speculates: boolean;
  readonly look = LOOK;
  readonly loadSegment = LOAD_SEGMENT;
  private readonly region: Region;
  private readonly mode: number;
  private readonly jumpSites: number;
  private readonly structure: Structure;
  private readonly imports: ImportList;
  private readonly locals = new Locals(2);
  readonly code = new Code();
  private readonly frame: Frame;
  readonly left = 0;
  private readonly entrance = 1;
  readonly eip: number;
  /** REGION where compiled code is left; 0 where it goes on elsewhere. */
  private readonly status: number;
  /** Which of its targets the dispatcher leads to next. */
  private readonly next: number;
  /** Which bail it was. */
  readonly how: number;
  /** Whether all places fit into `how`. */
  readonly isNear: boolean;
  /** What flags may be pending where something bails, by their key: what makes the words of them comes once, at the end. */
  private readonly pendings = new Map<string, { readonly index: number; readonly restore: () => void }>();
  private pendingIndex = 0;
  private readonly knownAt = new Map<Place, Knowledge>();
  /** Places to which control comes from one block alone, with that one. */
  private readonly onlyFrom: ReadonlyMap<Place, Place>;
  /** Locals of windows: those that are free, and those in use since the node began. */
  private readonly freeEntries: number[] = [];
  private usedEntries: number[] = [];
  private readonly used = new Set<number>();
  private readonly written = new Set<number>();
  private readonly open: Label[] = [];
  private block!: Block;
  private current!: Placed;
  /** Instructions of the block before the current one. */
  private before = 0;
  /** Some number is expected to be plain. */
  private mayBeOdd = false;

  constructor(region: Region, target: Target, imports: ImportList) {
    this.region = region;
    this.mode = target.mode;
    this.jumpSites = target.jumpSites;
    this.imports = imports;
    this.structure = structureOf(region.entries, (place) => region.blocks.get(place)!.successors);
    this.isNear = isNearEnough(region.pages.keys());
    this.onlyFrom = onlyPredecessors(region, this.structure.dispatched);
    this.cpuBase = target.cpuBase;
    this.tlb = target.tlb;
    this.readBit = (target.mode & COMPILED.user) !== 0 ? TLB.userRead : TLB.supervisorRead;
    this.windows = new Windows(this.code, this.readBit);
    const take = (): number => this.locals.fixed('i');
    const cpu = take();
    this.gpr = Array.from({ length: 8 }, take);
    this.flagResult = take();
    this.flagAux = take();
    this.pageEip = take();
    this.eip = take();
    this.status = take();
    this.next = take();
    this.how = take();
    this.flags = new PendingFlags([take(), take(), take(), take()]);
    this.fields = new FieldLocals(region, (type) => this.locals.fixed(type));
    this.fpu = new FpuStack((type) => this.locals.fixed(type), this);
    this.xmm = new XmmRegisters(region, (type) => this.locals.fixed(type));
    this.speculates = !region.isCareful;
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
    this.open.push({ kind: 'exit' }, { kind: 'bailed' }, { kind: 'odd' });
    this.node(this.structure.root);
    code.unreachable().end();
    this.open.pop();
    if (this.mayBeOdd) code.i32(this.region.id ?? 0).call(ODD);
    code.end();
    this.open.pop();
    this.bails();
    // What is used is known now: the prologue goes before.
    const whole = new Code().i32(this.cpuBase).set(frame.cpu);
    const load = (offset: number, to: number): Code => whole.get(frame.cpu).memory('i32.load', offset).set(to);
    for (const n of this.used) load(OFFSET.gpr + n * 8, this.gpr[n]!);
    load(OFFSET.flagResult, this.flagResult);
    load(OFFSET.flagAux, this.flagAux);
    load(OFFSET.pageEip, this.pageEip);
    this.fields.load(whole, frame.cpu);
    this.xmm.load(whole, frame.cpu);
    this.xmm.loadConstants(whole);
    if (this.region.entries.length > 1) entryNumber(whole, this.entrance).set(this.next);
    whole.block().block().block().append(code).end();
    const store = (offset: number, from: number): Code => whole.get(frame.cpu).get(from).memory('i32.store', offset);
    for (const n of this.written) store(OFFSET.gpr + n * 8, this.gpr[n]!);
    store(OFFSET.flagResult, this.flagResult);
    store(OFFSET.flagAux, this.flagAux);
    this.fields.store(whole, frame.cpu);
    this.xmm.store(whole, frame.cpu);
    whole.get(this.status).op('i32.eqz').if();
    const { eip: target, left, mode, next: jump, how: key } = this,
      tables = { regionType: REGION_TYPE, regions: REGIONS };
    goOn(whole, { cpu: frame.cpu, target, left, jump, key, mode, ...tables }, CHAIN);
    whole.end();
    store(OFFSET.eip, this.eip);
    store(OFFSET.instructionsLeft, this.left);
    whole.get(this.status);
    return { locals: locals.types, code: whole };
  }

  // --- structure

  private node(node: Node): void {
    const { code, open } = this;
    const isDispatcher = node.at === DISPATCHER,
      isLoop = isDispatcher ? this.structure.isDispatching : node.isLoop;
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
    const { usedEntries } = this;
    this.usedEntries = [];
    for (const child of node.children) {
      code.end();
      open.pop();
      this.node(child);
    }
    this.freeEntries.push(...usedEntries);
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
    const known = this.knownAt.get(this.onlyFrom.get(block.at) ?? Infinity);
    if (known === undefined) this.forget();
    else for (const restore of known) restore();
    this.before = 0;
    for (const placed of block.instructions) {
      this.current = placed;
      if (block.transfers && placed === block.instructions.at(-1)) this.fpu.settle();
      this.notePending();
      if (!this.instruction(placed)) return;
      this.before++;
    }
    // `before` counts the last instruction.
    this.before--;
    this.fpu.settle();
    this.knownAt.set(block.at, this.mark());
    if (neverGoesOn(block.instructions.at(-1)!.instruction)) return;
    const build = this.build(this.current, false);
    this.leave(build, 0, block.next, build.eipOf(block.next));
    this.locals.reset();
  }
  /** Nothing is known any more. */
  private forget(): void {
    for (const each of [this.flags, this.windows, this.fpu, this.xmm]) each.forget();
  }
  private mark(): Knowledge {
    return [this.flags, this.windows, this.fpu, this.xmm].map((each) => each.mark());
  }
  /** Which flags are pending now, for bails of the instruction that begins. */
  private notePending(): void {
    const { flags, pendings } = this;
    let known = pendings.get(flags.key);
    if (known === undefined) {
      known = { index: pendings.size, restore: flags.mark() };
      pendings.set(flags.key, known);
    }
    this.pendingIndex = known.index;
  }
  /** Where all bails come together. */
  private bails(): void {
    const { code, flags, pendings, how } = this;
    settleBail(code, this);
    code.i32(REGION.bail).set(this.status);
    const all = [...pendings.values()],
      depths = all.map((_, i) => i);
    code.block();
    for (let i = 0; i < all.length; i++) code.block();
    pendingOf(code, how).brTable(depths, depths[0]!);
    all.forEach(({ restore }, i) => {
      code.end();
      restore();
      flags.emitWords(this.build(this.current, false));
      this.locals.reset();
      if (i < all.length - 1) code.br(all.length - 1 - i);
    });
    code.end();
    code.br(this.depthOf((label) => label.kind === 'exit'));
  }
  private build(placed: Placed, flagsInPlace: boolean): RegionBuild {
    const { form } = placed.instruction;
    return new RegionBuild(this, [form, this.frame, this.locals, this.imports, this.code], placed, flagsInPlace);
  }
  /** False when the block ends before it. */
  private instruction(placed: Placed): boolean {
    const { code, locals } = this,
      { form } = placed.instruction;
    if (pageOf(placed.at + placed.instruction.length - 1) !== pageOf(placed.at)) {
      // The next page must still be the one that it was decoded from.
      code
        .get(this.pageEip)
        .i32((placed.at | 0xfff) + 1)
        .op('i32.add')
        .set(this.eip);
      this.isPage(pageOf(placed.at) + 1)
        .op('i32.eqz')
        .ifSeldom();
      this.bail(1);
      code.end();
    }
    const length = code.length,
      known = this.mark();
    let inPlace = setsFlagsConditionally.has(form);
    for (;;) {
      const build = this.build(placed, inPlace);
      try {
        if (inPlace) this.flags.settle(build);
        if (inPlace) this.flags.forget();
        meaning(build, form);
        locals.reset();
        return true;
      } catch (error) {
        if (error !== UNSUPPORTED && error !== CONDITIONAL_FLAGS) throw error;
        code.truncate(length);
        for (const restore of known) restore();
        locals.reset();
        if (error === UNSUPPORTED) {
          if (this.callHandler(placed)) return true;
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
    this.fpu.settle();
    this.locals.reset();
    const words: [number, number][] = gpr.map((local, n) => [OFFSET.gpr + n * 8, local]);
    words.push([OFFSET.flagResult, flagResult], [OFFSET.flagAux, flagAux]);
    gpr.forEach((_, n) => this.registerUsed(n, true));
    for (const [offset, local] of words) code.get(frame.cpu).get(local).memory('i32.store', offset);
    this.fields.storeAll(code, frame.cpu);
    this.xmm.store(code, frame.cpu);
    code
      .get(frame.cpu)
      .get(this.pageEip)
      .i32(at & ~0xfff)
      .op('i32.add')
      .memory('i32.store', OFFSET.pageEip);
    code.i32(found.record).i32(found.handler).callIndirect(HANDLER_TYPE, 0).tee(this.status);
    code.get(frame.cpu).memory('i32.load', OFFSET.exit).op('i32.or');
    code.get(frame.cpu).memory('i32.load', OFFSET.compiledMode).i32(this.mode).op('i32.ne').op('i32.or').ifSeldom();
    code.get(this.left).i32(this.before).op('i32.sub');
    code.get(this.pageEip).i32(at).op('i32.add').i32(instruction.length).get(this.status).returnCall(HANDLED).end();
    for (const [offset, local] of words) code.get(frame.cpu).memory('i32.load', offset).set(local);
    this.fields.load(code, frame.cpu);
    if (changesXmm(instruction)) this.xmm.load(code, frame.cpu);
    this.forget();
    return true;
  }

  // --- RegionFrame

  registerUsed(index: number, written: boolean): void {
    this.used.add(index);
    if (written) this.written.add(index);
  }
  takeEntry(): number {
    const local = this.freeEntries.pop() ?? this.locals.fixed('i');
    this.usedEntries.push(local);
    return local;
  }
  private spend(instructions: number): void {
    if (instructions > 0) this.code.get(this.left).i32(instructions).op('i32.sub').set(this.left);
  }
  bail(nest: number, isOdd = false): void {
    this.fpu.emitLate();
    if (isOdd) this.mayBeOdd = true;
    const { at } = this.current;
    if (!this.isNear) this.code.i32(at).set(this.eip);
    this.code.i32(bailWord(this.isNear ? at : 0, this.before, this.pendingIndex)).set(this.how);
    this.code.br(nest + this.depthOf((label) => label.kind === (isOdd ? 'odd' : 'bailed')));
  }
  stop(build: RegionBuild, nest: number, eip: Value): void {
    this.fpu.emitLate();
    this.flags.emitWords(build);
    this.spend(this.before + 1);
    build.keep(eip, this.eip);
    this.code.i32(REGION.next).set(this.status);
    this.code.br(nest + this.depthOf((label) => label.kind === 'exit'));
  }
  leave(build: RegionBuild, nest: number, to: Place | undefined, eip: Value): void {
    const { code } = this;
    this.fpu.emitLate();
    this.spend(this.before + 1);
    build.keep(eip, this.eip);
    if (to !== undefined && this.onlyFrom.get(to) === this.block.at) this.edge(nest, to);
    this.flags.emitWords(build);
    if (to !== undefined) {
      if (this.onlyFrom.get(to) !== this.block.at) this.edge(nest, to);
    } else {
      this.noteTarget();
      for (const place of this.block.guesses) {
        code.get(this.eip).get(this.pageEip).i32(place).op('i32.add').op('i32.eq').if();
        this.edge(nest + 1, place);
        code.end();
      }
    }
    code.br(nest + this.depthOf((label) => label.kind === 'exit'));
  }
  /** Notes where an indirect jump goes, among its last ones: which of them is replaced is as good as random. */
  private noteTarget(): void {
    const { at, instruction } = this.current,
      { region, code } = this;
    if (!region.mayWiden || !isIndirect(instruction)) return;
    code
      .get(this.left)
      .i32(JUMP_TARGETS - 1)
      .op('i32.and')
      .i32(2)
      .op('i32.shl')
      .get(this.eip);
    code.memory('i32.store', this.jumpSites + jumpSite(region.pages.get(pageOf(at))!.physical + (at & 0xfff)));
  }
  /** Pushes whether `eip` lies in this page of the region, as it was compiled, and may be executed there. */
  private isPage(n: number): Code {
    const { code, readBit } = this;
    code.get(this.eip).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and').memory('i32.load', this.tlb);
    code.get(this.eip).i32(-4096).op('i32.and').op('i32.add');
    code.i32(-4096 | readBit | TLB.noExecute).op('i32.and');
    return code.i32(this.region.pages.get(n)!.host | readBit).op('i32.eq');
  }
  /** Branches to a block of the region if there is one and the way there is open; else does nothing. `eip` is set. */
  private edge(nest: number, to: Place): void {
    const { code, structure, block } = this;
    const isStructured = block.successors.includes(to) && structure.isStructured(block.at, to),
      turn = structure.dispatched.indexOf(to);
    if (!block.successors.includes(to) || (!isStructured && turn < 0)) return;
    const isBack = !isStructured || structure.isBack(block.at, to);
    const isElsewhere = pageOf(to) !== pageOf(this.current.at);
    const kind = isStructured ? (isBack ? 'loop' : 'block') : 'dispatcher';
    let depth = nest + this.depthOf((label) => label.kind === kind && (!('at' in label) || label.at === to));
    if (!isStructured) code.i32(turn).set(this.next);
    if (isElsewhere) {
      // The page there must still be the one that was compiled.
      this.isPage(pageOf(to)).if();
      depth++;
    }
    if (isBack) {
      code.get(this.left).i32(0).op('i32.gt_s').brIf(depth);
    } else code.br(depth);
    if (isElsewhere) code.end();
  }
}
