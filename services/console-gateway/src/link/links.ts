/** Links by guest: made when somebody watches, kept a while when nobody does any more. */
import { TomeiError } from '@tomei/kit';
import { ConsoleLink, type LinkParts, type LinkViewer } from './console-link.ts';

interface Held {
  readonly link: ConsoleLink;
  viewers: number;
  linger: NodeJS.Timeout | undefined;
}

export class Links {
  private readonly parts: LinkParts;
  private readonly held = new Map<string, Held>();
  private readonly ending = new Set<Promise<void>>();

  constructor(parts: LinkParts) {
    this.parts = parts;
  }

  /** The link of a guest that is being watched, or was a moment ago. */
  peek(guestId: string): ConsoleLink | undefined {
    return this.held.get(guestId)?.link;
  }

  /** Adds a viewer to the guest's link; the function that is returned takes it off, once. */
  join(guestId: string, viewer: (link: ConsoleLink) => LinkViewer): () => void {
    let held = this.held.get(guestId);
    if (held === undefined) {
      held = { link: new ConsoleLink(guestId, this.parts), viewers: 0, linger: undefined };
      this.held.set(guestId, held);
    }
    const { link } = held;
    clearTimeout(held.linger);
    held.viewers++;
    const added = viewer(link);
    link.add(added);
    let hasLeft = false;
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      link.remove(added);
      this.leave(guestId, held);
    };
  }

  /** Viewers are told that the gateway stops. */
  async close(): Promise<void> {
    const why = new TomeiError('gateway.closing', 'the console gateway stops; connect again in a moment', {
      retryable: true,
    });
    const all = [...this.held.values()];
    this.held.clear();
    for (const { linger } of all) clearTimeout(linger);
    await Promise.all([...all.map(({ link }) => link.close(why)), ...this.ending]);
  }

  private leave(guestId: string, held: Held): void {
    held.viewers--;
    if (held.viewers > 0 || this.held.get(guestId) !== held) return;
    held.linger = setTimeout(() => {
      this.held.delete(guestId);
      const ending = held.link.close(new TomeiError('gateway.closing', 'nobody watches')).finally(() => {
        this.ending.delete(ending);
      });
      this.ending.add(ending);
    }, this.parts.pace.lingerMs);
  }
}
