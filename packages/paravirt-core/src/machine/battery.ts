/**
 * The battery that every device must pass: reset, save and restore keep their promises, no state hides outside `state`, no
 * saved state and no guest access can break the device. A device's test calls `deviceBattery`; it needs vitest.
 */
import type { Fields } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { Rig, seededRandom, type BatteryCase } from './battery-rig.ts';
import type { SavedBoard } from './board.ts';
import type { DeviceDef, Parts, Saved } from './device.ts';

export { Rig, seededRandom, type BatteryCase, type Bench, type Random } from './battery-rig.ts';

export interface BatteryCheck {
  readonly title: string;
  /** Throws where the device falls short. */
  readonly run: () => void;
}

const RANDOM_ACCESSES = 20_000;
const TWIN_ACCESSES = 2_000;
const HOSTILE_STATES = 40;
const ACCESSES_PER_HOSTILE_STATE = 200;
const DEFAULT_SEED = 20_061;

/** Registers the checks with vitest. */
export function deviceBattery<C, F extends Fields, P extends Parts>(
  def: DeviceDef<C, F, P>,
  given: BatteryCase<C, P>,
): void {
  describe(`${def.kind} passes the device battery`, () => {
    for (const { title, run } of batteryChecks(def, given)) it(title, run);
  });
}

/** The checks as a list. */
export function batteryChecks<C, F extends Fields, P extends Parts>(
  def: DeviceDef<C, F, P>,
  given: BatteryCase<C, P>,
): BatteryCheck[] {
  const seed = given.seed ?? DEFAULT_SEED;
  // The checks treat configuration and state as opaque, so the types of this one device are of no use to them.
  const anyDef = def as unknown as DeviceDef<unknown, Fields, P>;
  const fresh = (): Rig<P> => new Rig<P>(anyDef, given as BatteryCase<unknown, P>);
  const disturbed = (): Rig<P> => {
    const rig = fresh();
    given.disturb(rig.device, rig);
    return rig;
  };
  const twin = (original: Rig<P>, through: (saved: SavedBoard) => SavedBoard): Rig<P> => {
    const copy = fresh();
    copy.surroundLike(original);
    copy.board.restore(through(original.board.save()));
    return copy;
  };

  return [
    ...(Object.keys(def.state.fields).length === 0
      ? []
      : [
          {
            title: 'disturbing it changes its state',
            run: () => expect(disturbed().device.save()).not.toEqual(fresh().device.save()),
          },
        ]),
    {
      title: 'reset makes it as new, save for what it retains',
      run() {
        const rig = disturbed();
        rig.releaseWires();
        rig.board.reset();
        const asNew = fresh();
        asNew.clock.advance(rig.clock.now());
        asNew.board.reset();
        expect(without(rig.device.save(), def.retained)).toEqual(without(asNew.device.save(), def.retained));
      },
    },
    {
      title: 'a saved state is a copy',
      run() {
        const rig = fresh();
        const saved = rig.board.save();
        const before = structuredClone(saved);
        given.disturb(rig.device, rig);
        expect(saved).toEqual(before);

        const copy = twin(rig, (s) => s);
        const kept = rig.board.save();
        const still = structuredClone(kept);
        run(copy, seed, 500);
        expect(kept).toEqual(still);
        expect(rig.board.save()).toEqual(still);
      },
    },
    ...(['structuredClone', 'JSON'] as const).map((way) => ({
      title: `a state restored through ${way} is the same, with the same lines and alarms`,
      run() {
        const original = disturbed();
        const copy = twin(original, way === 'JSON' ? throughJson : structuredClone);
        expect(copy.board.save()).toEqual(original.board.save());
        expect(copy.outside()).toEqual(original.outside());
      },
    })),
    { title: 'refuses hostile states and stays as it was', run: () => refusesHostileStates(disturbed(), def) },
    {
      title: `survives whatever states it accepts (seed ${seed})`,
      run: () => survivesAccepted(disturbed, fresh, def, seed),
    },
    {
      title: `no guest access throws or answers out of range (seed ${seed})`,
      run: () => void run(fresh(), seed, RANDOM_ACCESSES),
    },
    {
      title: `a restored copy goes on like the original (seed ${seed})`,
      run() {
        for (let round = 0; round < 4; round++) {
          const original = disturbed();
          run(original, seed + round, round * 300);
          original.events.length = 0;
          const copy = twin(original, structuredClone);
          copy.events.length = 0;
          const [originalBefore, copyBefore] = [original.output().length, copy.output().length];
          expect(run(copy, seed + 99 + round, TWIN_ACCESSES)).toEqual(run(original, seed + 99 + round, TWIN_ACCESSES));
          expect(copy.events).toEqual(original.events);
          expect(copy.outside()).toEqual(original.outside());
          expect(copy.board.save()).toEqual(original.board.save());
          expect(copy.output().slice(copyBefore)).toEqual(original.output().slice(originalBefore));
          expect(Buffer.compare(copy.ram, original.ram), 'RAM').toBe(0);
        }
      },
    },
  ];
}

function run<P extends Parts>(rig: Rig<P>, seed: number, steps: number): unknown[] {
  const random = seededRandom(seed);
  return Array.from({ length: steps }, (_, index) => {
    try {
      return rig.step(random);
    } catch (error) {
      throw new Error(`step ${index} of seed ${seed} threw: ${(error as Error).stack}`, { cause: error });
    }
  });
}

const throughJson = (saved: SavedBoard): SavedBoard => {
  const text = JSON.stringify(saved, (_key, value: unknown) =>
    value instanceof Uint8Array ? { $bytes: Buffer.from(value).toString('base64') } : value,
  );
  return JSON.parse(text, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && '$bytes' in value
      ? new Uint8Array(Buffer.from(String(value.$bytes), 'base64'))
      : value,
  ) as SavedBoard;
};

function without(saved: Saved, fields: readonly string[] = []): unknown {
  const state = { ...(saved.state as Record<string, unknown>) };
  for (const field of fields) delete state[field];
  return state;
}

/** Values that no field accepts. */
const FOREIGN: readonly unknown[] = ['hostile', { hostile: 1 }, Number.NaN, 1.5, -(2 ** 40), 2 ** 60, undefined, [[]]];

function refusesHostileStates<P extends Parts>(rig: Rig<P>, def: { version: number; state: { fields: Fields } }): void {
  const saved = rig.device.save();
  const state = saved.state as Record<string, unknown>;
  const refuses = (what: string, hostile: unknown): void => {
    expect(() => rig.device.restore(hostile as Saved), what).toThrow(expect.objectContaining({ name: 'TomeiError' }));
    expect(rig.device.save(), `${what} left a trace`).toEqual(saved);
  };
  refuses('a newer version', { ...saved, version: def.version + 1 });
  refuses('another kind', { ...saved, kind: 'hostile' });
  refuses('no state', { ...saved, state: null });
  refuses('an extra field', { ...saved, state: { ...state, hostile: 1 } });
  for (const key of Object.keys(def.state.fields)) {
    refuses(`no ${key}`, { ...saved, state: Object.fromEntries(Object.entries(state).filter(([k]) => k !== key)) });
    for (const value of FOREIGN) refuses(`${key} = ${String(value)}`, { ...saved, state: { ...state, [key]: value } });
  }
}

/** A forged state that passes the schema may be absurd, but the device must still answer. */
function survivesAccepted<P extends Parts>(
  disturbed: () => Rig<P>,
  fresh: () => Rig<P>,
  def: { state: { fields: Fields } },
  seed: number,
): void {
  const random = seededRandom(seed);
  const saved = disturbed().device.save();
  if (Object.keys(def.state.fields).length === 0) return;
  for (let i = 0; i < HOSTILE_STATES; i++) {
    const state = forge(saved.state, random.next) as Record<string, unknown>;
    const rig = fresh();
    try {
      rig.device.restore({ ...saved, state });
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^(state|snapshot)\./) as string });
      continue;
    }
    run(rig, seed + i, ACCESSES_PER_HOSTILE_STATE);
  }
}

/** A copy with some of its numbers and booleans changed, at any depth; sizes of numbers stay within 32 bits. */
function forge(value: unknown, next: (limit: number) => number): unknown {
  if (typeof value === 'number') {
    if (next(3) !== 0) return value;
    return [0, 1, 0xff, 0xffff, 0xffff_ffff, next(256), next(65_536), next(2 ** 32)][next(8)];
  }
  if (typeof value === 'boolean') return next(3) === 0 ? !value : value;
  if (value instanceof Uint8Array) return value.map((byte) => (next(8) === 0 ? next(256) : byte));
  if (Array.isArray(value)) return value.map((element) => forge(element, next));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, forge(inner, next)]));
  }
  return value;
}
