/** What a person asks of the serial console on the command line: wait for this, type that, do this to the machine, in the order given. */
import { resolve } from 'node:path';
import type { Guest } from '@tomei/guest';
import { TomeiError, messageOf } from '@tomei/kit';

export type ConsoleStep =
  | { readonly kind: 'expect'; readonly pattern: RegExp }
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  /** Something that is done to the machine; the next step waits for it. */
  | { readonly kind: 'act'; readonly act: (guest: Pick<Guest, 'powerButton' | 'changeDisc'>) => Promise<unknown> };

/** `^` and `$` match at lines. Throws `usage.pattern`. */
export function expectStep(source: string): ConsoleStep {
  try {
    return { kind: 'expect', pattern: new RegExp(source, 'm') };
  } catch (cause) {
    throw new TomeiError('usage.pattern', `--expect ${JSON.stringify(source)}: ${messageOf(cause)}`, { cause });
  }
}

const ESCAPES: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, e: 0x1b, '0': 0x00, '\\': 0x5c };

/** The text as UTF-8, with the escapes \n \r \t \e \0 \\ and \xHH. Throws `usage.escape`. */
export function sendStep(text: string): ConsoleStep {
  const bytes: number[] = [];
  for (const part of text.matchAll(/\\x([0-9a-fA-F]{2})|\\(.?)|[^\\]+/gsu)) {
    const [whole, hexadecimal, letter] = part;
    if (hexadecimal !== undefined) bytes.push(Number.parseInt(hexadecimal, 16));
    else if (letter === undefined) bytes.push(...Buffer.from(whole));
    else if (Object.hasOwn(ESCAPES, letter)) bytes.push(ESCAPES[letter]!);
    else {
      throw new TomeiError(
        'usage.escape',
        `--send ${JSON.stringify(text)}: "${whole}" is no escape; there are \\n \\r \\t \\e \\0 \\\\ and \\xHH`,
      );
    }
  }
  return { kind: 'send', bytes: Uint8Array.from(bytes) };
}

/** Presses the power button. A guest that has not asked to hear of it fails with `guest.no-power-button`. */
export const powerButtonStep = (): ConsoleStep => ({
  kind: 'act',
  async act(guest) {
    if (await guest.powerButton()) return;
    throw new TomeiError('guest.no-power-button', '--power-button: the guest does not listen to its power button now');
  },
});

/** `ide1:0=two.iso` lays a disc into a drive, `ide1:0=` takes out the one that is there. Throws `usage.disc`. */
export function discStep(text: string): ConsoleStep {
  const [, slot, file] = /^([a-z]+\d+:\d+)=(.*)$/s.exec(text) ?? [];
  if (slot === undefined || file === undefined)
    throw new TomeiError(
      'usage.disc',
      `--disc ${JSON.stringify(text)}: give a drive and a file, such as ide1:0=two.iso`,
    );
  const path = file === '' ? undefined : resolve(file);
  return { kind: 'act', act: (guest) => guest.changeDisc(slot, path) };
}
