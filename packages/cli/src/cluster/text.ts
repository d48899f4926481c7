/** How guests, runners and events are shown to a person. */
import Table from 'cli-table3';
import type { EventView, GuestView, RunnerView } from './views.ts';

/** What comes from a server or a guest must not steer the terminal: control characters are left out. */
export const plain = (text: string): string => text.replaceAll(/\s*[\p{Cc}\p{Cf}]+\s*/gu, ' ').trim();

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};
/**
 * Columns under headings. The last one is cut where a terminal ends; into a file it goes whole. Those of `figures` stand at the
 * right.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  columns?: number,
  figures: readonly string[] = [],
): string {
  const cells = rows.map((row) => row.map(plain));
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  const room = columns === undefined ? undefined : Math.max(8, columns - before);
  const made = new Table({
    head: [...head],
    chars: NO_LINES,
    colAligns: head.map((title) => (figures.includes(title) ? 'right' : 'left')),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of cells) made.push(row.map((cell, i) => (i === row.length - 1 ? cut(cell, room) : cell)));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
const cut = (text: string, room: number | undefined): string =>
  room === undefined || text.length <= room ? text : `${text.slice(0, room - 3)}...`;

/** How long ago, in the largest unit that fits: `12 s`, `5 min`. */
export function ago(iso: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

export const guestTable = (guests: readonly GuestView[], now: number, columns?: number): string =>
  table(
    ['NAME', 'STATE', 'SINCE', 'MEMORY', 'VCPUS', 'RUNNER', 'MESSAGE'],
    guests.map((g) => [
      g.name,
      stateOf(g),
      ago(g.since, now),
      `${g.memoryMiB} MiB`,
      String(g.vcpus),
      g.runner ?? '-',
      g.message,
    ]),
    columns,
  );
const stateOf = (guest: GuestView): string => (guest.deleting ? `${guest.phase}, deleting` : guest.phase);

/** All that is known of a guest, as aligned lines. */
export function describeGuest(guest: GuestView, server: string): string {
  const facts: [string, string][] = [
    ['name', guest.name],
    ['id', guest.id],
    ['state', `${stateOf(guest)} since ${guest.since}`],
    ['power', `${guest.power} (run ${guest.run})`],
  ];
  if (guest.message !== '') facts.push(['message', guest.message]);
  facts.push(['runner', guest.runner ?? '-'], ['memory', `${guest.memoryMiB} MiB`], ['vcpus', String(guest.vcpus)]);
  facts.push(['vmx', guest.vmxPath], ...guest.disks.map(({ slot, path }): [string, string] => [slot, path]));
  facts.push(['page', `${server}/guests/${encodeURIComponent(guest.id)}`]);
  if (guest.vnc !== null) {
    const where = guest.vnc.port === null ? 'WebSocket only' : `port ${guest.vnc.port}`;
    facts.push(['vnc', `${where}, ${guest.vnc.password ? 'with' : 'without'} a password`]);
  }
  facts.push(['registered', guest.created]);
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`).join('\n');
}

export const runnerTable = (runners: readonly RunnerView[], now: number, columns?: number): string =>
  table(
    ['RUNNER', 'STATE', 'GUESTS', 'MEMORY', 'VCPUS', 'SEEN', 'VERSION'],
    runners.map((r) => [
      r.id,
      r.state,
      String(r.guests),
      `${r.usedMemoryMiB} of ${r.memoryMiB} MiB`,
      `${r.usedVcpus} of ${r.vcpus}`,
      `${ago(r.lastSeen, now)} ago`,
      r.version,
    ]),
    columns,
  );

const NAME_WIDTH = 16;
const VERB_WIDTH = 10;
/** What one event is about, for a line. */
export type EventLine = Pick<EventView, 'at' | 'noun' | 'subjectId' | 'verb' | 'guestName' | 'message'>;
/** `12:03:07  tiny              running`, in the time of this machine. */
export function eventLine({ at, noun, subjectId, verb, guestName, message }: EventLine): string {
  const time = new Date(at).toLocaleTimeString('en-GB');
  const who = noun === 'guest' ? guestName || subjectId : `${noun} ${subjectId}`;
  return `${time}  ${plain(who).padEnd(NAME_WIDTH)}  ${plain(verb).padEnd(VERB_WIDTH)}  ${plain(message)}`.trimEnd();
}
