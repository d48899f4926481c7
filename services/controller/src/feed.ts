/** What changes, for those who watch: the views of guests and runners, compared with those of the last look. */
import type { Guest } from '@tomei/contracts';
import { messageOf } from '@tomei/kit';
import type { Log } from '@tomei/service';
import type { GuestView, RunnerView } from './api/schemas.ts';

/** For what nobody touches here: another controller writes too. */
const LOOK_AGAIN_MS = 1_000;
/** Many touches in a row make one look. */
const GATHER_MS = 30;

export interface FeedParts {
  readonly guests: () => Promise<readonly Guest[]>;
  readonly guestView: (guest: Guest) => GuestView;
  readonly runners: () => readonly RunnerView[];
  readonly log: Log;
}
export interface FeedListener {
  guest(view: GuestView): void;
  guestGone(id: string): void;
  runner(view: RunnerView): void;
  runnerGone(id: string): void;
  /** The first whole state has been told. */
  synced(): void;
}

/** Looks only while somebody watches. */
export class Feed {
  private readonly parts: FeedParts;
  /** By listener: what it was told last, as JSON. */
  private readonly told = new Map<
    FeedListener,
    { guests: Map<string, string>; runners: Map<string, string>; synced: boolean }
  >();
  private timer: NodeJS.Timeout | undefined;
  private looking = false;
  private again = false;

  constructor(parts: FeedParts) {
    this.parts = parts;
  }

  watch(listener: FeedListener): { close(): void } {
    this.told.set(listener, { guests: new Map(), runners: new Map(), synced: false });
    this.touch();
    return {
      close: () => {
        this.told.delete(listener);
        if (this.told.size === 0) this.close();
      },
    };
  }
  /** Something may have changed. */
  touch(): void {
    if (this.told.size === 0) return;
    if (this.looking) this.again = true;
    else this.schedule(GATHER_MS);
  }
  close(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private schedule(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(), ms);
  }
  private async look(): Promise<void> {
    this.looking = true;
    this.again = false;
    try {
      const guests = (await this.parts.guests()).map(this.parts.guestView);
      const runners = this.parts.runners();
      for (const [listener, told] of this.told) {
        tell(told.guests, guests, (view) => listener.guest(view));
        tellGone(told.guests, guests, (id) => listener.guestGone(id));
        tell(told.runners, runners, (view) => listener.runner(view));
        tellGone(told.runners, runners, (id) => listener.runnerGone(id));
        if (!told.synced) listener.synced();
        told.synced = true;
      }
    } catch (error) {
      this.parts.log.debug({ why: messageOf(error) }, 'guests cannot be read for those who watch');
    }
    this.looking = false;
    if (this.told.size > 0) this.schedule(this.again ? GATHER_MS : LOOK_AGAIN_MS);
  }
}

function tell<T extends { readonly id: string }>(
  told: Map<string, string>,
  views: readonly T[],
  say: (view: T) => void,
): void {
  for (const view of views) {
    const text = JSON.stringify(view);
    if (told.get(view.id) === text) continue;
    told.set(view.id, text);
    say(view);
  }
}

function tellGone(
  told: Map<string, string>,
  views: readonly { readonly id: string }[],
  say: (id: string) => void,
): void {
  const there = new Set(views.map(({ id }) => id));
  for (const id of [...told.keys()]) {
    if (there.has(id)) continue;
    told.delete(id);
    say(id);
  }
}
