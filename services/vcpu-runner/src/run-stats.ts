/** A guest's figures as heartbeats carry them: whole milliseconds and counts. */
import type { RunStats } from '@tomei/contracts';
import type { GuestStats } from '@tomei/guest';

export function runStats({ instructions, cpuMs, time, exits, compiled, translations, overhead }: GuestStats): RunStats {
  const { 'device-memory': deviceMemory, 'tlb-miss': tlbMiss, ...others } = exits;
  const { flushes, kept, written, marked } = translations;
  return {
    instructions,
    cpuMs: Math.round(cpuMs),
    haltedMs: Math.round(time.idle),
    interpretedMs: Math.round(time.interpreted),
    compiledMs: Math.round(time.compiled),
    translatingMs: Math.round(time.translating),
    devicesMs: Math.round(time.devices),
    systemMs: Math.round(time.system),
    ...(overhead === undefined ? {} : { overhead }),
    exits: { ...others, deviceMemory, tlbMiss },
    regions: regionsInUse(compiled),
    compiledBytes: compiled?.bytes ?? 0,
    translations: {
      flushesWhole: flushes.whole,
      flushesNonGlobal: flushes.nonGlobal,
      flushesPage: flushes.page,
      kept,
      written: written.entries,
      writtenBatches: written.batches,
      marked,
    },
  };
}
/** Those that have been compiled and not forgotten since. */
export const regionsInUse = (compiled: GuestStats['compiled']): number =>
  compiled === undefined ? 0 : compiled.regions - compiled.dropped;
