/**
 * A region: decoded 32-bit code around places where control lands often, as a graph of blocks. It grows along direct branches, calls
 * and their returns, over pages too, as far as code has been decoded, which is to say has been executed or lies beside what has been.
 */
import { ENTRY_BITS } from '../core/interpreter/record.ts';
import { MAX_LENGTH, type Decoder, type Instruction, type NoInstruction } from '../isa/decode.ts';

/** What a region is made from. */
export interface CodeSource {
  /**
   * The bytes of a linear page that the TLB allows to execute now and whose code is decoded, with its guest-physical address; undefined
   * otherwise.
   */
  page(linear: number): CodePage | undefined;
  /** A doubleword at a linear address that the TLB allows to read now; undefined otherwise. */
  word(linear: number): number | undefined;
  /** How often control has landed on the instruction at a guest-physical address; -1 when it has not even been decoded. */
  landings(physical: number): number;
  /** Offsets in a guest-physical page on which control has landed, the most frequent first. */
  landed(physical: number): readonly number[];
  /** Where the indirect jump or call at a guest-physical address went of late: linear addresses, the likeliest first. */
  jumped(physical: number): readonly number[];
  /** Where a branch has landed less often, the region does not follow it. */
  readonly fewestLandings: number;
  /** Whether compiled code begins at a guest-physical address, or has been asked for there. */
  isEntry(physical: number): boolean;
  /** Whether compiled code has been asked for at a guest-physical address together with this region, which may have it as an entry. */
  isWanted(physical: number): boolean;
}
/**
 * How far a region goes. Most code that runs often does not run that often: a narrow region ends at calls, and where other compiled
 * code begins, so that nothing is compiled twice. A wide one takes in what it calls, for the few places where control comes by again and
 * again. Where others have been asked for at the same time, a narrow region goes on, and can be entered there too: behind a call, for
 * one, so that what belongs together is compiled together, and most ways lie within it.
 */
export type Width = 'narrow' | 'wide';
export interface CodePage {
  readonly bytes: Uint8Array;
  readonly physical: number;
  /** Where it lies in linear memory. */
  readonly host: number;
  /** Whether the instruction at an offset had been decoded when `bytes` were taken: writing to others forgets nothing. */
  isDecoded(offset: number): boolean;
  /** How often what was decoded there had been forgotten. */
  readonly generation: number;
  /** The interpreter's handler and record of the instruction at an offset, if it is a handler that can be called. */
  handlerAt(offset: number): { readonly record: number; readonly handler: number } | undefined;
  /** The page of the instruction at an offset which reaches into the next page, if its bytes there count as decoded too. */
  crossingAt(offset: number): { readonly physical: number; readonly generation: number } | undefined;
}

/** Places are offsets from the first byte of the entry's page; pages before it have negative ones. */
export type Place = number;
export const pageOf = (place: Place): number => place >> 12;

export interface Placed {
  readonly at: Place;
  readonly instruction: Instruction;
}
export interface Block {
  readonly at: Place;
  readonly instructions: readonly Placed[];
  /** Where control goes on when the last instruction does not transfer: the next block, or what is not in the region. */
  readonly next: Place;
  /** The last instruction may transfer. */
  readonly transfers: boolean;
  /** Where an indirect jump at the end may go: its target is compared with these, the likeliest first. */
  readonly guesses: readonly Place[];
  /** Blocks of the region to which control may go, each once. */
  readonly successors: readonly Place[];
}
export interface Region {
  /** Where it can be entered, first the one that it was asked for; all in one page. */
  readonly entries: readonly [Place, ...Place[]];
  readonly blocks: ReadonlyMap<Place, Block>;
  /** Pages by number, the entry's is 0. */
  readonly pages: ReadonlyMap<number, CodePage>;
  /** A wide one would be larger. */
  readonly mayWiden: boolean;
  /** Numbers in it have been odd: each operation looks at its own (number-build.ts). */
  readonly isCareful?: boolean;
  /** What it calls itself where it is left for an odd number. */
  readonly id?: number;
}
/** The guest-physical addresses of a region's entries. */
export const entriesOf = ({ pages, entries }: Region): readonly number[] =>
  entries.map((entry) => pages.get(pageOf(entry))!.physical + (entry & 0xfff));

/** Bounds of a region: code that is larger is better served by several. */
const MOST_INSTRUCTIONS: Readonly<Record<Width, number>> = { narrow: 100, wide: 400 };
const MOST_ENTRIES = 1 << ENTRY_BITS,
  MOST_BLOCKS = 64,
  MOST_PAGES = 8,
  MOST_RETURNS = 6,
  MOST_GUESSES = 12,
  MOST_TABLE = 256,
  MOST_NEIGHBOURS = 6,
  NEAR = 1024;

/** Direct branches, with where they go. */
function target({ at, instruction }: Placed): Place | undefined {
  const isDirect = instruction.form.row.operands[0]?.kind === 'rel' && instruction.form.size === 32;
  return isDirect ? at + instruction.length + instruction.immediate : undefined;
}
/** The table of an operand [table + index * 4]; undefined for any other. */
function tableOf({ memory }: Instruction): number | undefined {
  const isTable = memory !== null && memory.base < 0 && memory.index >= 0 && memory.scale === 2;
  return isTable ? memory.displacement >>> 0 : undefined;
}
const isLoad = ({ form }: Instruction): boolean => form.row.encoding === '8B /r' && form.size === 32;
const isIndirectJump = ({ form }: Instruction): boolean => form.row.encoding === 'FF /4' && form.size === 32;
const isIndirectCall = ({ form }: Instruction): boolean => form.row.encoding === 'FF /2' && form.size === 32;
/** Whether an instruction that is left to the interpreter may change XMM registers. */
export const changesXmm = ({ form }: Instruction): boolean => ['sse', 'sse-mmx', 'fxsr'].includes(form.row.unit ?? '');
/** Jumps and calls whose targets are worth to be noted, for a wider region that knows them. */
export const isIndirect = (insn: Instruction): boolean => isIndirectJump(insn) || isIndirectCall(insn);
const isCall = (insn: Instruction): boolean => insn.form.row.mnemonic === 'call';
const isReturn = (insn: Instruction): boolean => insn.form.row.mnemonic === 'ret';
/** Conditional ones go on behind themselves too. */
const fallsThrough = (insn: Instruction): boolean => {
  const { row } = insn.form;
  return (
    row.transfers !== true || (row.operands[0]?.kind === 'rel' && row.mnemonic !== 'jmp' && row.mnemonic !== 'call')
  );
};

/** Others that transfer may go on behind themselves: INTO does, most of the time. */
export const neverGoesOn = ({ form }: Instruction): boolean =>
  form.row.transfers === true && ['jmp', 'call', 'ret'].includes(form.row.mnemonic);

/** Finds the region around `linear`; undefined when its first instruction cannot be decoded from one page. */
export function findRegion(linear: number, decoder: Decoder, source: CodeSource, width: Width): Region | undefined {
  const origin = (linear & ~0xfff) >>> 0;
  const pages = new Map<number, CodePage>();
  const refused = new Set<number>();
  const pageAt = (place: Place): CodePage | undefined => {
    const n = pageOf(place);
    const known = pages.get(n);
    if (known !== undefined || refused.has(n)) return known;
    const address = origin + n * 4096;
    const found = pages.size < MOST_PAGES && address >= 0 && address < 2 ** 32 ? source.page(address) : undefined;
    if (found === undefined) refused.add(n);
    else pages.set(n, found);
    return found;
  };
  let mayWiden = false;
  const decoded = new Map<Place, Placed>();
  const decode = (at: Place): Placed | undefined => {
    const known = decoded.get(at);
    if (known !== undefined) return known;
    const page = pageAt(at);
    if (page === undefined || !page.isDecoded(at & 0xfff)) return undefined;
    if (decoded.size >= MOST_INSTRUCTIONS[width]) {
      mayWiden = width === 'narrow';
      return undefined;
    }
    const found = decoder.decode(page.bytes, at & 0xfff, 4096, true);
    const instruction = found === 'need-more' ? decodeAcross(at, page) : found;
    if (typeof instruction === 'string') return undefined;
    const placed = { at, instruction };
    decoded.set(at, placed);
    return placed;
  };

  function decodeAcross(at: Place, page: CodePage): Instruction | NoInstruction {
    const second = pageAt((at | 0xfff) + 1),
      crossing = page.crossingAt(at & 0xfff);
    const isSame = second !== undefined && second.physical === crossing?.physical;
    if (!isSame || second.generation !== crossing.generation) return 'need-more';
    const rest = 4096 - (at & 0xfff),
      bytes = new Uint8Array(rest + MAX_LENGTH);
    bytes.set(page.bytes.subarray(at & 0xfff));
    bytes.set(second.bytes.subarray(0, MAX_LENGTH), rest);
    return decoder.decode(bytes, 0, bytes.length, true);
  }
  // First the places where blocks begin, breadth first, so that what lies close to the entry is in.
  const entry = linear & 0xfff;
  const leaders = new Set<Place>([entry]);
  const returns: Place[] = [];
  const wanted: Place[] = [entry];
  const guesses = new Map<Place, readonly Place[]>();
  const entries: [Place, ...Place[]] = [entry];
  /** Whether a place becomes another entry. */
  const joins = (place: Place): boolean =>
    width === 'narrow' &&
    pageOf(place) === 0 &&
    entries.length < MOST_ENTRIES &&
    leaders.size < MOST_BLOCKS &&
    !leaders.has(place) &&
    source.isWanted(pageAt(place)!.physical + place);
  const join = (place: Place): void => {
    entries.push(place);
    leaders.add(place);
    wanted.push(place);
  };
  /** Whether a narrow region ends before a place. */
  const ends = (place: Place): boolean => {
    const page = width === 'narrow' && !entries.includes(place) ? pageAt(place) : undefined;
    if (page === undefined || !source.isEntry(page.physical + (place & 0xfff))) return false;
    mayWiden = true;
    return true;
  };
  const visit = (place: Place, fewest: number): void => {
    if (joins(place)) return join(place);
    if (leaders.has(place) || leaders.size >= MOST_BLOCKS || ends(place)) return;
    const page = pageAt(place);
    if (page === undefined || source.landings(page.physical + (place & 0xfff)) < fewest) return;
    leaders.add(place);
    wanted.push(place);
  };
  /** Where an indirect jump or call went, as far as control has landed there often enough. */
  function learned(at: Place): readonly Place[] {
    const page = pageAt(at)!;
    const found = source
      .jumped(page.physical + (at & 0xfff))
      .map((linear) => linear - origin)
      .slice(0, MOST_GUESSES);
    for (const place of found) visit(place, 0);
    return found;
  }
  /** Places close to an indirect jump that control lands on: threaded code jumps about among them. */
  function neighbours(at: Place): readonly Place[] {
    const page = pageAt(at)!,
      first = at & ~0xfff;
    const found = source
      .landed(page.physical)
      .map((offset) => first + offset)
      .filter((place) => Math.abs(place - at) < NEAR)
      .slice(0, MOST_NEIGHBOURS);
    for (const place of found) visit(place, 0);
    return found;
  }
  /** Where a table leads to that control has landed on before, the likeliest first. */
  function tableTargets(table: number): readonly Place[] {
    const found = new Map<Place, number>();
    for (let n = 0; n < MOST_TABLE; n++) {
      const linear = source.word(table + n * 4);
      const place = linear === undefined ? 0 : linear - origin;
      const page = linear === undefined ? undefined : pageAt(place);
      // Behind its end.
      if (page === undefined) break;
      const landings = source.landings(page.physical + (place & 0xfff));
      if (landings > 0 && landings >= source.fewestLandings) found.set(place, landings);
    }
    const likeliest = [...found].sort(([, a], [, b]) => b - a).slice(0, MOST_GUESSES);
    for (const [place] of likeliest) visit(place, 0);
    return likeliest.map(([place]) => place);
  }
  for (let place = wanted.shift(); place !== undefined; place = wanted.shift()) {
    const loaded = new Map<number, number | undefined>();
    for (let at = place; ;) {
      const placed = decode(at);
      if (placed === undefined) break;
      const { instruction } = placed,
        to = target(placed);
      const behind = at + instruction.length;
      if (width === 'narrow' && isCall(instruction)) {
        mayWiden = true;
        if (joins(behind)) join(behind);
        break;
      }
      if (to !== undefined) visit(to, source.fewestLandings);
      if (isIndirectCall(instruction)) guesses.set(at, learned(at));
      const isFollowed =
        to === undefined ? (guesses.get(at)?.some((place) => leaders.has(place)) ?? false) : leaders.has(to);
      if (isCall(instruction) && isFollowed && returns.length < MOST_RETURNS) {
        if (!returns.includes(behind)) returns.push(behind);
        visit(behind, 0);
      }
      const table = tableOf(instruction);
      if (isLoad(instruction)) loaded.set(instruction.reg, table);
      if (isIndirectJump(instruction)) {
        // JMP through a table, or through a register that was loaded from one: a guess, which the code compares.
        const from = instruction.memory === null ? loaded.get(instruction.rm) : table;
        const known = from === undefined ? learned(at) : tableTargets(from);
        guesses.set(at, known.length > 0 || from !== undefined ? known : neighbours(at));
        // What is noted of a narrow one's jumps serves a wide one.
        mayWiden ||= width === 'narrow' && from === undefined;
      }
      if (!fallsThrough(instruction)) break;
      if (to !== undefined) {
        visit(behind, 0);
        break;
      }
      if (pageOf(behind) !== pageOf(at)) {
        // Whether the next page is still the same is looked at where control comes to it.
        visit(behind, 0);
        break;
      }
      at = behind;
      if (joins(at)) join(at);
      if (leaders.has(at) || ends(at)) break;
    }
  }

  const blocks = new Map<Place, Block>();
  for (const leader of leaders) {
    const instructions: Placed[] = [];
    let at = leader;
    let transfers = false;
    while (!transfers && (at === leader || !(leaders.has(at) || ends(at))) && pageOf(at) === pageOf(leader)) {
      const placed = decoded.get(at);
      if (placed === undefined) break;
      instructions.push(placed);
      transfers = placed.instruction.form.row.transfers === true;
      at += placed.instruction.length;
    }
    if (instructions.length > 0)
      blocks.set(leader, { at: leader, instructions, next: at, transfers, successors: [], guesses: [] });
  }
  if (!blocks.has(entry)) return undefined;
  const known = returns.filter((place) => blocks.has(place));
  for (const [place, block] of blocks) {
    const last = block.instructions.at(-1)!;
    const to = target(last);
    const guessed = (guesses.get(last.at) ?? []).filter((each) => blocks.has(each));
    const all = [
      ...guessed,
      ...(to === undefined ? [] : [to]),
      ...(fallsThrough(last.instruction) ? [block.next] : []),
      ...(isReturn(last.instruction) ? known : []),
    ].filter((each, i, list) => blocks.has(each) && list.indexOf(each) === i);
    blocks.set(place, { ...block, successors: all, guesses: isReturn(last.instruction) ? known : guessed });
  }
  const [first, ...others] = entries;
  return { entries: [first, ...others.filter((place) => blocks.has(place))], blocks, pages, mayWiden };
}
