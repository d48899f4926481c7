/** What the controller's HTTP API answers, and the parsers of it. Times are milliseconds since 1970. */
import { count, flag, listOf, moment, oneOf, orElse, orNull, shape, text } from './check.ts';

export const PHASES = ['off', 'pending', 'starting', 'running', 'stopping', 'crashed', 'lost'] as const;
export type Phase = (typeof PHASES)[number];

export interface GuestDisk {
  readonly slot: string;
  readonly path: string;
}

export interface VncView {
  /** TCP port of the gateway; null: none of its own. */
  readonly port: number | null;
  readonly password: boolean;
}

export interface GuestView {
  readonly id: string;
  readonly name: string;
  readonly phase: Phase;
  /** What was asked for. */
  readonly power: 'on' | 'off';
  /** Counts power-ons and resets. */
  readonly run: number;
  readonly memoryMiB: number;
  readonly vcpus: number;
  readonly vmxPath: string;
  readonly disks: readonly GuestDisk[];
  readonly runner: string | null;
  readonly message: string;
  readonly since: number;
  readonly created: number;
  /** Whether there is a console to look at now. */
  readonly console: boolean;
  readonly deleting: boolean;
  readonly vnc: VncView | null;
  /** Which of COM1 (0) to COM4 (3) are there; COM1 where the server does not say. */
  readonly serialPorts: readonly number[];
  /** Whether its screen can be asked to have another size; no where the server does not say. */
  readonly resizable: boolean;
}

export interface RunnerView {
  readonly id: string;
  readonly state: 'ready' | 'draining' | 'lost';
  readonly memoryMiB: number;
  readonly usedMemoryMiB: number;
  readonly vcpus: number;
  readonly usedVcpus: number;
  readonly guests: number;
  readonly lastSeen: number;
  readonly version: string;
}

export interface EventView {
  /** Of the stream; grows. */
  readonly sequence: number;
  readonly id: string;
  readonly at: number;
  readonly source: string;
  readonly noun: string;
  readonly subjectId: string;
  readonly verb: string;
  readonly guestName: string;
  readonly runnerId: string;
  readonly run: number;
  readonly message: string;
}

export interface FileView {
  readonly path: string;
  readonly kind: 'vmx' | 'vmdk' | 'other';
  readonly sizeBytes: number;
  readonly modified: number;
}

export const parseGuest = shape<GuestView>({
  id: text,
  name: text,
  phase: oneOf(PHASES),
  power: oneOf(['on', 'off']),
  run: count,
  memoryMiB: count,
  vcpus: count,
  vmxPath: text,
  disks: listOf(shape<GuestDisk>({ slot: text, path: text })),
  runner: orNull(text),
  message: text,
  since: moment,
  created: moment,
  console: flag,
  deleting: flag,
  vnc: orNull(shape<VncView>({ port: orNull(count), password: flag })),
  serialPorts: orElse(listOf(count), [0]),
  resizable: orElse(flag, false),
});

export const parseRunner = shape<RunnerView>({
  id: text,
  state: oneOf(['ready', 'draining', 'lost']),
  memoryMiB: count,
  usedMemoryMiB: count,
  vcpus: count,
  usedVcpus: count,
  // A count; a server that lists them by name is understood as well.
  guests: (value, where) => (Array.isArray(value) ? value.length : count(value, where)),
  lastSeen: moment,
  version: text,
});

export const parseEvent = shape<EventView>({
  sequence: count,
  id: text,
  at: moment,
  source: text,
  noun: text,
  subjectId: text,
  verb: text,
  guestName: text,
  runnerId: text,
  run: count,
  message: text,
});

export const parseFile = shape<FileView>({
  path: text,
  kind: oneOf(['vmx', 'vmdk', 'other']),
  sizeBytes: count,
  modified: moment,
});

export const parseGone = shape<{ readonly id: string }>({ id: text });
export const parseGuests = shape<{ readonly guests: readonly GuestView[] }>({ guests: listOf(parseGuest) });
export const parseEvents = shape<{ readonly events: readonly EventView[] }>({ events: listOf(parseEvent) });
export const parseFiles = shape<{ readonly files: readonly FileView[] }>({ files: listOf(parseFile) });
