/** What is to be reached, and by how much it is or is not. */
import { figure } from './tables.ts';

export interface Target {
  readonly what: string;
  readonly wanted: number;
  /** Times are to be at least what is wanted; milliseconds and percent below it. */
  readonly unit: 'times' | 'ms' | '%';
  /** Absent where nothing was measured that says so. */
  readonly measured?: number;
}

/** By how many parts of what is wanted a target is surpassed: below 0, missed. Undefined where nothing was measured. */
export function margin({ wanted, unit, measured }: Target): number | undefined {
  if (measured === undefined) return undefined;
  return unit === 'times' ? (measured - wanted) / wanted : (wanted - measured) / wanted;
}
/** Undefined where nothing was measured. */
export function isMet(target: Target): boolean | undefined {
  const by = margin(target);
  return by === undefined ? undefined : target.unit === 'times' ? by >= 0 : by > 0;
}
/** In so many words; percent of what is wanted. */
export function verdict(target: Target): string {
  const met = isMet(target);
  if (met === undefined) return 'not measured';
  const percent = Math.abs(margin(target)! * 100);
  return `${met ? 'met' : 'missed'} by ${percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}
/** As results are stored. */
export const judged = (targets: readonly Target[]) =>
  targets.map((target) => ({ ...target, met: isMet(target) ?? null, verdict: verdict(target) }));

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}
export function targetsTable(targets: readonly Target[]): Table {
  const unitOf = ({ unit }: Target): string => (unit === 'times' ? '' : ` ${unit}`);
  return {
    head: ['target', 'wanted', 'measured', ''],
    rows: targets.map((target) => [
      target.what,
      `${target.unit === 'times' ? 'at least' : 'below'} ${target.wanted}${unitOf(target)}`,
      target.measured === undefined ? '-' : `${figure(target.measured)}${unitOf(target)}`,
      verdict(target),
    ]),
  };
}
