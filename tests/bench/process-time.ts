/** Processor time of a process and all below it, from /proc (proc_pid_stat(5)). */
import { readFileSync, readdirSync } from 'node:fs';

/** Unit of the times in /proc/PID/stat: USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** User and system time of all threads, in seconds. */
  readonly seconds: number;
}

/** One line of /proc/PID/stat. The name in parentheses may hold anything. */
export function parseStat(line: string): ProcessStat {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  // Fields 4 (ppid), 14 (utime) and 15 (stime); the first of `fields` is number 3.
  const field = (n: number): number => Number(fields[n - 3]);
  return { pid: Number.parseInt(line, 10), parent: field(4), seconds: (field(14) + field(15)) / TICKS_PER_SECOND };
}

/** The processes at and below one. */
export function descendants(all: readonly ProcessStat[], root: number): ProcessStat[] {
  const children = all.filter((p) => p.parent === root).flatMap((p) => descendants(all, p.pid));
  return [...all.filter((p) => p.pid === root), ...children];
}

/** Seconds that a process and those below it have used so far; children that have ended no longer count. */
export function treeSeconds(root: number): number {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [parseStat(readFileSync(`/proc/${name}/stat`, 'latin1'))];
      } catch {
        return []; // It ended just now.
      }
    });
  return descendants(all, root).reduce((sum, p) => sum + p.seconds, 0);
}
