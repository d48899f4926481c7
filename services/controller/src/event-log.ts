/** The last events of the stream, in memory: what pages begin with, and what they missed while they were away. */
import { messages, subjects, type Event } from '@tomei/contracts';
import { messageOf } from '@tomei/kit';
import type { Bus, Log, Subscription } from '@tomei/service';

const KEPT = 5_000;

export interface KeptEvent {
  readonly sequence: number;
  readonly event: Event;
}

export class EventLog {
  private readonly kept: KeptEvent[] = [];
  private readonly listeners = new Set<(event: KeptEvent) => void>();
  private readonly subscription: Subscription;

  constructor(bus: Bus, log: Log) {
    this.subscription = bus.follow(subjects.everyEvent, 'all', ({ subject, bytes, sequence }) => {
      try {
        this.take({ sequence, event: messages.Event.decode(bytes) });
      } catch (error) {
        // Anybody who reaches the bus can write there.
        log.warn({ subject, sequence, why: messageOf(error) }, 'an event is not readable and is passed over');
      }
    });
  }

  /** The newest `limit` that fit, oldest first. */
  last(limit: number, fits: (event: Event) => boolean = () => true): readonly KeptEvent[] {
    return this.kept.filter(({ event }) => fits(event)).slice(-limit);
  }
  after(sequence: number): readonly KeptEvent[] {
    return this.kept.filter((kept) => kept.sequence > sequence);
  }
  onEvent(listener: (event: KeptEvent) => void): { close(): void } {
    this.listeners.add(listener);
    return { close: () => void this.listeners.delete(listener) };
  }
  close(): Promise<void> {
    return this.subscription.close();
  }

  private take(event: KeptEvent): void {
    this.kept.push(event);
    if (this.kept.length > KEPT) this.kept.shift();
    for (const listener of this.listeners) listener(event);
  }
}
