/** One run of a guest: a process, and after each reset that the guest asks for the next one, until it ends. */
import { randomBytes } from 'node:crypto';
import type { ConsoleEndpoint, Init, MemoryReport, RunPhase, RunReport } from '@tomei/contracts';
import type { Guest, GuestEvents, GuestStats, RemoteGuest } from '@tomei/guest';
import { TomeiError, messageOf } from '@tomei/kit';
import type { EventPublisher, Log } from '@tomei/service';
import type { CheckedStart, KnownRun } from './admission.ts';
import { guestMemory } from './guest-memory.ts';
import { livedShort, resetPauseMs, verdictOf, type ProcessOutcome, type Verdict } from './outcome.ts';
import { runStats } from './run-stats.ts';

/** Starts a guest in a process of its own: `startGuest`, or what a test has instead. */
export type GuestStarter = (source: RemoteGuest, events: GuestEvents) => Guest;

/** What a run is given by its runner. */
export interface RunParts {
  readonly log: Log;
  readonly events: Pick<EventPublisher, 'emit'>;
  readonly runnerId: string;
  readonly startProcess: GuestStarter;
  /** A new address for the console of each process. */
  readonly consoleAddress: () => { readonly bind: string; readonly advertise?: string | undefined };
  /** How long a process that was asked to end may take to close its disks. */
  readonly stopMs: number;
  /** Something is to be told by a heartbeat. */
  readonly changed: () => void;
  /** A run is over. */
  readonly ended: (phase: RunPhase) => void;
}

/** Of one run; what a guest can cause again and again must not fill the stream of events. */
const MAX_WARNINGS = 100;
const MAX_TEXT = 500;
/** Long enough that nobody guesses it. */
const TOKEN_BYTES = 32;

export class GuestRun implements KnownRun {
  readonly start: CheckedStart;
  /** Fulfilled when it is over and its last process has been let go. Never rejected. */
  readonly over: Promise<void>;
  private readonly parts: RunParts;
  private readonly log: Log;
  private readonly token = randomBytes(TOKEN_BYTES).toString('base64url');
  private phase: RunPhase = 'RUN_PHASE_STARTING';
  private why = '';
  private message = '';
  private console: ConsoleEndpoint | undefined;
  private lastStats: GuestStats | undefined;
  private guest: Guest | undefined;
  private stopping: string | undefined;
  /** Running: the guest is to end by itself until then. */
  private grace: NodeJS.Timeout | undefined;
  private readonly stopped = Promise.withResolvers<void>();
  private killed = false;
  private askingStats = false;
  private warnings = 0;

  /** Begins when `after` is fulfilled: when the guest's older runs have let go of its disks. */
  constructor(parts: RunParts, start: CheckedStart, after: Promise<unknown>) {
    this.parts = parts;
    this.start = start;
    this.log = parts.log.child({ guestId: start.guestId, guestName: start.guestName, run: start.run });
    this.over = this.live(after);
  }
  get guestId(): string {
    return this.start.guestId;
  }
  get run(): number {
    return this.start.run;
  }
  get memoryMib(): number {
    return this.start.spec.memoryMib;
  }
  get vcpus(): number {
    return this.start.spec.vcpus;
  }
  get isOver(): boolean {
    return this.phase === 'RUN_PHASE_ENDED' || this.phase === 'RUN_PHASE_CRASHED';
  }
  get stats(): GuestStats | undefined {
    return this.lastStats;
  }
  report(): RunReport {
    const { guestId, run, phase, why, message, console } = this;
    return {
      guestId,
      run,
      phase,
      why,
      message,
      ...(console === undefined ? {} : { console }),
      ...(this.lastStats === undefined ? {} : { stats: runStats(this.lastStats) }),
    };
  }

  /** Powers it off: its disks are closed in order, or it is ended by force after a while. `why` is for a person. */
  stop(why: string): void {
    if (this.isOver || (this.stopping !== undefined && this.grace === undefined)) return;
    clearTimeout(this.grace);
    this.grace = undefined;
    this.stopping = why;
    this.become('RUN_PHASE_STOPPING', why);
    this.stopped.resolve();
    this.endProcess();
  }
  /**
   * Presses the guest's power button; a guest that does not end by itself in time is stopped. One that is only about to start has
   * nothing to shut down.
   */
  shutDown(why: string, graceMs: number): void {
    if (this.isOver || this.stopping !== undefined) return;
    const { guest } = this;
    if (guest === undefined || this.phase !== 'RUN_PHASE_RUNNING') return this.stop(why);
    this.stopping = why;
    const seconds = Math.ceil(graceMs / 1000);
    this.become(
      'RUN_PHASE_STOPPING',
      `its power button was pressed; it is powered off if it still runs after ${seconds} s`,
    );
    this.grace = setTimeout(() => this.stop(`${why}; it did not end within ${seconds} s and was powered off`), graceMs);
    this.pressPowerButton(guest).catch((error: unknown) => this.warn(`the power button: ${messageOf(error)}`));
  }
  /** Asks the guest how much it has done; the next heartbeat tells. One question at a time: a guest may be slow to answer. */
  async refreshStats(): Promise<void> {
    const { guest } = this;
    if (guest === undefined || this.phase !== 'RUN_PHASE_RUNNING' || this.askingStats) return;
    this.askingStats = true;
    try {
      this.lastStats = await guest.stats();
    } catch {
      // It has just ended, and tells so itself.
    } finally {
      this.askingStats = false;
    }
  }
  /** What the guest's memory is, set to `wantedMib` before where that is given. Throws `guest.not-running`, and as `guestMemory` does. */
  memory(wantedMib?: number): Promise<Init<MemoryReport>> {
    const { guest, start } = this;
    if (guest !== undefined && this.phase === 'RUN_PHASE_RUNNING')
      return guestMemory(guest, { name: start.guestName, memoryMib: this.memoryMib }, wantedMib);
    throw new TomeiError('guest.not-running', `${start.guestName} does not run now`);
  }

  private async live(after: Promise<unknown>): Promise<void> {
    // Whoever made the run has it in hand before anything happens.
    await Promise.allSettled([after]);
    let shortLives = 0;
    for (;;) {
      const begun = performance.now();
      const outcome = await this.process();
      const verdict = verdictOf(outcome, { stopping: this.stopping, killed: this.killed });
      this.console = undefined;
      if (verdict.kind === 'over') {
        clearTimeout(this.grace);
        return this.conclude(verdict);
      }
      const livedMs = performance.now() - begun;
      shortLives = livedShort(livedMs) ? shortLives + 1 : 0;
      this.log.info({ shortLives }, 'the guest resets itself');
      this.become('RUN_PHASE_STARTING', 'the guest reset itself');
      await this.pause(resetPauseMs(livedMs, shortLives));
    }
  }
  /** From its start to its end. Never throws. */
  private async process(): Promise<ProcessOutcome> {
    if (this.stopping !== undefined) return ENDED_BEFORE;
    this.emit('starting', this.message);
    try {
      const guest = this.parts.startProcess(this.source(), { warning: (text) => this.warn(text) });
      this.guest = guest;
      guest.console.then(
        (target) => this.consoleIsAt(guest, target),
        () => undefined,
      );
      guest.running.then(
        () => this.isRunning(guest),
        () => undefined,
      );
      const { end, stats } = await guest.ended;
      this.lastStats = stats;
      return { kind: 'ended', end };
    } catch (error) {
      // One that reported its end leaves by itself; one that failed in whatever way must not stay.
      this.guest?.kill();
      return { kind: 'failed', error };
    } finally {
      this.guest = undefined;
    }
  }
  private source(): RemoteGuest {
    const { guestId, guestName, run, spec, disks } = this.start;
    return {
      guestId,
      guestName,
      run,
      vmxPath: spec.vmxPath,
      vmxText: spec.vmxText,
      disks: disks.target,
      console: { ...this.parts.consoleAddress(), token: this.token },
    };
  }
  private consoleIsAt(guest: Guest, target: string): void {
    if (guest !== this.guest) return;
    this.console = { endpoint: { target }, token: this.token };
    this.parts.changed();
  }
  private isRunning(guest: Guest): void {
    if (guest !== this.guest || this.phase !== 'RUN_PHASE_STARTING') return;
    this.become('RUN_PHASE_RUNNING', '');
    this.emit('running', '');
    void this.refreshStats();
  }
  private async pressPowerButton(guest: Guest): Promise<void> {
    // It stays pressed, so to speak: a system that starts to listen within its time hears of it.
    if (!(await guest.powerButton()))
      this.warn('the guest does not listen to its power button: it is given its time all the same');
  }
  private endProcess(): void {
    const { guest } = this;
    if (guest === undefined) return;
    guest.stop();
    const timer = setTimeout(() => {
      this.killed = true;
      this.warn(`it did not end within ${this.parts.stopMs} ms and is ended by force`);
      guest.kill();
    }, this.parts.stopMs);
    const done = (): void => clearTimeout(timer);
    guest.ended.then(done, done);
  }
  private async pause(ms: number): Promise<void> {
    if (ms === 0) return;
    const timer = Promise.withResolvers<void>();
    const running = setTimeout(timer.resolve, ms);
    await Promise.race([timer.promise, this.stopped.promise]);
    clearTimeout(running);
  }
  private conclude({ phase, why, message }: Extract<Verdict, { kind: 'over' }>): void {
    this.why = why;
    this.become(phase, message);
    this.emit(phase === 'RUN_PHASE_CRASHED' ? 'crashed' : 'stopped', this.message);
    this.parts.ended(phase);
    this.log.info({ phase, why, text: this.message }, 'a run is over');
  }
  private become(phase: RunPhase, message: string): void {
    this.phase = phase;
    this.message = shortened(message);
    this.parts.changed();
  }
  private warn(text: string): void {
    this.warnings += 1;
    if (this.warnings > MAX_WARNINGS) return;
    const last = this.warnings === MAX_WARNINGS ? ' (further warnings of this run are not told)' : '';
    this.log.warn({ text }, 'a guest warns');
    this.emit('warning', `${shortened(text)}${last}`);
  }
  private emit(verb: string, message: string): void {
    const { guestId, guestName, run } = this.start;
    const { runnerId } = this.parts;
    try {
      this.parts.events.emit({ noun: 'guest', subjectId: guestId, verb, guestName, runnerId, run, message });
    } catch (error) {
      this.log.error({ why: messageOf(error) }, 'an event cannot be told');
    }
  }
}

const ENDED_BEFORE: ProcessOutcome = { kind: 'ended', end: { why: 'stopped', status: 0 } };
const shortened = (text: string): string => (text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}...`);
