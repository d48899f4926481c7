/** What the HTTP API answers, as far as the commands read it. A server may be of another version: every answer is checked. */
import { z } from 'zod';

const guest = z.object({
  id: z.string(),
  name: z.string(),
  phase: z.string(),
  power: z.enum(['on', 'off']),
  run: z.number(),
  memoryMiB: z.number(),
  vcpus: z.number(),
  vmxPath: z.string(),
  disks: z.array(z.object({ slot: z.string(), path: z.string() })),
  runner: z.string().nullable(),
  message: z.string(),
  since: z.string(),
  created: z.string(),
  console: z.boolean(),
  deleting: z.boolean().default(false),
  vnc: z.object({ port: z.number().nullable(), password: z.boolean() }).nullable().default(null),
});
const runner = z.object({
  id: z.string(),
  state: z.string(),
  memoryMiB: z.number(),
  usedMemoryMiB: z.number(),
  vcpus: z.number(),
  usedVcpus: z.number(),
  guests: z.number(),
  lastSeen: z.string(),
  version: z.string().default(''),
});
const stats = z.object({
  id: z.string(),
  name: z.string(),
  phase: z.string(),
  run: z.number(),
  runner: z.string(),
  instructions: z.number(),
  cpuMs: z.number(),
  time: z.object({
    interpreted: z.number(),
    compiled: z.number(),
    translating: z.number(),
    devices: z.number(),
    // A server of before has none.
    system: z.number().default(0),
    idle: z.number(),
  }),
  exits: z.record(z.string(), z.number()),
  overhead: z.number().nullable().default(null),
  translations: z.record(z.string(), z.number()).default({}),
  regions: z.number(),
  compiledBytes: z.number(),
});
const memory = z.object({
  id: z.string(),
  name: z.string(),
  run: z.number(),
  runner: z.string(),
  sizeBytes: z.number(),
  wantedBytes: z.number(),
  bytes: z.number(),
  balloonBytes: z.number(),
  givenBytes: z.number(),
  driver: z.boolean(),
  statistics: z
    .object({
      swapInBytes: z.number(),
      swapOutBytes: z.number(),
      majorFaults: z.number(),
      minorFaults: z.number(),
      freeBytes: z.number(),
      totalBytes: z.number(),
      availableBytes: z.number(),
      cachesBytes: z.number(),
      hugetlbAllocations: z.number(),
      hugetlbFailures: z.number(),
    })
    .nullable(),
});
const event = z.object({
  sequence: z.number(),
  at: z.string(),
  source: z.string(),
  noun: z.string(),
  subjectId: z.string(),
  verb: z.string(),
  guestName: z.string().default(''),
  runnerId: z.string().default(''),
  run: z.number().default(0),
  message: z.string().default(''),
});
const file = z.object({ path: z.string(), kind: z.string() });

/** Fields that this version does not know are kept, so that `--json` shows them. */
export const schemas = {
  guest: guest.loose(),
  guests: z.object({ guests: z.array(guest.loose()) }),
  runners: z.object({ runners: z.array(runner.loose()) }),
  stats: z.object({ guests: z.array(stats) }),
  memory: memory.loose(),
  event: event.loose(),
  events: z.object({ events: z.array(event.loose()) }),
  files: z.object({ files: z.array(file) }),
  trouble: z.object({
    error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean().default(false) }),
  }),
} as const;

export type GuestView = z.infer<typeof guest>;
export type RunnerView = z.infer<typeof runner>;
export type StatsView = z.infer<typeof stats>;
export type MemoryView = z.infer<typeof memory>;
export type EventView = z.infer<typeof event>;
