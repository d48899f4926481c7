/** Publishes lifecycle events: whoever emits one goes on at once, and the event is stored in its order when the bus can. */
import { messages, newId, subjects, type Event, type Init } from '@tomei/contracts';
import { TomeiError, messageOf } from '@tomei/kit';
import type { Bus } from './bus/bus.ts';
import type { Log } from './log.ts';
import { delays, sleep, unlessAborted } from './patience.ts';

/** Some hours of a busy cluster without its bus. */
const MAX_WAITING = 10_000;
const RETRY = { firstMs: 100, mostMs: 5_000 };
/** For one attempt: then it is tried again, under the same id. */
const ATTEMPT_MS = 5_000;

export interface EventPublisherOptions {
  readonly bus: Bus;
  /** Who says so: `controller`, `runner/<id>`, `console-gateway`. */
  readonly source: string;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  readonly maxWaiting?: number;
}
/** What an emitter says; id, time and source are added. */
export type NewEvent = Omit<Init<Event>, 'id' | 'atMs' | 'source' | 'noun' | 'subjectId' | 'verb'> &
  Pick<Event, 'noun' | 'subjectId' | 'verb'>;

interface Waiting {
  readonly id: string;
  readonly subject: string;
  readonly bytes: Uint8Array;
}

export class EventPublisher {
  private readonly options: EventPublisherOptions;
  private readonly now: () => number;
  private readonly maxWaiting: number;
  private readonly outbox: Waiting[] = [];
  private readonly givingUp = new AbortController();
  private sending: Promise<void> | undefined;
  private closed = false;

  constructor(options: EventPublisherOptions) {
    this.options = options;
    this.now = options.now ?? Date.now;
    this.maxWaiting = options.maxWaiting ?? MAX_WAITING;
  }

  /**
   * Never throws and never waits. Of more than `maxWaiting` events that cannot be stored the oldest are given up, each with a line
   * in the log.
   */
  emit(event: NewEvent): void {
    const { log, source } = this.options;
    if (this.closed) return log.warn({ verb: event.verb, subjectId: event.subjectId }, 'an event came after the end');
    try {
      const id = newId();
      const bytes = messages.Event.encode({ ...event, id, atMs: this.now(), source });
      this.outbox.push({ id, subject: subjects.event(event), bytes });
    } catch (error) {
      return log.error({ error, verb: event.verb }, 'an event cannot be written');
    }
    // The first one is under way: whether it is stored is not known.
    if (this.outbox.length > this.maxWaiting)
      this.giveUp(this.outbox.splice(1, 1)[0]!, 'too many events wait for the bus');
    this.sending ??= this.send();
  }

  /** Takes no more events and waits for those that are not stored yet, as long as this. Safe to call twice. */
  async close(timeoutMs = 2_000): Promise<void> {
    this.closed = true;
    const timer = setTimeout(() => this.givingUp.abort(), timeoutMs);
    await this.sending;
    clearTimeout(timer);
    for (const left of this.outbox.splice(0)) this.giveUp(left, 'the service ended before the bus was there');
  }

  private async send(): Promise<void> {
    const wait = delays(RETRY);
    for (let next = this.outbox[0]; next !== undefined && !this.givingUp.signal.aborted; next = this.outbox[0]) {
      try {
        const storing = this.options.bus.emit(next.subject, next.bytes, { id: next.id, timeoutMs: ATTEMPT_MS });
        if ((await unlessAborted(storing, this.givingUp.signal)) === undefined) break;
        this.outbox.shift();
        wait.reset();
      } catch (error) {
        // It can never be stored, whoever comes after it can.
        if (error instanceof TomeiError && !error.retryable) {
          this.outbox.shift();
          this.giveUp(next, messageOf(error));
          continue;
        }
        await sleep(wait.next(), this.givingUp.signal);
      }
    }
    this.sending = undefined;
  }
  private giveUp({ subject, id }: Waiting, why: string): void {
    this.options.log.error({ subject, id, why }, 'an event is lost');
  }
}
