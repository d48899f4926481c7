/** Which guests there are, and a word whenever something happened to one: records of the store, events of the bus. */
import { messages, subjects, type Guest } from '@tomei/contracts';
import type { Bus, GuestRecords, Log, Subscription } from '@tomei/service';

/** What the gateway reads of records; it writes none. */
export type GuestReader = Pick<GuestRecords, 'get' | 'find' | 'list'>;

/** Called with the id of a guest to which something happened; what it is, the record says. */
export type GuestHandler = (guestId: string) => void;

export class GuestWatch {
  readonly records: GuestReader;
  private readonly handlers = new Set<GuestHandler>();
  private readonly events: Subscription;

  constructor(records: GuestReader, bus: Bus, log: Log) {
    this.records = records;
    this.events = bus.follow(subjects.everyEvent, 'new', ({ subject, bytes }) => {
      const guestId = guestOf(bytes);
      if (guestId === undefined) log.warn({ subject }, 'an event that is none was left out');
      else if (guestId !== '') for (const handler of this.handlers) handler(guestId);
    });
  }

  /** Calls `handler` after each event about a guest, until the returned function is called. */
  onEvent(handler: GuestHandler): () => void {
    this.handlers.add(handler);
    return () => void this.handlers.delete(handler);
  }

  close(): Promise<void> {
    this.handlers.clear();
    return this.events.close();
  }
}

/** Empty: about something else; undefined: no event. */
function guestOf(bytes: Uint8Array): string | undefined {
  try {
    const event = messages.Event.decode(bytes);
    return event.noun === 'guest' ? event.subjectId : '';
  } catch {
    return undefined;
  }
}

/** Where the console of a guest that runs is; undefined while there is none. */
export function consoleOf({ observed }: Guest): { readonly target: string; readonly token: string } | undefined {
  const target = observed?.console?.endpoint?.target ?? '';
  return target === '' ? undefined : { target, token: observed!.console!.token };
}
