/** What the HTTP API shows: plain words, ISO times, and nothing that is secret. */
import {
  guestPhase,
  poolFileKind,
  power,
  type Event,
  type Guest,
  type InfoResponse,
  type MemoryReport,
  type PoolFile,
} from '@tomei/contracts';
import type { DiskView, EventView, FileView, GuestView, MemoryView, RunnerView, StatsView } from './api/schemas.ts';
import type { SeenRun, SeenRunner } from './runners.ts';

/** ECMA-262, 21.4.1.1: no date is later. Times of events come from outside. */
const MAX_MS = 8_640_000_000_000_000;
const iso = (ms: number): string => new Date(Math.min(ms, MAX_MS)).toISOString();

export function guestView({ id, name, createdMs, spec, desired, observed }: Guest): GuestView {
  const phase = guestPhase.toWord(observed?.phase ?? 'GUEST_PHASE_UNSPECIFIED');
  const { vnc } = spec ?? {};
  return {
    id,
    name,
    phase,
    power: power.toWord(desired?.power ?? 'POWER_UNSPECIFIED'),
    run: desired?.run ?? 0,
    memoryMiB: spec?.memoryMib ?? 0,
    vcpus: spec?.vcpus ?? 0,
    vmxPath: spec?.vmxPath ?? '',
    disks: (spec?.disks ?? []).map(({ slot, path }) => ({ slot, path })),
    serialPorts: [...(spec?.serialPorts ?? [])],
    resizable: spec?.resizable ?? false,
    runner: observed === undefined || observed.runnerId === '' ? null : observed.runnerId,
    message: observed?.message ?? '',
    since: iso(observed?.sinceMs ?? createdMs),
    created: iso(createdMs),
    console: observed?.console !== undefined && (phase === 'running' || phase === 'starting'),
    deleting: desired?.deleting ?? false,
    vnc: vnc === undefined ? null : { port: vnc.port === 0 ? null : vnc.port, password: vnc.password !== '' },
  };
}

export function runnerView({ id, heartbeat, heardMs, state }: SeenRunner): RunnerView {
  const { capacity, runs, version } = heartbeat;
  return {
    id,
    state,
    memoryMiB: capacity?.memoryMib ?? 0,
    usedMemoryMiB: capacity?.usedMemoryMib ?? 0,
    vcpus: capacity?.vcpus ?? 0,
    usedVcpus: capacity?.usedVcpus ?? 0,
    guests: runs.filter(({ phase }) => phase !== 'RUN_PHASE_ENDED' && phase !== 'RUN_PHASE_CRASHED').length,
    lastSeen: iso(heardMs),
    version,
  };
}

const NO_EXITS = {
  ...{ port: 0, deviceMemory: 0, hypervisor: 0, privileged: 0, tlbMiss: 0 },
  ...{ exception: 0, interrupt: 0, halt: 0, slice: 0 },
};
const NO_TRANSLATIONS = {
  ...{ flushesWhole: 0, flushesNonGlobal: 0, flushesPage: 0 },
  ...{ kept: 0, written: 0, writtenBatches: 0, marked: 0 },
};
/** Undefined where the runner knows no figures of the run yet. */
export function statsView({ id, name, observed }: Guest, { runnerId, report }: SeenRun): StatsView | undefined {
  const { stats, run } = report;
  if (stats === undefined) return undefined;
  return {
    id,
    name,
    phase: guestPhase.toWord(observed?.phase ?? 'GUEST_PHASE_UNSPECIFIED'),
    run,
    runner: runnerId,
    instructions: stats.instructions,
    cpuMs: stats.cpuMs,
    time: {
      interpreted: stats.interpretedMs,
      compiled: stats.compiledMs,
      translating: stats.translatingMs,
      devices: stats.devicesMs,
      system: stats.systemMs,
      idle: stats.haltedMs,
    },
    exits: stats.exits ?? NO_EXITS,
    overhead: stats.overhead ?? null,
    translations: stats.translations ?? NO_TRANSLATIONS,
    regions: stats.regions,
    compiledBytes: stats.compiledBytes,
  };
}

export function memoryView(
  of: Pick<MemoryView, 'id' | 'name' | 'run' | 'runner'>,
  { sizeBytes, wantedBytes, balloonBytes, givenBytes, hasDriver, statistics }: MemoryReport,
): MemoryView {
  return {
    ...of,
    ...{ sizeBytes, wantedBytes, bytes: Math.max(0, sizeBytes - balloonBytes), balloonBytes, givenBytes },
    driver: hasDriver,
    statistics: statistics ?? null,
  };
}

export function eventView(sequence: number, event: Event): EventView {
  const { id, atMs, source, noun, subjectId, verb, guestName, runnerId, run, message } = event;
  return { sequence, id, at: iso(atMs), source, noun, subjectId, verb, guestName, runnerId, run, message };
}

export const fileView = ({ path, kind, sizeBytes, modifiedMs }: PoolFile): FileView => ({
  path,
  kind: poolFileKind.toWord(kind),
  sizeBytes,
  modified: iso(modifiedMs),
});

export const diskView = ({ path, createType, sizeBytes, allocatedBytes, lease, warnings }: InfoResponse): DiskView => ({
  path,
  type: createType,
  sizeBytes,
  allocatedBytes,
  openedBy: lease === undefined ? null : { guest: lease.guestId, run: lease.run },
  warnings: [...warnings],
});
