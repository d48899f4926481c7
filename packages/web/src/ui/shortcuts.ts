/** The keys of the pages, as a list that the help dialog shows and the handler reads. Pure. */
import { RELEASE_KEYS } from '../console/release-chord.ts';

export type Command = 'help' | 'search' | 'register' | 'theme' | 'library';

export interface Shortcut {
  readonly keys: string;
  readonly what: string;
  /** Undefined: the console itself sees to it. */
  readonly command?: Command;
  /** Of one key without Ctrl or Alt: these can be turned off. */
  readonly key?: string;
}

export const SHORTCUTS: readonly Shortcut[] = [
  { keys: '?', key: '?', command: 'help', what: 'Show these keys' },
  { keys: '/', key: '/', command: 'search', what: 'Library: search for a guest' },
  { keys: 'n', key: 'n', command: 'register', what: 'Library: register a guest' },
  { keys: 't', key: 't', command: 'theme', what: 'Colours: as the system, light, dark' },
  { keys: 'l', key: 'l', command: 'library', what: 'Go to the library' },
  { keys: 'Enter', what: 'Console frame: type into the guest' },
  { keys: RELEASE_KEYS, what: 'Console: leave the guest; press the three together and let go' },
  { keys: '← →', what: 'Console tabs: screen and serial lines' },
  { keys: 'Esc', what: 'Close a dialog or a menu' },
];

/** What of a key press decides. */
export interface Press {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
  readonly defaultPrevented: boolean;
}

/** The command of a key press outside text fields and consoles; undefined: none. */
export function commandOf(press: Press): Command | undefined {
  if (press.ctrlKey || press.altKey || press.metaKey || press.defaultPrevented) return undefined;
  return SHORTCUTS.find((shortcut) => shortcut.key === press.key)?.command;
}
