/** Looks for regular expressions in a byte stream, with a bounded memory. */

/** Characters kept for a match that is still to come: longer ones are found only when they come at once. */
export const WINDOW_CHARACTERS = 64 * 1024;

/**
 * The unread end of a text stream. Bytes are UTF-8, wherever chunks are cut; what is no UTF-8 becomes U+FFFD. A match uses up
 * the text before and in it, so that the next pattern is looked for behind it.
 */
export class OutputMatcher {
  private readonly decoder = new TextDecoder('utf-8');
  private text = '';
  /** Whether the text starts where a line starts, so that `^` does not match where old text was cut off. */
  private atLineStart = true;

  push(bytes: Uint8Array): void {
    this.text += this.decoder.decode(bytes, { stream: true });
  }

  /** Takes the first match out of the unread text and returns it, or returns null and forgets what is too old to matter. */
  take(pattern: RegExp): string | null {
    // A character before the text keeps ^ from matching in the middle of a line.
    const before = this.atLineStart ? '' : 'x';
    const global = new RegExp(pattern.source, pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`);
    global.lastIndex = before.length;
    const match = global.exec(before + this.text);
    if (match !== null) this.drop(match.index + match[0].length - before.length);
    else if (this.text.length > WINDOW_CHARACTERS) this.drop(this.text.length - WINDOW_CHARACTERS);
    return match?.[0] ?? null;
  }

  /** The last `lines` lines that no match has used, for an error message. */
  tail(lines: number): string {
    return this.text.trimEnd().split(/\r?\n/).slice(-lines).join('\n');
  }

  private drop(count: number): void {
    if (count === 0) return;
    const last = this.text[count - 1];
    this.atLineStart = last === '\n' || last === '\r';
    this.text = this.text.slice(count);
  }
}
