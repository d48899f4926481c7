/** For tests: a guest whose life the test decides. */
import type { Ended, Guest, GuestEnd, GuestEvents, GuestStats, RemoteGuest } from '@tomei/guest';
import { TomeiError } from '@tomei/kit';

const NO_STATS: GuestStats = {
  instructions: 1000,
  guestMs: 10,
  cpuMs: 5,
  haltedMs: 1,
  time: { interpreted: 2, compiled: 5, translating: 1, devices: 2, system: 2, idle: 1 },
  virtualization: {
    port: 1,
    'device-memory': 0.5,
    hypervisor: 0.25,
    privileged: 0.75,
    interrupt: 1,
    timer: 0.25,
    host: 0.25,
  },
  overhead: 0.5,
  exits: {
    ...{ port: 4, 'device-memory': 3, hypervisor: 8, privileged: 9, 'tlb-miss': 2 },
    ...{ exception: 1, interrupt: 5, halt: 6, slice: 7 },
  },
  decoded: 0,
  codeInvalidations: 0,
  codeFlushes: 0,
  pageWalks: 2,
  translations: {
    flushes: { whole: 1, nonGlobal: 20, page: 300 },
    kept: 7,
    written: { entries: 40, batches: 5 },
    marked: 6,
  },
  compiled: { regions: 9, dropped: 4, bytes: 4096, translatingMs: 250, ownMs: 1, longestMs: 2 },
  events: {},
};

export class ScriptedGuest implements Guest {
  readonly pid = 0;
  readonly source: RemoteGuest;
  readonly events: GuestEvents;
  /** What was asked of it. */
  readonly asked: string[] = [];
  /** What its balloon is before each question; undefined: it has none. */
  balloonNow: (() => ReturnType<Guest['balloon']>) | undefined;
  /** Whether it ends when it is asked to. */
  obedient = true;
  private readonly runs = Promise.withResolvers<undefined>();
  private readonly ends = Promise.withResolvers<Ended>();
  private readonly serves = Promise.withResolvers<string>();
  readonly running: Promise<void> = this.runs.promise;
  readonly ended: Promise<Ended> = this.ends.promise;
  readonly console: Promise<string> = this.serves.promise;

  constructor(source: RemoteGuest, events: GuestEvents) {
    this.source = source;
    this.events = events;
    for (const one of [this.running, this.ended, this.console]) one.catch(() => undefined);
  }
  serveConsole(target = `127.0.0.1:${4000 + this.source.run}`): void {
    this.serves.resolve(target);
  }
  run(): void {
    this.serveConsole();
    this.runs.resolve(undefined);
  }
  end(why: GuestEnd['why'], more: Partial<GuestEnd> = {}): void {
    this.ends.resolve({ end: { why, status: 0, ...more }, stats: NO_STATS });
  }
  fail(code: string, message: string): void {
    const error = new TomeiError(code, message);
    this.runs.reject(error);
    this.serves.reject(error);
    this.ends.reject(error);
  }
  type(): void {
    this.asked.push('type');
  }
  input(): void {
    this.asked.push('input');
  }
  screenshot(): Promise<never> {
    return Promise.reject(new TomeiError('guest.ended', 'no screen'));
  }
  stats(): Promise<GuestStats> {
    return Promise.resolve(NO_STATS);
  }
  save(): Promise<void> {
    return Promise.resolve();
  }
  changeDisc(): Promise<void> {
    return Promise.resolve();
  }
  balloon(pages?: number): ReturnType<Guest['balloon']> {
    if (pages !== undefined) this.asked.push(`${pages} pages`);
    return this.balloonNow?.() ?? Promise.resolve(undefined);
  }
  powerButton(): Promise<boolean> {
    this.asked.push('power button');
    return Promise.resolve(true);
  }
  stop(): void {
    this.asked.push('stop');
    if (this.obedient) this.end('stopped');
  }
  kill(): void {
    this.asked.push('kill');
    this.fail('guest.crashed', 'SIGKILL');
  }
}
