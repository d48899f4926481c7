/** Numbers, times and happenings in words. Pure. */
import type { EventView, GuestView, Phase } from '../api/views.ts';

const GIB_IN_MIB = 1024;

/** `512 MiB`, `1.5 GiB`. */
export function formatMemory(mib: number): string {
  if (mib < GIB_IN_MIB) return `${mib} MiB`;
  return `${trimmed(mib / GIB_IN_MIB)} GiB`;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `812 bytes`, `3.4 MiB`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${trimmed(value)} ${UNITS[unit]}`;
}

const trimmed = (value: number): string => String(Number(value.toFixed(1)));

export const plural = (number: number, one: string): string => `${number} ${one}${number === 1 ? '' : 's'}`;

/** How long ago, in the largest unit that fits: `just now`, `40 s ago`, `3 min ago`, `2 h ago`, `5 days ago`. Clocks that disagree give `just now`. */
export function formatAgo(atMs: number, nowMs: number): string {
  const text = formatSpan(nowMs - atMs);
  return text === '' ? 'just now' : `${text} ago`;
}

/** `40 s`, `3 min`, `2 h`, `5 days`; empty below five seconds. */
export function formatSpan(spanMs: number): string {
  const seconds = Math.floor(spanMs / 1000);
  if (seconds < 5) return '';
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h`;
  return `${Math.floor(hours / 24)} days`;
}

/** What a person reads as the state. */
export const PHASE_WORDS: Readonly<Record<Phase, string>> = {
  off: 'Off',
  pending: 'Waiting for a runner',
  starting: 'Starting',
  running: 'Running',
  stopping: 'Stopping',
  crashed: 'Crashed',
  lost: 'Runner lost',
};

/** The state in a few words, with since when; what the screen reader says too. */
export function describeState(guest: GuestView, nowMs: number): string {
  if (guest.deleting) return 'Being removed';
  if (guest.phase === 'running') {
    const span = formatSpan(nowMs - guest.since);
    return span === '' ? 'Running' : `Running for ${span}`;
  }
  return PHASE_WORDS[guest.phase];
}

/** How a happening is to be taken in. */
export type Tone = 'good' | 'busy' | 'bad' | 'quiet';

const VERBS: Readonly<Record<string, readonly [words: string, tone: Tone]>> = {
  'guest.registered': ['was registered', 'quiet'],
  'guest.deleted': ['was removed', 'quiet'],
  'guest.placed': ['was placed on', 'busy'],
  'guest.pending': ['waits for a runner', 'busy'],
  'guest.starting': ['is starting on', 'busy'],
  'guest.running': ['runs on', 'good'],
  'guest.stopped': ['stopped', 'quiet'],
  'guest.crashed': ['crashed', 'bad'],
  'guest.lost': ['lost its runner', 'bad'],
  'guest.warning': ['has a warning', 'bad'],
  'runner.joined': ['joined', 'good'],
  'runner.left': ['left', 'quiet'],
  'runner.lost': ['is no longer heard of', 'bad'],
  'runner.draining': ['takes no new guests', 'quiet'],
};

export interface EventWords {
  /** Whom it is about. */
  readonly subject: string;
  readonly words: string;
  readonly tone: Tone;
}

/** An event as a sentence: `tiny` + `runs on runner-1`. Verbs that are not known stay as they are. */
export function describeEvent(event: EventView): EventWords {
  const [words, tone] = VERBS[`${event.noun}.${event.verb}`] ?? [event.verb, 'quiet'];
  const subject = event.noun === 'guest' ? event.guestName || event.subjectId : event.subjectId;
  if (!words.endsWith(' on')) return { subject, words, tone };
  return { subject, words: event.runnerId === '' ? words.slice(0, -3) : `${words} ${event.runnerId}`, tone };
}

/** What a person can do with a guest now. */
export interface PowerChoices {
  readonly on: boolean;
  readonly off: boolean;
  readonly reset: boolean;
  /** By the power button, which only what runs can hear. */
  readonly shutdown: boolean;
}

/** By what was asked for, so that a guest that waits or was lost can be told to stay off. */
export function powerChoices(guest: GuestView): PowerChoices {
  const isWanted = guest.power === 'on';
  return {
    on: !isWanted && !guest.deleting && guest.phase !== 'stopping',
    off: isWanted && !guest.deleting,
    reset: isWanted && !guest.deleting && guest.phase === 'running',
    shutdown: isWanted && !guest.deleting && guest.phase === 'running',
  };
}

/** File name for a picture of a guest's screen: `tiny 2026-01-02 03.04.05.png`, with nothing in it that a file system minds. */
export function screenshotName(guestName: string, at: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}.${two(at.getMinutes())}.${two(at.getSeconds())}`;
  const name = guestName.replaceAll(/[^\p{L}\p{N} ._-]/gu, '_').replace(/^\.+/, '') || 'guest';
  return `${name} ${date} ${time}.png`;
}
