/** A guest as its parent sees it: a child process that is started, talked to, and survived. */
import type { ChildProcess } from 'node:child_process';
import { TomeiError } from '@tomei/kit';
import type { Balloon } from '@tomei/paravirt-core';
import type { EngineKind } from '@tomei/vmx';
import {
  errorOf,
  type ConsoleOptions,
  type DebuggerOptions,
  type GuestEnd,
  type GuestReport,
  type GuestRequest,
  type GuestStart,
  type InputEvent,
  type RemoteGuest,
  type Timing,
} from './protocol.ts';
import { forkGuest, type PreparedGuest } from './fork-guest.ts';
import type { Profile } from './perf/profile.ts';
import type { GuestStats } from './stats/guest-stats.ts';
import type { TraceRequest } from './trace/trace-plan.ts';

/** The screen as a PNG file, and its characters when it is in a text mode. */
export interface Screenshot {
  readonly png: Uint8Array;
  readonly text: readonly string[];
}
export interface GuestEvents {
  /** Bytes that the guest wrote to a serial port. */
  serial?(port: number, bytes: Uint8Array): void;
  warning?(text: string): void;
  /** The guest has copied a text to its clipboard: the newest, ten times a second at most. */
  copied?(text: string): void;
  /** A debugger can attach at this address. */
  debugger?(address: string): void;
}
export interface Ended {
  readonly end: GuestEnd;
  readonly stats: GuestStats;
  /** Where it spent its time, when that was asked for. */
  readonly profile?: Profile;
}

export interface Guest {
  readonly pid: number;
  /** Fulfilled when the guest executes its first instruction; rejected as `ended` is when it never does. */
  readonly running: Promise<void>;
  /** Fulfilled when the guest ends by itself or by `stop`; rejected with a TomeiError when it cannot start or its process dies. */
  readonly ended: Promise<Ended>;
  /**
   * What a console gateway dials: fulfilled before the guest runs, rejected with `guest.no-console` when none was asked for, or as
   * `ended` is when the guest never comes so far.
   */
  readonly console: Promise<string>;
  type(port: number, bytes: Uint8Array): void;
  /** A key or the mouse of the guest's own screen, or a text for its clipboard. */
  input(event: InputEvent): void;
  screenshot(): Promise<Screenshot>;
  stats(): Promise<GuestStats>;
  /**
   * Writes a snapshot to a file, whole or not at all, while the guest stands still; it goes on afterwards, or ends when `stop` is
   * set. Its disks are flushed and not part of it: the snapshot is of use until one of them is written again.
   */
  save(path: string, options?: { readonly stop?: boolean }): Promise<void>;
  /**
   * Presses the power button: a guest with VMware's tools, or one that listens (ACPI), shuts itself down in its own time. False when
   * it has neither: such a guest will do nothing. Tools that do nothing either are asked once; pressed again, it is ACPI's.
   */
  powerButton(): Promise<boolean>;
  /**
   * Asks a guest with a balloon (`tomei.balloon.present`) to have so many pages of 4 KiB in it, where given, and to tell its statistics
   * anew. The answer is what is known now: what the guest does of it is seen by asking again. Undefined without a balloon.
   */
  balloon(pages?: number): Promise<Balloon | undefined>;
  /**
   * Lays the image of a CD into a drive by its name in the `.vmx` (`ide1:0`), or takes out the disc that is there; a guest that has
   * locked its tray is not asked. The file is an absolute path, or a place in the pool. Rejected with `drive.*` or `disk.*`.
   */
  changeDisc(slot: string, file?: string): Promise<void>;
  /** Power off at once; disks are closed in order. */
  stop(): void;
  /** Ends the process without a word, as a crash would. */
  kill(): void;
}

export interface StartOptions {
  /** The process that the guest is to have, where it was started before. */
  readonly prepared?: PreparedGuest;
  /** A snapshot file to go on from instead of a power-on. */
  readonly restore?: string;
  /** Serve the console of a local guest. A guest of the pool says itself where its console is. */
  readonly console?: ConsoleOptions;
  /** What executes the guest's code, whatever its `.vmx` says. */
  readonly engine?: EngineKind;
  /** Let a debugger attach; `events.debugger` says where. */
  readonly debugger?: DebuggerOptions;
  /** Write executed instructions down. */
  readonly trace?: TraceRequest;
  /** Sample where the guest is: `Ended.profile`. */
  readonly perf?: boolean;
  /** Time by instructions, and what comes from outside written down or taken from a file. */
  readonly timing?: Timing;
}

/**
 * Starts a guest in a process of its own: from a `.vmx` of this machine, or one of the pool. Never throws; what goes wrong is in
 * `running`, `ended` and `console`.
 */
export function startGuest(
  source: string | RemoteGuest,
  events: GuestEvents = {},
  { prepared, ...options }: StartOptions = {},
): Guest {
  const child = prepared ?? forkGuest();
  const start: GuestStart = { kind: 'start', source, hearsSerial: events.serial !== undefined, ...options };
  return new ChildGuest(child, start, events);
}

class ChildGuest implements Guest {
  readonly running: Promise<void>;
  readonly ended: Promise<Ended>;
  readonly console: Promise<string>;
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, PromiseWithResolvers<unknown>>();
  private lastId = 0;
  private over = false;

  constructor(child: ChildProcess, start: GuestStart, events: GuestEvents) {
    this.child = child;
    const running = Promise.withResolvers<undefined>(),
      ended = Promise.withResolvers<Ended>(),
      console = Promise.withResolvers<string>();
    this.running = running.promise;
    this.ended = ended.promise;
    this.console = console.promise;
    // Whoever awaits none of them must not be brought down by a rejection.
    this.running.catch(() => undefined);
    this.ended.catch(() => undefined);
    this.console.catch(() => undefined);
    if (typeof start.source === 'string' && start.console === undefined)
      console.reject(new TomeiError('guest.no-console', 'the guest was started without a console'));
    const fail = (error: TomeiError): void => {
      this.over = true;
      running.reject(error);
      ended.reject(error);
      console.reject(error);
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    };
    child.on('message', (message) => {
      const report = message as GuestReport;
      switch (report.kind) {
        case 'serial':
          return events.serial?.(report.port, report.bytes);
        case 'warning':
          return events.warning?.(report.text);
        case 'copied':
          return events.copied?.(report.text);
        case 'debugger':
          return events.debugger?.(report.address);
        case 'running':
          return running.resolve(undefined);
        case 'console':
          return console.resolve(report.target);
        case 'answer':
          return this.answered(report.id)?.resolve(report.value);
        case 'refused':
          return this.answered(report.id)?.reject(errorOf(report.trouble));
        case 'failed':
          return fail(errorOf(report.trouble));
        case 'ended': {
          const { end, stats, profile } = report;
          running.resolve(undefined);
          ended.resolve({ end, stats, ...(profile === undefined ? {} : { profile }) });
          return fail(new TomeiError('guest.ended', 'the guest has ended'));
        }
      }
    });
    child.on('error', (cause) =>
      fail(new TomeiError('guest.no-process', `cannot start a process for the guest: ${cause.message}`, { cause })),
    );
    const gone = (how: string): void => {
      if (!this.over) fail(new TomeiError('guest.crashed', `the guest's process ended without a word (${how})`));
    };
    child.on('exit', (code, signal) => {
      const how = signal ?? `exit code ${code}`;
      // Its last messages may still be on their way: the channel closes behind them.
      if (child.connected) child.once('disconnect', () => gone(how));
      else gone(how);
    });
    if (child.exitCode !== null || child.signalCode !== null) gone(child.signalCode ?? `exit code ${child.exitCode}`);
    else if (child.pid === undefined) fail(new TomeiError('guest.no-process', 'cannot start a process for the guest'));
    else this.send(start);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }
  type(port: number, bytes: Uint8Array): void {
    this.send({ kind: 'type', port, bytes });
  }
  input(event: InputEvent): void {
    this.send(event);
  }
  screenshot(): Promise<Screenshot> {
    return this.ask((id) => ({ kind: 'screenshot', id })) as Promise<Screenshot>;
  }
  stats(): Promise<GuestStats> {
    return this.ask((id) => ({ kind: 'stats', id })) as Promise<GuestStats>;
  }
  async changeDisc(slot: string, file?: string): Promise<void> {
    await this.ask((id) => ({ kind: 'disc', id, slot, ...(file === undefined ? {} : { file }) }));
  }
  powerButton(): Promise<boolean> {
    return this.ask((id) => ({ kind: 'power-button', id })) as Promise<boolean>;
  }
  balloon(pages?: number): Promise<Balloon | undefined> {
    const more = pages === undefined ? {} : { pages };
    return this.ask((id) => ({ kind: 'balloon', id, ...more })) as Promise<Balloon | undefined>;
  }
  async save(path: string, { stop = false }: { readonly stop?: boolean } = {}): Promise<void> {
    await this.ask((id) => ({ kind: 'save', id, path, stop }));
  }
  stop(): void {
    this.send({ kind: 'stop' });
  }
  kill(): void {
    this.child.kill('SIGKILL');
  }

  private send(request: GuestRequest): void {
    // A process that is just ending refuses the message; how it ended is what counts, and 'exit' tells.
    if (this.child.connected) this.child.send(request, () => undefined);
  }
  private ask(make: (id: number) => GuestRequest): Promise<unknown> {
    if (this.over) return Promise.reject(new TomeiError('guest.ended', 'the guest has ended'));
    const id = ++this.lastId,
      answer = Promise.withResolvers<unknown>();
    this.waiting.set(id, answer);
    this.send(make(id));
    return answer.promise;
  }
  private answered(id: number): PromiseWithResolvers<unknown> | undefined {
    const answer = this.waiting.get(id);
    this.waiting.delete(id);
    return answer;
  }
}
