/** A profile's samples as a tree of calls, and as a list of functions. */
import { functionOf, type Profile, type ProfiledStack, type Symbols } from '@tomei/guest';

/** What a place belongs to; a colour of the graph each. */
export type PlaceKind = 'root' | 'kernel' | 'user' | 'unknown';
export interface CallNode {
  readonly name: string;
  readonly kind: PlaceKind;
  /** Guest time here and in what was called from here, in milliseconds. */
  readonly ms: number;
  /** The longest first. */
  readonly children: readonly CallNode[];
}
export interface HotFunction {
  readonly name: string;
  readonly kind: PlaceKind;
  /** Time in it, and with what it called, in milliseconds. A function that calls itself counts once. */
  readonly selfMs: number;
  readonly totalMs: number;
}

const USER = 3;
const hex = (n: number): string => n.toString(16).padStart(8, '0');
/** Code without a name is told apart by pages. */
const PAGE = 0xfff;

interface Frame {
  readonly name: string;
  readonly kind: PlaceKind;
}
/** The first of these that has a name for an address gives it. */
export type SymbolSources = readonly Symbols[];
function nameIn(sources: SymbolSources, address: number): string | undefined {
  for (const symbols of sources) {
    const name = functionOf(symbols, address);
    if (name !== undefined) return name;
  }
  return undefined;
}
/** Frames of a stack, the outermost first: ring, process of user code, functions. */
function framesOf({ addresses, ring, space }: ProfiledStack, sources: SymbolSources): Frame[] {
  const kind = ring === USER ? 'user' : 'kernel';
  const roots: Frame[] = [{ name: ring === 0 ? 'kernel' : ring === USER ? 'user' : `ring ${ring}`, kind }];
  if (space !== 0) roots.push({ name: `process ${hex(space)}`, kind });
  const functions = addresses.map((address, i): Frame => {
    // A return address may be the first of the function behind the call.
    const name = nameIn(sources, i === 0 ? address : address - 1);
    return name === undefined ? { name: `${hex((address & ~PAGE) >>> 0)}..`, kind: 'unknown' } : { name, kind };
  });
  return [...roots, ...functions.toReversed()];
}

interface GrowingNode extends Frame {
  ms: number;
  readonly children: Map<string, GrowingNode>;
}
/** The whole profile under one root. */
export function callTree({ stacks }: Profile, sources: SymbolSources): CallNode {
  const root: GrowingNode = { name: 'all', kind: 'root', ms: 0, children: new Map() };
  for (const stack of stacks) {
    let node = root;
    node.ms += stack.ms;
    for (const frame of framesOf(stack, sources)) {
      const known = node.children.get(frame.name),
        next: GrowingNode = known ?? { ...frame, ms: 0, children: new Map() };
      if (known === undefined) node.children.set(frame.name, next);
      next.ms += stack.ms;
      node = next;
    }
  }
  const finished = ({ name, kind, ms, children }: GrowingNode): CallNode => ({
    ...{ name, kind, ms },
    children: [...children.values()].map(finished).toSorted((a, b) => b.ms - a.ms),
  });
  return finished(root);
}

/** Functions by the time in themselves, the hottest first. */
export function hotFunctions({ stacks }: Profile, sources: SymbolSources): HotFunction[] {
  const found = new Map<string, { -readonly [K in keyof HotFunction]: HotFunction[K] }>();
  for (const stack of stacks) {
    const roots = stack.space === 0 ? 1 : 2,
      functions = framesOf(stack, sources).slice(roots),
      seen = new Set<string>();
    functions.forEach(({ name, kind }, i) => {
      // A page of one process is not the page of another.
      const key = kind === 'unknown' ? `${stack.space}:${name}` : name;
      const entry = found.get(key) ?? { name, kind, selfMs: 0, totalMs: 0 };
      found.set(key, entry);
      if (!seen.has(key)) entry.totalMs += stack.ms;
      seen.add(key);
      if (i === functions.length - 1) entry.selfMs += stack.ms;
    });
  }
  return [...found.values()].toSorted((a, b) => b.selfMs - a.selfMs || b.totalMs - a.totalMs);
}
