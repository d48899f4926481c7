/** The table of a profile's hot functions, as text. */
import type { Profile } from '@tomei/guest';
import { table } from '../cluster/text.ts';
import type { HotFunction } from './call-tree.ts';

/** Functions that are listed. */
const MOST_LISTED = 30;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const percent = (part: number, whole: number): string => `${(whole > 0 ? (part / whole) * 100 : 0).toFixed(1)}%`;

/** SELF is the time in the function itself, TOTAL with what it called, as far as frames tell. */
export function hotTable(profile: Profile, functions: readonly HotFunction[]): string {
  const whole = profile.stacks.reduce((sum, { ms }) => sum + ms, 0);
  const rows = functions
    .slice(0, MOST_LISTED)
    .map(({ name, kind, selfMs, totalMs }) => [
      ...[percent(selfMs, whole), percent(totalMs, whole), seconds(selfMs)],
      ...[kind === 'unknown' ? 'no name' : kind, name],
    ]);
  const left = functions.length - rows.length;
  return [
    `${profile.samples.toLocaleString('en-US')} samples of ${seconds(profile.ms)}; the guest was halted for ${seconds(profile.idleMs)}`,
    table(['SELF', 'TOTAL', 'TIME', 'CODE', 'FUNCTION'], rows, undefined, ['SELF', 'TOTAL', 'TIME']),
    ...(left > 0 ? [`and ${left.toLocaleString('en-US')} more`] : []),
  ].join('\n');
}
