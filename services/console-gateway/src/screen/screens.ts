/** Single pictures of guests, for thumbnails and for those who read: PNG and text. A page full of them costs little. */
import { createHash } from 'node:crypto';
import { ConsoleService, type Guest, type ScreenshotResponse } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { rpcClient } from '@tomei/service';
import { consoleOf } from '../link/guest-watch.ts';
import type { Links } from '../link/links.ts';
import { PngEncoder } from './png-encoder.ts';

/** A finished picture. */
export interface Screen {
  readonly png: Uint8Array;
  /** Strong entity tag (RFC 9110, 8.8.3), quotes included. */
  readonly etag: string;
}
interface Cached {
  /** The picture of the link that it was made of; undefined: asked for by itself. */
  readonly version: string | undefined;
  readonly token: string;
  readonly at: number;
  readonly screen: Screen;
}

const ASK_MS = 5000;
/** Guests whose last picture is kept; the one that was asked for longest ago goes first. */
const MAX_CACHED = 256;
const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

export class Screens {
  private readonly links: Links;
  private readonly maxAgeMs: number;
  private readonly encoder = new PngEncoder();
  private readonly cached = new Map<string, Cached>();
  private readonly making = new Map<string, Promise<Screen>>();
  private readonly asked = new Map<string, { readonly at: number; readonly answer: Promise<ScreenshotResponse> }>();

  /** A picture not older than `maxAgeMs` is given again. */
  constructor(links: Links, maxAgeMs: number) {
    this.links = links;
    this.maxAgeMs = maxAgeMs;
  }

  close(): Promise<void> {
    return this.encoder.close();
  }

  /** Throws `guest.not-running`, `screen.bad-answer`, `screen.not-encoded`, and what the call to the guest throws. */
  async png(guest: Guest): Promise<Screen> {
    const { token } = runningConsole(guest);
    const known = this.cached.get(guest.id);
    if (known !== undefined && known.token === token) {
      const version = this.links.peek(guest.id)?.pictureVersion;
      const isSame = version !== undefined && version === known.version;
      if (isSame || performance.now() - known.at < this.maxAgeMs) return known.screen;
    }
    const under = `${guest.id} ${token}`;
    const making = this.making.get(under) ?? this.make(guest, token).finally(() => this.making.delete(under));
    this.making.set(under, making);
    return making;
  }

  private async make(guest: Guest, token: string): Promise<Screen> {
    const at = performance.now();
    const link = this.links.peek(guest.id);
    const version = link?.pictureVersion;
    const png =
      link !== undefined && version !== undefined
        ? await this.encoder.encode(link.framebuffer)
        : (await this.ask(guest)).png;
    const screen = { png, etag: `"${createHash('sha256').update(png).digest('base64url').slice(0, 22)}"` };
    this.cached.delete(guest.id);
    this.cached.set(guest.id, { version, token, at, screen });
    for (const oldest of this.cached.keys()) {
      if (this.cached.size <= MAX_CACHED) break;
      this.cached.delete(oldest);
    }
    return screen;
  }

  /** Lines of the text screen. Throws `guest.not-running`, `screen.not-text`, and what the call to the guest throws. */
  async text(guest: Guest): Promise<readonly string[]> {
    const { text } = await this.ask(guest);
    if (text.length > 0) return text;
    throw new TomeiError('screen.not-text', `guest ${guest.name} shows graphics; ask for screen.png`);
  }

  /** One call at a time for a guest; whoever comes meanwhile, or a moment later, gets the same answer. */
  private async ask(guest: Guest): Promise<ScreenshotResponse> {
    const { target, token } = runningConsole(guest);
    const key = `${guest.id} ${token}`;
    const last = this.asked.get(key);
    if (last !== undefined && performance.now() - last.at < this.maxAgeMs) return last.answer;
    const answer = screenshotOf(target, token);
    const asked = { at: performance.now(), answer };
    this.asked.set(key, asked);
    const forget = (): void => {
      setTimeout(() => {
        if (this.asked.get(key) === asked) this.asked.delete(key);
      }, this.maxAgeMs).unref();
    };
    answer.then(forget, () => this.asked.delete(key));
    return answer;
  }
}

async function screenshotOf(target: string, token: string): Promise<ScreenshotResponse> {
  const client = rpcClient(ConsoleService, target);
  try {
    const answer = await client.calls.screenshot({ token }, { deadlineMs: ASK_MS });
    if (!PNG_SIGNATURE.equals(answer.png.subarray(0, PNG_SIGNATURE.length)))
      throw new TomeiError('screen.bad-answer', `the console at ${target} answered with something that is no PNG`);
    return answer;
  } finally {
    client.close();
  }
}

/** Throws `guest.not-running`. */
function runningConsole(guest: Guest): { readonly target: string; readonly token: string } {
  const console = consoleOf(guest);
  if (console !== undefined) return console;
  throw new TomeiError('guest.not-running', `guest ${guest.name} has no screen, since it does not run: power it on`);
}
