/** The numbers of `tomei run --stats`, for a person. */
import { EXIT_CAUSES, TIME_USES, VIRTUALIZATION_WORK, type GuestStats } from '@tomei/guest';

const count = (n: number): string => n.toLocaleString('en-US');
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

/** One line each, under names of one width. */
export function describeStats(stats: GuestStats): string[] {
  const { instructions, guestMs, cpuMs, haltedMs, frames, compiled, time, exits, overhead, virtualization } = stats,
    { flushes, kept, written, marked } = stats.translations;
  const mips = cpuMs > 0 ? instructions / cpuMs / 1000 : 0,
    total = TIME_USES.reduce((sum, use) => sum + time[use], 0);
  const events = Object.entries(stats.events).sort(([, a], [, b]) => b - a);
  return [
    `instructions   ${count(instructions)}   ${mips.toFixed(1)} MIPS`,
    `time           ${seconds(guestMs)} running (${seconds(cpuMs)} of host CPU), ${seconds(haltedMs)} halted`,
    `shares         ${TIME_USES.map((use) => `${use} ${percent(time[use], total)}`).join(', ')}`,
    ...(overhead === undefined
      ? []
      : [
          `overhead       ${percent(overhead, 1)} of guest code: ${VIRTUALIZATION_WORK.map((work) => `${work} ${seconds(virtualization[work])}`).join(', ')}`,
        ]),
    `code           ${count(stats.decoded)} decoded, ${count(stats.codeInvalidations)} pages rewritten, ${count(stats.codeFlushes)} flushes`,
    ...(compiled === undefined || compiled.regions === 0
      ? []
      : [
          `compiled       ${count(compiled.regions)} regions, ${count(compiled.dropped)} of them dropped, ${count(compiled.bytes >> 10)} KiB, ${seconds(compiled.translatingMs)} of translating beside the guest, which waited ${compiled.longestMs.toFixed(1)} ms at most`,
        ]),
    `exits          ${EXIT_CAUSES.map((cause) => `${cause} ${count(exits[cause])}`).join(', ')}`,
    `translations   ${count(stats.pageWalks)} walks, flushes: ${count(flushes.whole)} whole, ${count(flushes.nonGlobal)} non-global, ${count(flushes.page)} of a page; ${count(kept)} kept; page tables: ${count(written.entries)} entries found written in ${count(written.batches)} batches, ${count(marked)} bits set`,
    ...(frames === undefined
      ? []
      : [`frames         ${count(frames.sent)} sent, ${count(frames.received)} received, ${count(frames.lost)} lost`]),
    `events         ${events.map(([vector, n]) => `${vector}: ${count(n)}`).join(', ')}`,
  ];
}
const percent = (part: number, whole: number): string => `${whole > 0 ? ((part / whole) * 100).toFixed(1) : '0.0'}%`;
