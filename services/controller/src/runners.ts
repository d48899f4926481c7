/** What is known of the runners: their last heartbeat, and whether it is recent. In memory only; heartbeats make it anew. */
import { guestId, messages, runnerId, type RunReport, type RunnerHeartbeat } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';

/** A runner that is not heard of for this long is forgotten altogether. */
const FORGET_AFTER_MS = 600_000;

export type RunnerState = 'ready' | 'draining' | 'lost';
export interface SeenRunner {
  readonly id: string;
  readonly heartbeat: RunnerHeartbeat;
  /** By the controller's clock. */
  readonly heardMs: number;
  readonly state: RunnerState;
}
/** One run of a guest, as a runner that is not lost reports it. */
export interface SeenRun {
  readonly runnerId: string;
  readonly report: RunReport;
  /** When it was reported, by the controller's clock. */
  readonly heardMs: number;
}
/** What became of a runner since the last look. */
export interface RunnerChange {
  readonly runnerId: string;
  readonly verb: 'joined' | 'lost' | 'left';
  readonly message: string;
}
interface Known {
  heartbeat: RunnerHeartbeat;
  heardMs: number;
  /** What the last change that was told left it as. */
  told: 'joined' | 'lost' | undefined;
  /** A process of it that was not there before has been heard of. */
  isNew: boolean;
  /** Instances that this one has replaced, the last ones: what they say late, or beside it, does not count. */
  former: readonly string[];
}
const MAX_FORMER = 16;

/** Whether a text can be an id: everybody who reaches the bus can write there. */
export function isGuestId(text: string): boolean {
  try {
    guestId(text);
    return true;
  } catch {
    return false;
  }
}
const formerOf = ({ former, heartbeat }: Known): readonly string[] =>
  [...former, heartbeat.instanceId].slice(-MAX_FORMER);

export class Runners {
  private readonly timeoutMs: number;
  private readonly now: () => number;
  private readonly known = new Map<string, Known>();
  /** Since when silence means something: before, nobody was listening. */
  private listeningMs: number | undefined;

  /** Times in milliseconds; a runner that is silent for `timeoutMs` is lost. */
  constructor(options: { readonly timeoutMs: number; readonly now: () => number }) {
    this.timeoutMs = options.timeoutMs;
    this.now = options.now;
  }

  /** Whether heartbeats can arrive. While they cannot, nobody is lost for being silent. */
  setListening(isListening: boolean): void {
    this.listeningMs = isListening ? this.now() : undefined;
  }
  /** Whether whoever runs has had the time to say so. */
  get isSettled(): boolean {
    return this.listeningMs !== undefined && this.now() - this.listeningMs >= this.timeoutMs;
  }

  /**
   * Takes a heartbeat in; what it says of guests with ids that are none is left out. Throws `message.malformed` and `runner.bad-id`, and
   * `runner.replaced` for one from a process that another of the same id has followed; returns the ids of guests that it may concern.
   */
  hear(bytes: Uint8Array): readonly string[] {
    const said = messages.RunnerHeartbeat.decode(bytes);
    const heartbeat = { ...said, runs: said.runs.filter((run) => isGuestId(run.guestId)) };
    const id = runnerId(heartbeat.runnerId);
    const before = this.known.get(id);
    if (before?.former.includes(heartbeat.instanceId) === true)
      throw new TomeiError(
        'runner.replaced',
        `${id}: a process that a later one has replaced speaks: do two have this id?`,
      );
    const isNew = before?.heartbeat.instanceId !== heartbeat.instanceId;
    this.known.set(id, {
      heartbeat,
      heardMs: this.now(),
      told: before?.told,
      isNew: isNew || before.isNew,
      former: before === undefined ? [] : isNew ? formerOf(before) : before.former,
    });
    const guests = [...heartbeat.runs, ...(before?.heartbeat.runs ?? [])].map((run) => run.guestId);
    return [...new Set(guests)];
  }

  get(id: string): SeenRunner | undefined {
    const known = this.known.get(id);
    return known === undefined ? undefined : this.seen(id, known);
  }
  list(): readonly SeenRunner[] {
    return [...this.known].map(([id, known]) => this.seen(id, known)).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }
  /** Of runners that are not lost. */
  runsOf(guestId: string): readonly SeenRun[] {
    return this.runs().filter(({ report }) => report.guestId === guestId);
  }
  runs(): readonly SeenRun[] {
    return this.list()
      .filter(({ state }) => state !== 'lost')
      .flatMap(({ id, heartbeat, heardMs }) => heartbeat.runs.map((report) => ({ runnerId: id, report, heardMs })));
  }

  /** What is new since the last call, for whoever tells it to others; runners that are long gone are forgotten. */
  changes(): readonly RunnerChange[] {
    const changes: RunnerChange[] = [];
    for (const [id, known] of this.known) {
      const { state } = this.seen(id, known);
      const isGone = state === 'lost';
      if (!isGone && known.isNew) {
        const message = known.told === undefined ? '' : 'a new process of it';
        changes.push({ runnerId: id, verb: 'joined', message });
        known.told = 'joined';
        known.isNew = false;
      } else if (!isGone && known.told === 'lost') {
        changes.push({ runnerId: id, verb: 'joined', message: 'it is heard of again' });
        known.told = 'joined';
      } else if (isGone && known.heartbeat.draining && known.heartbeat.runs.length === 0) {
        changes.push({ runnerId: id, verb: 'left', message: '' });
        this.known.delete(id);
      } else if (isGone && known.told === 'joined') {
        const message = `not heard of for ${Math.round((this.now() - known.heardMs) / 100) / 10} s`;
        changes.push({ runnerId: id, verb: 'lost', message });
        known.told = 'lost';
      } else if (this.now() - known.heardMs > FORGET_AFTER_MS) this.known.delete(id);
    }
    return changes;
  }

  private seen(id: string, { heartbeat, heardMs }: Known): SeenRunner {
    const from = Math.max(heardMs, this.listeningMs ?? this.now());
    const isLost = this.listeningMs !== undefined && this.now() - from >= this.timeoutMs;
    return { id, heartbeat, heardMs, state: isLost ? 'lost' : heartbeat.draining ? 'draining' : 'ready' };
  }
}
