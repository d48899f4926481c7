/** The table of `tomei top`, as text. */
import { plain, table } from '../cluster/text.ts';
import { SORT_KEYS, type SortKey, type Usage } from './usage.ts';

/** Columns whose cells stand at the right. */
const FIGURES = [
  ...['BUSY', 'MIPS', 'INTERP', 'COMP', 'TRANSL', 'DEV', 'SYS', 'OVERH'],
  ...['TLB/S', 'FLUSH/S', 'EXITS/S', 'REGIONS', 'CODE'],
];
const HEAD = ['NAME', 'STATE', ...FIGURES, 'RUNNER'];

const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)}%`;
/** Three digits and a letter: `950`, `1.2k`, `38M`. */
export function short(n: number): string {
  const units = ['', 'k', 'M', 'G', 'T'];
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  return `${n < 9.95 && unit > 0 ? n.toFixed(1) : Math.round(n)}${units[unit]}`;
}

/** Shares are of the time that passed. */
export function topTable(all: readonly Usage[], columns?: number): string {
  const rows = all.map((u) => [
    ...[u.name, u.phase, percent(u.busy), short(u.mips)],
    ...[u.shares.interpreted, u.shares.compiled, u.shares.translating, u.shares.devices, u.shares.system].map(percent),
    ...[
      percent(u.overhead),
      short(u.tlbMisses),
      short(u.tlbFlushes),
      short(u.exits),
      short(u.regions),
      `${short(u.compiledBytes)}B`,
      u.runner,
    ],
  ]);
  return table(HEAD, rows, columns, FIGURES);
}

/** What stands above the live table. */
export interface TopState {
  readonly server: string;
  readonly time: string;
  readonly key: SortKey;
  readonly reversed: boolean;
  /** Why the last look failed. */
  readonly trouble?: string;
}
/** The screen of a terminal, a line each, no more than fit. */
export function topScreen(
  all: readonly Usage[],
  { server, time, key, reversed, trouble }: TopState,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): string[] {
  const busy = all.reduce((total, { busy: share }) => total + share, 0);
  const keys = Object.entries(SORT_KEYS).map(([name, letter]) => `${letter} ${name}`);
  const lines = [
    `tomei top  ${server}  ${time}  ${all.length} ${all.length === 1 ? 'guest runs' : 'guests run'}, ${busy.toFixed(1)} processors busy`,
    trouble === undefined
      ? `sorted by ${key}${reversed ? ', reversed' : ''}   keys: ${keys.join(', ')}; again: reversed; q leaves`
      : plain(trouble),
    '',
    ...topTable(all, columns).split('\n'),
  ];
  return lines.slice(0, rows).map((line) => line.slice(0, columns));
}
