/** What x87 instructions share: the register stack, its faults, and how exceptions are reported (SDM vol. 1, 8.1 and 8.5). */
import type { Build, Number80, Rounding } from './build.ts';
import { add, addImm, and, andImm, bit, eqz, not, or } from './ops.ts';
import { C1, C1_SHIFT, flagsOf, numberAt, putNumber, takes, type Narrowed, type Quick } from './x87-quick.ts';

/** Status word: exception flags (their masks have the same places in the control word), stack fault, summary, conditions, busy. */
export const IE = 0x01,
  DE = 0x02,
  ZE = 0x04,
  OE = 0x08,
  UE = 0x10,
  PE = 0x20,
  SF = 0x40,
  ES = 0x80;
export { C1 };
export const C0 = 0x100,
  C2 = 0x400,
  C3 = 0x4000,
  BUSY = 0x8000;
const EXCEPTIONS = 0x3f;
/** All condition codes. */
export const CONDITION_CODES = C0 | C1 | C2 | C3;
/** Not comparable; also what a comparison with an empty register gives. */
export const UNORDERED = C0 | C2 | C3;
/** What stack faults set: C1 tells a full stack from an empty register (SDM vol. 1, 8.5.1.1). */
const UNDERFLOW = IE | SF,
  OVERFLOW = IE | SF | C1;
/** Exceptions that, unmasked, leave registers as they are; a store to memory is also prevented by overflow and underflow. */
const BEFORE_RESULT = IE | DE | ZE,
  BEFORE_STORE = IE | DE | ZE | OE | UE;

/** The physical register that ST(i) is. */
export const physical = <V>(b: Build<V>, i: V): V => andImm(b, add(b, b.get('fpuTop'), i), 7);
export const st = <V>(b: Build<V>, i: number): V => (i === 0 ? b.get('fpuTop') : physical(b, b.imm(i)));
/** Where a physical register lies. */
export const place = <V>(b: Build<V>, register: V): V => b.slotAddress('fpr', register);
/** Room for operands and results that are not in registers: `n` is 0 to 2. */
export const room = <V>(b: Build<V>, n: number): V => b.slotAddress('scratch', b.imm(4 + n));

export const isEmpty = <V>(b: Build<V>, register: V): V => b.isEmpty(register);
export const markFull = <V>(b: Build<V>, register: V): void => b.setEmpty(register, false);
export const markEmpty = <V>(b: Build<V>, register: V): void => b.setEmpty(register, true);

/** The indefinite: the response to masked stack faults. */
const indefinite = <V>(b: Build<V>): Number80<V> => ({
  significand: b.imm64(0xc000000000000000n),
  high: b.imm(0xffff),
});
const putIndefinite = <V>(b: Build<V>, at: V): void => putNumber(b, at, indefinite(b));
export const copy = <V>(b: Build<V>, to: V, from: V): void => putNumber(b, to, numberAt(b, from));

/** Those of `flags` in `which` whose exception is not masked. */
export const unmasked = <V>(b: Build<V>, flags: V, which: number): V =>
  and(b, andImm(b, flags, which), not(b, b.get('fpuControl')));
const ifMasked = <V>(b: Build<V>, flag: number, then: () => void): void =>
  b.if(andImm(b, b.get('fpuControl'), flag), then);

/** The status word's summary bits, from its flags and the masks. To be called whenever either has changed. */
export function summarize<V>(b: Build<V>, status: V): void {
  const pending = unmasked(b, status, EXCEPTIONS);
  b.set('fpuStatus', or(b, andImm(b, status, ~(ES | BUSY)), b.select(pending, b.imm(ES | BUSY), b.imm(0))));
}
/** Adds exception flags, and sets those condition codes that the instruction defines; a stack fault always defines C1. */
export function report<V>(b: Build<V>, flags: V, defined = C1): void {
  const old = andImm(b, b.get('fpuStatus'), ~defined);
  const kept = (defined & C1) !== 0 ? old : b.select(andImm(b, flags, SF), andImm(b, old, ~C1), old);
  summarize(b, or(b, kept, flags));
}

/** The same where no unmasked exception comes with the flags: the summary bits stay as they are. */
function reportMasked<V>(b: Build<V>, flags: V, defined = C1): void {
  if (b.noteFlags !== undefined) return b.noteFlags(flags, defined);
  b.set('fpuStatus', or(b, andImm(b, b.get('fpuStatus'), ~defined), flags));
}

export function pop<V>(b: Build<V>): void {
  const top = b.get('fpuTop');
  markEmpty(b, top);
  b.set('fpuTop', andImm(b, addImm(b, top, 1), 7));
}
const pops = <V>(b: Build<V>, count: number): void => {
  for (let i = 0; i < count; i++) pop(b);
};
/** Whether any of these physical registers is empty. */
const anyEmpty = <V>(b: Build<V>, registers: readonly V[]): V =>
  registers.map((n) => isEmpty(b, n)).reduce((x, y) => or(b, x, y));

/** What an instruction computes with: a way without leaves, where there is one, and the leaf that writes to a place and returns flags. */
export interface Ways<V> {
  readonly quick?: () => Quick<V>;
  readonly leaf?: (to: V) => V;
}
/** A result that is not noted yet. */
interface Result<V> {
  readonly number: Number80<V>;
  /** Exception flags and C1; undefined where it is known that no exception is unmasked. */
  readonly flags: V | undefined;
  /** Notes what is masked, in the status word. */
  note(): void;
}
/** A number, by the quick way where it holds. Nothing has changed yet but `room`. */
function computed<V>(b: Build<V>, { quick, leaf }: Ways<V>): Result<V> {
  const aside = room(b, 2);
  if (leaf !== undefined && (quick === undefined || b.attempt === undefined)) {
    const flags = leaf(aside);
    b.leaveIf?.(unmasked(b, flags, EXCEPTIONS));
    const number = numberAt(b, aside);
    return { number, flags: b.leaveIf === undefined ? flags : undefined, note: () => reportMasked(b, flags) };
  }
  const known = quick!();
  if (leaf === undefined) {
    const number = known(() => undefined);
    return { number, flags: undefined, note: () => noteRounding(b, number.rounding) };
  }
  if (b.expect !== undefined) {
    const number = b.expect(known);
    return { number, flags: undefined, note: () => noteRounding(b, number.rounding) };
  }
  return b.leaveIf === undefined ? byFlags(b, known, leaf, aside) : byParts(b, known, leaf, aside);
}
function noteRounding<V>(b: Build<V>, rounding: Rounding<V> | undefined): void {
  if (b.noteRounding === undefined) reportMasked(b, flagsOf(b, rounding));
  else b.noteRounding(rounding);
}
function byFlags<V>(b: Build<V>, quick: Quick<V>, leaf: (to: V) => V, aside: V): Result<V> {
  const taken = takes(b),
    flags = b.variable(b.imm(0));
  b.attempt!(
    (unless) => {
      const result = quick(unless);
      taken.set(result);
      flags.set(flagsOf(b, result.rounding));
    },
    () => {
      flags.set(leaf(aside));
      taken.set(numberAt(b, aside));
    },
  );
  const all = flags.get();
  return { number: taken.get(), flags: all, note: () => reportMasked(b, all) };
}
/** In compiled code, which leaves unmasked exceptions to the interpreter, and keeps apart how the usual result was rounded. */
function byParts<V>(b: Build<V>, quick: Quick<V>, leaf: (to: V) => V, aside: V): Result<V> {
  const taken = takes(b),
    up = b.variable(b.imm(0)),
    lost = b.variable(b.imm64(0n));
  b.attempt!(
    (unless) => {
      const result = quick(unless);
      taken.set(result);
      if (result.rounding === undefined) return;
      up.set(result.rounding.up);
      lost.set(result.rounding.lost);
    },
    () => {
      const flags = leaf(aside);
      b.leaveIf!(unmasked(b, flags, EXCEPTIONS));
      taken.set(numberAt(b, aside));
      b.noteFlags!(flags, C1);
      up.set(bit(b, flags, C1_SHIFT));
    },
  );
  return {
    number: taken.get(),
    flags: undefined,
    note: () => noteRounding(b, { up: up.get(), lost: lost.get() }),
  };
}
/** `usual`, unless an exception among flags is not masked. */
function unlessUnmasked<V>(b: Build<V>, flags: V | undefined, rare: (flags: V) => void, usual: () => void): void {
  if (flags === undefined) usual();
  else b.unlikely(unmasked(b, flags, EXCEPTIONS), () => rare(flags), usual);
}

/** Pushes a number. `source` is a register that must not be empty. */
export function push<V>(b: Build<V>, ways: Ways<V>, source?: V): void {
  const top = st(b, 7),
    to = place(b, top);
  const missing = source === undefined ? b.imm(0) : isEmpty(b, source);
  const push = (number: Number80<V>): void => {
    putNumber(b, to, number);
    b.set('fpuTop', top);
    markFull(b, top);
  };
  b.unlikely(
    or(b, missing, eqz(b, isEmpty(b, top))),
    () => {
      ifMasked(b, IE, () => push(indefinite(b)));
      report(b, b.select(missing, b.imm(UNDERFLOW), b.imm(OVERFLOW)));
    },
    () => {
      const { flags, number, note } = computed(b, ways);
      unlessUnmasked(
        b,
        flags,
        (raised) => {
          b.if(eqz(b, unmasked(b, raised, IE)), () => push(number));
          report(b, raised);
        },
        () => {
          push(number);
          note();
        },
      );
    },
  );
}

/** Writes a number to a register, by its physical number, and pops. `reads` must not be empty; `fills`: the register may be. */
export function calculate<V>(
  b: Build<V>,
  { reads, to, pops: count = 0, fills = false }: Omit<Computation<V>, 'defined'>,
  ways: Ways<V>,
): void {
  const at = place(b, to);
  b.unlikely(
    anyEmpty(b, reads),
    () => {
      ifMasked(b, IE, () => {
        putIndefinite(b, at);
        markFull(b, to);
        pops(b, count);
      });
      report(b, b.imm(UNDERFLOW));
    },
    () => {
      const { flags, number, note } = computed(b, ways);
      const finish = (): void => {
        putNumber(b, at, number);
        if (fills) markFull(b, to);
        pops(b, count);
      };
      unlessUnmasked(
        b,
        flags,
        (raised) => {
          b.if(eqz(b, unmasked(b, raised, BEFORE_RESULT)), finish);
          report(b, raised);
        },
        () => {
          finish();
          note();
        },
      );
    },
  );
}

export interface Computation<V> {
  /** Physical registers that must not be empty. */
  readonly reads: readonly V[];
  /** The physical register of the result. */
  readonly to: V;
  readonly pops?: number;
  /** The register of the result may be empty: it is one that is not read. */
  readonly fills?: boolean;
  /** Condition codes that the instruction defines; C1 if not said. */
  readonly defined?: number;
}
/** Writes what `how` computes to a register; it gets the place and returns exception flags and condition codes. */
export function compute<V>(
  b: Build<V>,
  { reads, to, pops: count = 0, fills = false, defined = C1 }: Computation<V>,
  how: (to: V) => V,
): void {
  const at = place(b, to);
  const flags = b.variable(b.imm(UNDERFLOW));
  b.if(
    anyEmpty(b, reads),
    () =>
      ifMasked(b, IE, () => {
        putIndefinite(b, at);
        markFull(b, to);
      }),
    () => {
      flags.set(how(at));
      if (fills) markFull(b, to);
    },
  );
  if (count > 0) b.if(eqz(b, unmasked(b, flags.get(), BEFORE_RESULT)), () => pops(b, count));
  report(b, flags.get(), defined);
}

/** One result replaces ST(0) and another is pushed. With C2 nothing is written (SDM vol. 2, FPTAN). */
export function computeTwo<V>(b: Build<V>, defined: number, how: (replaced: V, pushed: V) => V): void {
  const top = st(b, 0),
    next = st(b, 7),
    at = place(b, top),
    to = place(b, next);
  const flags = b.variable(b.imm(0));
  const underflow = isEmpty(b, top),
    overflow = eqz(b, isEmpty(b, next));
  b.if(
    or(b, underflow, overflow),
    () => {
      flags.set(b.select(underflow, b.imm(UNDERFLOW), b.imm(OVERFLOW)));
      ifMasked(b, IE, () => {
        putIndefinite(b, at);
        putIndefinite(b, to);
        markFull(b, top);
      });
    },
    () => flags.set(how(at, to)),
  );
  const stays = or(b, unmasked(b, flags.get(), BEFORE_RESULT), andImm(b, flags.get(), C2));
  b.if(eqz(b, stays), () => {
    b.set('fpuTop', next);
    markFull(b, next);
  });
  report(b, flags.get(), defined);
}

export interface Comparison<V> {
  readonly reads: readonly V[];
  readonly pops: number;
  /** Condition codes that the instruction defines. */
  readonly defined: number;
  readonly quick?: () => Quick<V, V>;
  /** Returns the relation in C3, C2, C0, and exception flags. */
  readonly leaf: () => V;
  /** What is done with the relation besides; the conditions of the status word take those that are defined. */
  readonly then?: (relation: V) => void;
}
/** A comparison. */
export function compare<V>(b: Build<V>, { reads, pops: count, defined, quick, leaf, then }: Comparison<V>): void {
  const kept = ~CONDITION_CODES | defined;
  const told = (flags: V): V => (kept === -1 ? flags : andImm(b, flags, kept));
  b.unlikely(
    anyEmpty(b, reads),
    () => {
      ifMasked(b, IE, () => pops(b, count));
      report(b, told(b.imm(UNDERFLOW | UNORDERED)), defined);
      then?.(b.imm(UNORDERED));
    },
    () => {
      const flags = related(b, quick, leaf);
      unlessUnmasked(
        b,
        b.leaveIf === undefined ? flags : undefined,
        () => {
          b.if(eqz(b, unmasked(b, flags, BEFORE_RESULT)), () => pops(b, count));
          report(b, told(flags), defined);
          then?.(flags);
        },
        () => {
          pops(b, count);
          reportMasked(b, told(flags), defined);
          then?.(flags);
        },
      );
    },
  );
}

function related<V>(b: Build<V>, quick: Comparison<V>['quick'], leaf: () => V): V {
  const byLeaf = (): V => {
    const flags = leaf();
    b.leaveIf?.(unmasked(b, flags, EXCEPTIONS));
    return flags;
  };
  if (quick === undefined || b.attempt === undefined) return byLeaf();
  const found = b.variable(b.imm(0)),
    known = quick();
  b.attempt(
    (unless) => found.set(known(unless)),
    () => found.set(byLeaf()),
  );
  return found.get();
}

export interface Store<V> {
  readonly popping: boolean;
  /** Without a leaf, of the number in ST(0): what `write` gets. */
  readonly quick?: (number: Number80<V>) => Quick<V, Narrowed<V>>;
  /** Leaves the bytes in a slot and returns flags. */
  readonly convert: (to: V, from: V) => V;
  /** Any value of the type that `write` wants. */
  readonly empty: V;
  /** What `convert` left, as `write` wants it. */
  readonly read: (from: V) => V;
  readonly write: (value: V) => void;
  /** Faults if memory could not be written. */
  readonly probe: () => void;
}
/** Stores ST(0); an empty register as the indefinite. An unmasked exception prevents the store, but not its page fault. */
export function store<V>(b: Build<V>, how: Store<V>): void {
  const register = st(b, 0);
  const finish = (value: V): void => {
    how.write(value);
    if (how.popping) pop(b);
  };
  b.unlikely(
    isEmpty(b, register),
    () => {
      const from = room(b, 1);
      putIndefinite(b, from);
      const flags = or(b, how.convert(room(b, 0), from), b.imm(UNDERFLOW));
      b.if(unmasked(b, flags, BEFORE_STORE), how.probe, () => finish(how.read(room(b, 0))));
      report(b, flags);
    },
    () => {
      const { value, flags, note } = converted(b, how, place(b, register));
      unlessUnmasked(
        b,
        flags,
        (raised) => {
          b.if(unmasked(b, raised, BEFORE_STORE), how.probe, () => finish(value));
          report(b, raised);
        },
        () => {
          finish(value);
          note();
        },
      );
    },
  );
}
function converted<V>(
  b: Build<V>,
  { quick, convert, read, empty }: Store<V>,
  from: V,
): Pick<Result<V>, 'flags' | 'note'> & { readonly value: V } {
  const aside = room(b, 0);
  /** Of compiled code, an unmasked exception is the interpreter's. */
  const converts = (): V => {
    const flags = convert(aside, from);
    b.leaveIf?.(unmasked(b, flags, EXCEPTIONS));
    return flags;
  };
  const checked = (flags: V): V | undefined => (b.leaveIf === undefined ? flags : undefined);
  if (quick === undefined || b.attempt === undefined) {
    const flags = converts();
    return { flags: checked(flags), note: () => reportMasked(b, flags), value: read(aside) };
  }
  const known = quick(numberAt(b, from));
  if (b.expect !== undefined) {
    const { value, rounding } = b.expect(known);
    return { value, flags: undefined, note: () => noteRounding(b, rounding) };
  }
  const flags = b.variable(b.imm(0)),
    value = b.variable(empty),
    up = b.variable(b.imm(0)),
    lost = b.variable(b.imm64(0n));
  b.attempt(
    (unless) => {
      const result = known(unless);
      value.set(result.value);
      up.set(result.rounding.up);
      lost.set(result.rounding.lost);
    },
    () => {
      flags.set(converts());
      value.set(read(aside));
      up.set(bit(b, flags.get(), C1_SHIFT));
    },
  );
  const rounding = { up: up.get(), lost: lost.get() },
    raised = flags.get();
  const note = (): void => {
    if (b.noteFlags === undefined) return reportMasked(b, or(b, raised, flagsOf(b, rounding)));
    b.noteFlags(raised, 0);
    b.noteRounding!(rounding);
  };
  return { value: value.get(), flags: checked(raised), note };
}

/** Exchanges two registers; empty ones become the indefinite first. */
export function exchange<V>(b: Build<V>, x: V, y: V): void {
  const swap = (): void => {
    const first = numberAt(b, place(b, x)),
      second = numberAt(b, place(b, y));
    putNumber(b, place(b, x), second);
    putNumber(b, place(b, y), first);
  };
  b.unlikely(
    anyEmpty(b, [x, y]),
    () => {
      ifMasked(b, IE, () => {
        for (const register of [x, y]) {
          b.if(isEmpty(b, register), () => {
            putIndefinite(b, place(b, register));
            markFull(b, register);
          });
        }
        swap();
      });
      report(b, b.imm(UNDERFLOW));
    },
    () => {
      swap();
      reportMasked(b, b.imm(0));
    },
  );
}
