/** Writes the function of a region, (left, entrance) -> REGION: its blocks as WebAssembly's, and the ways that leave it. */
import { meaning, type ImportList } from '../core/interpreter/generate.ts';
import { entryNumber, goOn } from '../core/interpreter/chain.ts';
import { REGION } from '../core/interpreter/record.ts';
import { Locals, type Frame, type Value } from '../core/interpreter/value.ts';
import { COMPILED, JUMP_TARGETS, OFFSET, TLB, jumpSite } from '../core/layout.ts';
import type { Form } from '../isa/model.ts';
import { Code } from '../wasm/module.ts';
import { OPEN_PENDING, bailWord, isNearEnough, pendingOf, settleBail } from './bail-word.ts';
import { FieldLocals } from './fields.ts';
import { blocksThatNeedWords, needsWords } from './flag-needs.ts';
import { FpuStack } from './fpu-stack.ts';
import { PendingFlags } from './pending-flags.ts';
import { PendingKinds } from './pending-kinds.ts';
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
import { CONDITIONAL_FLAGS, NEEDS_WORDS, UNSUPPORTED } from './unsupported.ts';
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
/** Types and tables of a module that its functions refer to (translate.ts). */
const HANDLER_TYPE = 0,
  REGION_TYPE = 1,
  REGIONS = 1;
/** The functions that every module imports first. */
const LOOK = 0,
  CHAIN = 1,
  HANDLED = 2,
  LOAD_SEGMENT = 3,
  ODD = 4;
/** How many they are. */
export const FIXED_IMPORTS = 5;

/** Forms whose flags depend on their operands, as they are found out. */
const setsFlagsConditionally = new WeakSet<Form>();

type Label =
  | { readonly kind: 'block' | 'loop'; readonly at: Place }
  | { readonly kind: 'dispatcher' | 'exit' | 'unsettled' | 'bailed' | 'odd' };

/** What is known at the end of a block, for those that only it leads to. */
type Knowledge = readonly (() => void)[];

export class RegionWriter implements RegionFrame {
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
  /** Which flags are pending, where that depends on how control came. */
  private readonly pending: number;
  private readonly pendings: PendingKinds;
  private pendingIndex = 0;
  private readonly needingWords: ReadonlySet<Place>;
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

  constructor(region: Region, target: Target, imports: ImportList, needingWords: ReadonlySet<Place>) {
    this.region = region;
    this.mode = target.mode;
    this.jumpSites = target.jumpSites;
    this.imports = imports;
    this.structure = structureOf(region.entries, (place) => region.blocks.get(place)!.successors);
    this.isNear = isNearEnough(region.pages.keys());
    this.onlyFrom = onlyPredecessors(region, this.structure.dispatched);
    this.needingWords = blocksThatNeedWords(region.blocks, needingWords);
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
    this.pending = take();
    this.flags = new PendingFlags([take(), take(), take(), take()]);
    this.pendings = new PendingKinds(this.flags);
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
    this.open.push({ kind: 'exit' }, { kind: 'unsettled' }, { kind: 'bailed' }, { kind: 'odd' });
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
    whole.block().block().block().block().append(code).end();
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
  /** The block that is being written, and those that it knows from what is known at its begin. */
  *chain(): Iterable<Place> {
    for (let at: Place | undefined = this.block.at; at !== undefined; at = this.onlyFrom.get(at)) yield at;
  }
  private depthOf(matches: (label: Label) => boolean): number {
    for (let i = this.open.length - 1; i >= 0; i--) if (matches(this.open[i]!)) return this.open.length - 1 - i;
    throw new Error('a jump to what is not around it');
  }
  private body(block: Block): void {
    this.block = block;
    const known = this.knownAt.get(this.onlyFrom.get(block.at) ?? Infinity);
    if (known === undefined) {
      this.forget();
      if (!this.needingWords.has(block.at)) this.flags.open();
    } else for (const restore of known) restore();
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
    this.notePending();
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
  /** For bails of the instruction that begins, and for what follows behind the last one. */
  private notePending(): void {
    const { flags, pendings } = this;
    if (!pendings.hasRoom) flags.settle(this.build(this.current, false));
    this.pendingIndex = pendings.now();
  }
  /** Where all bails come together; and then all that leave the region with flags of which a local says what they are. */
  private bails(): void {
    const { code, how, pending } = this;
    settleBail(code, this);
    code.i32(REGION.bail).set(this.status);
    code.get(pending);
    pendingOf(code, how);
    pendingOf(code, how).i32(OPEN_PENDING).op('i32.eq').select().set(pending).end();
    this.open.pop();
    this.pendings.emitWords(code, pending, () => {
      this.flags.emitWords(this.build(this.current, false));
      this.locals.reset();
    });
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
        if (error === NEEDS_WORDS) needsWords(form);
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
    if (this.flags.key === undefined) {
      needsWords(instruction.form);
      throw NEEDS_WORDS;
    }
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
    this.spend(this.before + 1);
    build.keep(eip, this.eip);
    this.code.i32(REGION.next).set(this.status);
    this.exit(build, nest);
  }
  /** Leaves for what is in `status` and `eip`, with the flags' words in place. */
  private exit(build: RegionBuild, nest: number): void {
    const isOpen = this.flags.key === undefined;
    if (!isOpen) this.flags.emitWords(build);
    this.code.br(nest + this.depthOf((label) => label.kind === (isOpen ? 'unsettled' : 'exit')));
  }
  leave(build: RegionBuild, nest: number, to: Place | undefined, eip: Value): void {
    const { code } = this;
    this.fpu.emitLate();
    this.spend(this.before + 1);
    build.keep(eip, this.eip);
    if (to !== undefined) this.edge(build, nest, to);
    else {
      this.noteTarget();
      const { guesses } = this.block;
      if (guesses.some((place) => this.needingWords.has(place))) this.flags.settle(build);
      for (const place of guesses) {
        code.get(this.eip).get(this.pageEip).i32(place).op('i32.add').op('i32.eq').if();
        this.edge(build, nest + 1, place);
        code.end();
      }
    }
    this.exit(build, nest);
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
  private edge(build: RegionBuild, nest: number, to: Place): void {
    const { code, structure, block } = this;
    const isStructured = block.successors.includes(to) && structure.isStructured(block.at, to),
      turn = structure.dispatched.indexOf(to);
    if (!block.successors.includes(to) || (!isStructured && turn < 0)) return;
    const isBack = !isStructured || structure.isBack(block.at, to);
    const isElsewhere = pageOf(to) !== pageOf(this.current.at);
    const kind = isStructured ? (isBack ? 'loop' : 'block') : 'dispatcher';
    let depth = nest + this.depthOf((label) => label.kind === kind && (!('at' in label) || label.at === to));
    if (this.onlyFrom.get(to) !== block.at) {
      if (this.needingWords.has(to)) this.flags.emitWords(build);
      else if (this.flags.key !== undefined) code.i32(this.pendings.now()).set(this.pending);
    }
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
