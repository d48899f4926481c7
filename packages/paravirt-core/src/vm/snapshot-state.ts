/** The state part of a snapshot: what the machine was made of and where it stood, as JSON that a person can read. */
import {
  TomeiError,
  bool,
  list,
  messageOf,
  nested,
  oneOf,
  pod,
  u32,
  whole,
  type Field,
  type StateOf,
} from '@tomei/kit';
import { PARAVIRT_MODES } from '../paravirt/mode.ts';
import { VMI_MODES } from '../vmi/mode.ts';
import { SAVED_MACHINE_VERSION, parseSavedMachine, type SavedMachine } from './saved-machine.ts';

const MAX_DISKS = 64,
  MAX_SERIAL = 4,
  MAX_SHARES = 64,
  MAX_FIDS = 1 << 16,
  MAX_TAG = 255,
  /** More than the longest path has. */
  MAX_PLACE = 1 << 17,
  MAX_DEPTH = 32;

/** A disk's content id as `packages/vmdk` gives it; null when the disk has none. */
const contentId: Field<string | null> = {
  initial: () => null,
  check: (v) => (v === null || (typeof v === 'string' && /^[0-9a-f]{1,8}$/i.test(v)) ? undefined : 'is no content id'),
  copy: (v) => v,
};
const snapshotConfig = pod({
  ramBytes: whole(),
  videoMemoryBytes: whole(),
  /** Unix time in seconds at power-on: the guest's calendar goes on from there and the machine's time. */
  epoch: whole(),
  /** Which of COM1..COM4 exist. */
  serial: list(MAX_SERIAL, bool()),
  disks: list(MAX_DISKS, nested(pod({ sectors: whole(), readOnly: bool(), contentId }))),
  processors: u32(1),
  /** What the guest has found of its hypervisor, and counts on. */
  paravirt: oneOf(...PARAVIRT_MODES),
  vmi: oneOf(...VMI_MODES),
});
/** What a machine must be like for a state to go on in it. Sizes are bytes; a disk's is sectors of 512 bytes. */
export type SnapshotConfig = StateOf<typeof snapshotConfig>;

const text = (most: number): Field<string> => ({
  initial: () => '',
  check: (v) => (typeof v === 'string' && v.length <= most ? undefined : `is no text of at most ${most} characters`),
  copy: (v) => v,
});
const openFlags: Field<number | null> = {
  initial: () => null,
  check: (v) => (v === null ? undefined : u32().check(v)),
  copy: (v) => v,
};
const savedShare = pod({
  /** By which the guest has mounted it. */
  tag: text(MAX_TAG),
  /** The longest message that the guest has agreed to. */
  msize: u32(),
  fids: list(
    MAX_FIDS,
    nested(
      pod({
        fid: u32(),
        /** Names below the root of the share, with slashes between them. */
        place: text(MAX_PLACE),
        /** As the guest has opened it (Linux, x86); null when it has not. */
        flags: openFlags,
      }),
    ),
  ),
});
/** What a guest holds in a folder of the host that it shares (9P). */
export type SavedShare = StateOf<typeof savedShare>;
const savedShares = list(MAX_SHARES, nested(savedShare));

export interface SnapshotState {
  readonly config: SnapshotConfig;
  readonly machine: SavedMachine;
  readonly shares: readonly SavedShare[];
}

/**
 * Brings a state of the version that is the key to the next one. Whoever raises SAVED_MACHINE_VERSION adds a line here; devices
 * migrate their own parts.
 */
export type Migrations = Readonly<Record<number, (old: Record<string, unknown>) => Record<string, unknown>>>;
export const MIGRATIONS: Migrations = {
  // Every machine was a plain PC.
  2: ({ config, machine, ...rest }) => ({
    ...rest,
    config: { ...(config as object), paravirt: 'off' },
    machine: { ...(machine as object), version: 3 },
  }),
  // No machine had VMI.
  3: ({ config, machine, ...rest }) => ({
    ...rest,
    config: { ...(config as object), vmi: 'off' },
    machine: { ...(machine as object), version: 4 },
  }),
  // No machine had shares.
  4: ({ machine, ...rest }) => ({ ...rest, shares: [], machine: { ...(machine as object), version: 5 } }),
  // Nobody gave a turn away.
  5: ({ machine, ...rest }) => {
    const { others, ...before } = machine as { others?: unknown };
    const placed = isObject(others) ? { others: { ...others, place: others['turn'] } } : {};
    return { ...rest, machine: { ...before, ...placed, version: 6 } };
  },
};

/** Bytes and 64-bit integers, which JSON lacks, are objects of one key. */
const BYTES_KEY = '$bytes',
  INTEGER_KEY = '$integer';

export function formatState(state: SnapshotState): string {
  return JSON.stringify(
    state,
    (_key, value: unknown) => {
      if (typeof value === 'bigint') return { [INTEGER_KEY]: value.toString() };
      if (value instanceof Uint8Array) return { [BYTES_KEY]: Buffer.from(value).toString('base64') };
      return value;
    },
    1,
  );
}

/**
 * Reads what `formatState` wrote, migrating older states. Throws `snapshot.state` or `snapshot.version`, naming the file and the
 * field. The board's part is checked by `Machine.restore`.
 */
export function parseState(text: string, fileName: string, migrations: Migrations = MIGRATIONS): SnapshotState {
  const refuse = (what: string, cause?: unknown): TomeiError =>
    new TomeiError('snapshot.state', `${fileName}: the state is damaged: ${what}`, { cause, data: { file: fileName } });
  let raw: unknown;
  try {
    raw = revive(JSON.parse(text), 0);
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
  if (!isObject(raw)) throw refuse('it is not an object');
  const state = migrate(raw, fileName, migrations);
  try {
    for (const key of Object.keys(state))
      if (key !== 'config' && key !== 'machine' && key !== 'shares') throw new Error(`unknown field '${key}'`);
    const { config, machine, shares } = state;
    const why = savedShares.check(shares);
    if (why !== undefined) throw new Error(`field 'shares' ${why}`);
    return {
      config: snapshotConfig.parse(config),
      machine: parseSavedMachine(machine),
      shares: savedShares.copy(shares as SavedShare[]),
    };
  } catch (error) {
    throw refuse(messageOf(error), error);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Turns tagged objects back into values. Throws Error when they hold something else, or when the nesting is absurd. */
function revive(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new Error(`it is nested more than ${MAX_DEPTH} deep`);
  if (Array.isArray(value)) return value.map((each) => revive(each, depth + 1));
  if (!isObject(value)) return value;
  const keys = Object.keys(value);
  const tag = keys.length === 1 ? keys[0]! : '';
  if (tag === BYTES_KEY) return bytesOf(value[tag]);
  if (tag === INTEGER_KEY) return integerOf(value[tag]);
  return Object.fromEntries(keys.map((key) => [key, revive(value[key], depth + 1)]));
}
function bytesOf(text: unknown): Uint8Array {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined;
  if (bytes === undefined || bytes.toString('base64') !== text) throw new Error(`a ${BYTES_KEY} is not base64`);
  return Uint8Array.from(bytes);
}
function integerOf(text: unknown): bigint {
  if (typeof text !== 'string' || !/^-?[0-9]{1,20}$/.test(text)) throw new Error(`an ${INTEGER_KEY} is not an integer`);
  return BigInt(text);
}

function migrate(state: Record<string, unknown>, fileName: string, migrations: Migrations): Record<string, unknown> {
  for (;;) {
    const machine = state['machine'];
    const version = isObject(machine) ? machine['version'] : undefined;
    if (version === SAVED_MACHINE_VERSION) return state;
    const step = typeof version === 'number' && Object.hasOwn(migrations, version) ? migrations[version] : undefined;
    const next = step?.(state);
    const reached = isObject(next?.['machine']) ? next['machine']['version'] : undefined;
    if (next === undefined || typeof reached !== 'number' || reached <= (version as number)) {
      const what = `${fileName} holds a state of version ${String(version)}; this program reads ${SAVED_MACHINE_VERSION}`;
      throw new TomeiError('snapshot.version', what, { data: { file: fileName, version } });
    }
    state = next;
  }
}

/**
 * Throws `snapshot.mismatch`, naming what differs, unless the machine is as the snapshot's was; `snapshot.disk-changed` when a
 * disk has been written since. The calendar (`epoch`) and the hypervisor that the guest has found (`paravirt`, `vmi`) are the snapshot's. `diskNames` are for messages.
 */
export function refuseOtherMachine(
  saved: SnapshotConfig,
  here: Omit<SnapshotConfig, 'epoch' | 'paravirt' | 'vmi'>,
  fileName: string,
  diskNames: readonly string[],
): void {
  const refuse = (what: string): never => {
    throw new TomeiError('snapshot.mismatch', `${fileName} is of another machine: ${what}`, {
      data: { file: fileName },
    });
  };
  const differs = (what: string, then: number, now: number, unit: string): void => {
    if (then !== now) refuse(`it had ${what} of ${then} ${unit}, this one has ${now}`);
  };
  if (saved.processors !== here.processors)
    refuse(`it had ${saved.processors} processors, this one has ${here.processors}`);
  differs('memory', saved.ramBytes, here.ramBytes, 'bytes (memsize)');
  differs('video memory', saved.videoMemoryBytes, here.videoMemoryBytes, 'bytes');
  for (let i = 0; i < MAX_SERIAL; i++) {
    const then = saved.serial[i] ?? false;
    if (then !== (here.serial[i] ?? false)) refuse(`it had ${then ? 'a' : 'no'} serial${i}, this one is not so`);
  }
  if (saved.disks.length !== here.disks.length)
    refuse(`it had ${saved.disks.length} disks, this one has ${here.disks.length}`);
  saved.disks.forEach((then, i) => {
    const now = here.disks[i]!,
      name = diskNames[i] ?? `disk ${i}`;
    differs(`a disk ${name}`, then.sectors, now.sectors, 'sectors');
    if (then.readOnly !== now.readOnly) refuse(`its disk ${name} was ${then.readOnly ? 'read-only' : 'writable'}`);
    if (then.contentId === null || then.contentId.toLowerCase() === now.contentId?.toLowerCase()) return;
    throw new TomeiError(
      'snapshot.disk-changed',
      `the disk ${name} has been written since ${fileName} was saved: going on would destroy its file system; ` +
        `put the disk of that time back, or boot without the snapshot`,
      { data: { file: fileName, disk: name, saved: then.contentId, found: now.contentId } },
    );
  });
}

/** Throws `snapshot.mismatch` unless the guest has the shares that it had, by their tags. */
export function refuseOtherShares(saved: readonly SavedShare[], here: readonly string[], fileName: string): void {
  const then = saved.map(({ tag }) => tag);
  if (then.length === here.length && then.every((tag, i) => tag === here[i])) return;
  const all = (tags: readonly string[]): string => (tags.length === 0 ? 'none' : tags.join(', '));
  const what = `it had the shares ${all(then)} (sharedFolderN.guestName), this one has ${all(here)}`;
  throw new TomeiError('snapshot.mismatch', `${fileName} is of another machine: ${what}`, { data: { file: fileName } });
}
