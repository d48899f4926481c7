/**
 * Status flags as what they come from: the last operation and its operands, in locals. Most are never asked for; a condition is one
 * comparison of the operands; and where compiled code is left they become the two words that the interpreter has (core/layout.ts).
 */
import type { Size, StatusFlag } from '../isa/build.ts';
import type { Value } from '../core/interpreter/value.ts';
import { follow, recipeOf, type Recipe } from './recipe.ts';
import type { RegionBuild } from './region-build.ts';
import { NEEDS_WORDS } from './unsupported.ts';

/** C, O and A of an operation that says so itself: of `result`, `x` and `y`. */
interface Given {
  readonly carry: Recipe;
  readonly overflow: Recipe;
  readonly adjust: Recipe;
}
/** C, and O where it is there, that were changed by themselves since (INC and DEC keep C, rotates change both): of `apart`. */
interface Apart {
  readonly value: Value;
  readonly carry: Recipe;
  readonly overflow: Recipe | undefined;
}
interface Pending {
  /** 'given': by `given`. 'words': the two words have all but what is apart. */
  readonly kind: 'add' | 'sub' | 'logic' | 'given' | 'words';
  readonly size: Size;
  /** `result` is just x op y, without a carry that came in. */
  readonly pure: boolean;
  readonly given?: Given;
  apart?: Apart;
  /** The two words hold it as well. */
  settled: boolean;
}
const ITSELF: Recipe = { text: '$0', leaf: 0 };

export class PendingFlags {
  private pending: Pending | undefined;
  /** What is pending depends on the way by which control came; a local of the function says what it is. */
  private isOpen = false;
  private readonly result: Value;
  private readonly x: Value;
  private readonly y: Value;
  private readonly apart: Value;

  /** Four locals of the function's own. */
  constructor(locals: readonly [result: number, x: number, y: number, apart: number]) {
    const value = (local: number): Value => ({ type: 'i', local });
    [this.result, this.x, this.y, this.apart] = [
      value(locals[0]),
      value(locals[1]),
      value(locals[2]),
      value(locals[3]),
    ];
  }

  /** What is known, to come back to when the code that was emitted since is taken back. */
  mark(): () => void {
    const { pending, isOpen } = this,
      copy = pending === undefined ? undefined : { ...pending };
    return () => {
      this.pending = copy === undefined ? undefined : { ...copy };
      this.isOpen = isOpen;
    };
  }
  /** Equal where the same code makes the two words of what is pending; undefined where that depends on how control came. */
  get key(): string | undefined {
    if (this.isOpen) return undefined;
    const { pending } = this;
    if (pending === undefined || pending.settled) return '';
    const { kind, size, given, apart } = pending;
    const recipes = [given?.carry, given?.overflow, given?.adjust, apart?.carry, apart?.overflow];
    return `${kind} ${size} ${recipes.map((recipe) => recipe?.text ?? '').join(' ')}`;
  }
  /** The two words hold what counts. */
  forget(): void {
    this.pending = undefined;
    this.isOpen = false;
  }
  /** What is pending depends on how control came here. Nothing may look at flags before they are set. */
  open(): void {
    this.pending = undefined;
    this.isOpen = true;
  }
  set(b: RegionBuild, kind: 'add' | 'sub' | 'logic', size: Size, result: Value, x: Value, y: Value): void {
    const pure = kind === 'logic' || b.comesFrom(result, kind === 'add' ? 'i32.add' : 'i32.sub', x, y);
    b.keep(result, this.result.local!);
    if (kind !== 'logic') {
      b.keep(x, this.x.local!);
      b.keep(y, this.y.local!);
    }
    this.pending = { kind, size, pure, settled: false };
    this.isOpen = false;
  }
  /** S, Z and P of a result, and how the others come about. False when they are to be computed at once. */
  setGiven(b: RegionBuild, size: Size, result: Value, others: readonly [C: Value, O: Value, A: Value]): boolean {
    const leaves = [result];
    const sources = { leaves, mostLeaves: 3, originOf: b.originOf, isPassing: this.isPassing };
    const [carry, overflow, adjust] = others.map((value) => recipeOf(value, sources));
    if (carry === undefined || overflow === undefined || adjust === undefined) return false;
    [this.result, this.x, this.y].forEach(({ local }, i) => {
      if (leaves[i] !== undefined) b.keep(leaves[i], local!);
    });
    this.pending = { kind: 'given', size, pure: false, given: { carry, overflow, adjust }, settled: false };
    this.isOpen = false;
    return true;
  }
  /** C alone changes. */
  setCarry(b: RegionBuild, value: Value): void {
    const pending = this.known();
    // What was said of O stays.
    if (pending?.apart?.overflow !== undefined) this.settle(b);
    const leaves: Value[] = [];
    const recipe = recipeOf(value, { leaves, mostLeaves: 1, originOf: b.originOf, isPassing: this.isPassing });
    // What comes from more than one value, or from the flags before, is kept itself.
    const apart: Apart =
      recipe === undefined || leaves.length === 0
        ? { value, carry: ITSELF, overflow: undefined }
        : { value: leaves[0]!, carry: recipe, overflow: undefined };
    b.keep(apart.value, this.apart.local!);
    if (pending === undefined || pending.settled)
      this.pending = { kind: 'words', size: 32, pure: false, apart, settled: false };
    else pending.apart = apart;
  }
  /** O alone changes, behind C of the same instruction. False when the words have to be changed. */
  setOverflow(b: RegionBuild, value: Value): boolean {
    const { apart } = this.known() ?? {};
    if (apart === undefined) return false;
    const sources = { leaves: [apart.value], mostLeaves: 1, originOf: b.originOf, isPassing: this.isPassing };
    const overflow = recipeOf(value, sources);
    if (overflow === undefined) return false;
    this.pending!.apart = { ...apart, overflow };
    return true;
  }
  /** Locals of the flags change with the next ones that are set. */
  private readonly isPassing = ({ local }: Value): boolean =>
    [this.result, this.x, this.y, this.apart].some((each) => each.local === local);

  /** Makes the two words hold the flags, at this point of the code; what is known stays known. */
  emitWords(b: RegionBuild): void {
    const pending = this.known();
    if (pending === undefined || pending.settled) return;
    const { kind, size, given, apart } = pending,
      { result, x, y } = this;
    if (kind === 'given') {
      const of = (recipe: Recipe): Value => this.follow(b, recipe, [result, x, y]);
      b.placeFlagsWith(size, result, of(given!.carry), of(given!.overflow), of(given!.adjust));
    } else if (kind !== 'words') b.placeFlags(kind, size, result, x, y);
    if (apart === undefined) return;
    b.placeFlag('C', this.follow(b, apart.carry, [this.apart]));
    if (apart.overflow !== undefined) b.placeFlag('O', this.follow(b, apart.overflow, [this.apart]));
  }
  private follow(b: RegionBuild, recipe: Recipe, leaves: readonly Value[]): Value {
    return follow(recipe, leaves, (name, args) => b.op(name, args));
  }
  /** The same, on a path that all that follows comes from. */
  settle(b: RegionBuild): void {
    this.emitWords(b);
    if (this.pending !== undefined) this.pending.settled = true;
  }

  /** A flag as 0 or 1; undefined when the two words have it. */
  flag(b: RegionBuild, flag: StatusFlag): Value | undefined {
    const pending = this.known();
    if (pending === undefined) return undefined;
    if (flag === 'C') return this.carryOf(b, pending) ?? this.words(b);
    if (pending.kind === 'words') return this.words(b);
    if (flag === 'Z') return b.op('i32.eqz', [this.narrowed(b, pending)]);
    if (flag === 'S') return b.op('i32.shr_u', [this.signed(b, pending, this.result), b.imm(31)]);
    return this.words(b);
  }
  /** As `flag`, for a condition code. */
  condition(b: RegionBuild, code: number): Value | undefined {
    const pending = this.known();
    if (pending === undefined) return undefined;
    const value = this.compared(b, pending, code >> 1);
    if (value === undefined) return this.words(b);
    return (code & 1) === 0 ? value : b.op('i32.eqz', [value]);
  }

  /** What is pending, of what looks at it. */
  private known(): Pending | undefined {
    if (this.isOpen) throw NEEDS_WORDS;
    return this.pending;
  }
  private words(b: RegionBuild): undefined {
    if (b.depth === 0) this.settle(b);
    else this.emitWords(b);
    return undefined;
  }
  private carryOf(b: RegionBuild, { kind, size, pure, given, apart }: Pending): Value | undefined {
    if (apart !== undefined) return b.copy(this.follow(b, apart.carry, [this.apart]));
    if (kind === 'given') return b.copy(this.follow(b, given!.carry, [this.result, this.x, this.y]));
    if (kind === 'logic') return b.imm(0);
    if (!pure) return undefined;
    if (kind === 'sub') return b.op('i32.lt_u', [this.x, this.y]);
    return size === 32 ? b.op('i32.lt_u', [this.result, this.x]) : undefined;
  }
  /** The conditions o, b, z, be, s, p, l, le by their number halved. */
  private compared(b: RegionBuild, pending: Pending, which: number): Value | undefined {
    const { kind, pure, apart } = pending;
    const isSub = kind === 'sub' && pure && apart === undefined,
      isLogic = kind === 'logic' && apart === undefined;
    const signed = (v: Value): Value => this.signed(b, pending, v);
    if (kind === 'words' && which !== 1) return undefined;
    switch (which) {
      case 1:
        return this.carryOf(b, pending);
      case 2:
        return b.op('i32.eqz', [this.narrowed(b, pending)]);
      case 3:
        if (isSub) return b.op('i32.le_u', [this.x, this.y]);
        return isLogic ? b.op('i32.eqz', [this.narrowed(b, pending)]) : undefined;
      case 4:
        return b.op('i32.shr_u', [signed(this.result), b.imm(31)]);
      case 6:
        if (isSub) return b.op('i32.lt_s', [signed(this.x), signed(this.y)]);
        return isLogic ? b.op('i32.lt_s', [signed(this.result), b.imm(0)]) : undefined;
      case 7:
        if (isSub) return b.op('i32.le_s', [signed(this.x), signed(this.y)]);
        return isLogic ? b.op('i32.le_s', [signed(this.result), b.imm(0)]) : undefined;
      default:
        return undefined;
    }
  }
  private narrowed(b: RegionBuild, { size }: Pending): Value {
    return size === 32 ? this.result : b.op('i32.and', [this.result, b.imm(size === 8 ? 0xff : 0xffff)]);
  }
  private signed(b: RegionBuild, { size }: Pending, v: Value): Value {
    return size === 32 ? v : b.op(size === 8 ? 'i32.extend8_s' : 'i32.extend16_s', [v]);
  }
}
