/** Every request and answer of the HTTP API. The OpenAPI document is made from these. */
import { GUEST_PHASES, POOL_FILE_KINDS, POWERS } from '@tomei/contracts';
import { z } from 'zod';

const time = z.string().describe('A time, ISO 8601, UTC');
const MAX_TEXT = 1024;

export const guestView = z
  .object({
    id: z.string(),
    name: z.string(),
    phase: z.enum(GUEST_PHASES).describe('What it is seen to be'),
    power: z.enum(POWERS).describe('What it is wanted to be'),
    run: z.number().int().describe('Counts power-ons and resets'),
    memoryMiB: z.number().int(),
    vcpus: z.number().int(),
    vmxPath: z.string().describe('Place of its .vmx in the pool'),
    disks: z.array(z.object({ slot: z.string(), path: z.string() })),
    serialPorts: z.array(z.number().int()).describe('Which of COM1 to COM4 are there, from 0'),
    resizable: z.boolean().describe('Whether its screen can be asked to have another size'),
    runner: z.string().nullable().describe('Who has it; null: nobody'),
    message: z.string().describe('Why it is pending, how it crashed'),
    since: time.describe('Since when it has been in this phase'),
    created: time,
    console: z.boolean().describe('Whether its consoles can be opened'),
    deleting: z.boolean(),
    vnc: z
      .object({ port: z.number().int().nullable(), password: z.boolean().describe('Whether one is asked for') })
      .nullable()
      .describe('VNC over TCP; null: not enabled in its .vmx'),
  })
  .meta({ id: 'Guest' });
export type GuestView = z.infer<typeof guestView>;

export const runnerView = z
  .object({
    id: z.string(),
    state: z.enum(['ready', 'draining', 'lost']),
    memoryMiB: z.number().int(),
    usedMemoryMiB: z.number().int(),
    vcpus: z.number().int(),
    usedVcpus: z.number().int(),
    guests: z.number().int(),
    lastSeen: time,
    version: z.string(),
  })
  .meta({ id: 'Runner' });
export type RunnerView = z.infer<typeof runnerView>;

const milliseconds = z.number().int().describe('Host milliseconds of the processor');
const count = z.number().int();
/** Everything in it counts from the start of the run. */
export const statsView = z
  .object({
    id: z.string(),
    name: z.string(),
    phase: z.enum(GUEST_PHASES),
    run: z.number().int().describe('The run that is counted: another one counts anew'),
    runner: z.string(),
    instructions: count,
    cpuMs: z.number().int().describe('Host processor time, which on a busy host is less than the time that passed'),
    time: z
      .object({
        interpreted: milliseconds,
        compiled: milliseconds,
        translating: milliseconds,
        devices: milliseconds,
        system: milliseconds.describe('Privileged instructions, hypercalls and interrupts'),
        idle: milliseconds,
      })
      .describe('What the time that passed was spent on'),
    exits: z
      .object({
        port: count,
        deviceMemory: count,
        tlbMiss: count,
        exception: count,
        interrupt: count,
        halt: count,
        slice: count,
        hypervisor: count,
        privileged: count,
      })
      .describe("Times that the guest's code was left, by cause"),
    overhead: z
      .number()
      .nullable()
      .describe(
        'Virtualization work (devices, system) by guest code (interpreted, compiled, translating); null before there was any',
      ),
    translations: z
      .object({
        flushesWhole: count,
        flushesNonGlobal: count,
        flushesPage: count,
        kept: count.describe('Translations that outlived a load of CR3'),
        written: count.describe('Page-table entries that were found written when CR3 was loaded'),
        writtenBatches: count,
        marked: count.describe('Accessed and dirty bits that were set'),
      })
      .describe('Flushes of the TLB, and what is seen of page tables'),
    regions: z.number().int().describe('Compiled regions in use'),
    compiledBytes: z.number().int().describe('WebAssembly that was compiled, whether in use or not'),
  })
  .meta({ id: 'GuestStats' });
export type StatsView = z.infer<typeof statsView>;

const bytes = z.number().int();
export const memoryView = z
  .object({
    id: z.string(),
    name: z.string(),
    run: z.number().int(),
    runner: z.string(),
    sizeBytes: bytes.describe('Its memory, by its .vmx'),
    wantedBytes: bytes.describe('What of that it is to have'),
    bytes: bytes.describe('What it has: without the balloon'),
    balloonBytes: bytes.describe('What is in its balloon, as its driver says'),
    givenBytes: bytes.describe('What it gave to the balloon, or reported as free, each page as often as it did'),
    driver: z.boolean().describe('Whether a driver for the balloon is at work'),
    statistics: z
      .object({
        swapInBytes: bytes,
        swapOutBytes: bytes,
        majorFaults: count,
        minorFaults: count,
        freeBytes: bytes,
        totalBytes: bytes,
        availableBytes: bytes,
        cachesBytes: bytes,
        hugetlbAllocations: count,
        hugetlbFailures: count,
      })
      .nullable()
      .describe('As the driver tells them; 0 is also what it does not know; null: it has told none'),
  })
  .meta({ id: 'GuestMemory' });
export type MemoryView = z.infer<typeof memoryView>;

export const eventView = z
  .object({
    sequence: z.number().int().describe('Its place; it never goes back'),
    id: z.string(),
    at: time,
    source: z.string(),
    noun: z.string().describe('guest or runner'),
    subjectId: z.string(),
    verb: z.string(),
    guestName: z.string(),
    runnerId: z.string(),
    run: z.number().int(),
    message: z.string(),
  })
  .meta({ id: 'Event' });
export type EventView = z.infer<typeof eventView>;

export const fileView = z
  .object({ path: z.string(), kind: z.enum(POOL_FILE_KINDS), sizeBytes: z.number(), modified: time })
  .meta({ id: 'File' });
export type FileView = z.infer<typeof fileView>;

export const diskView = z
  .object({
    path: z.string(),
    type: z.string().describe('createType of the .vmdk'),
    sizeBytes: z.number().describe('What a guest sees'),
    allocatedBytes: z.number().describe('What it takes up'),
    openedBy: z.object({ guest: z.string(), run: z.number().int() }).nullable(),
    warnings: z.array(z.string()),
  })
  .meta({ id: 'Disk' });
export type DiskView = z.infer<typeof diskView>;

export const failure = z
  .object({
    error: z.object({
      code: z.string().describe('Stable: <noun>.<what-is-wrong>'),
      message: z.string().describe('For a person'),
      retryable: z.boolean().describe('Whether trying again unchanged may help'),
    }),
  })
  .meta({ id: 'Failure' });

export const guestParams = z.object({ idOrName: z.string().min(1).max(200) });
export const registerBody = z.strictObject({
  vmx: z.string().min(1).max(MAX_TEXT).describe('Place in the pool, such as tiny/tiny.vmx'),
  name: z.string().min(1).max(200).optional().describe('displayName of the .vmx when absent'),
});
export const powerBody = z.strictObject({
  action: z.enum(['on', 'off', 'reset', 'shutdown']),
  graceSeconds: z
    .number()
    .min(1)
    .max(3600)
    .optional()
    .describe('For shutdown: how long the guest may take before it is powered off; 60 when absent'),
});
export const memoryBody = z.strictObject({
  wantedMiB: z
    .number()
    .int()
    .min(1)
    .max(2 ** 22)
    .describe('What the guest is to have: 16 at least, and no more than its .vmx gives it'),
});
export const diskBody = z.strictObject({
  path: z.string().min(1).max(MAX_TEXT),
  sizeBytes: z.number().int().min(512).describe('Whole sectors of 512 bytes'),
  type: z.string().max(64).optional().describe('createType; monolithicSparse when absent'),
});
export const filesQuery = z.strictObject({ folder: z.string().max(MAX_TEXT).default('') });
export const diskQuery = z.strictObject({ path: z.string().min(1).max(MAX_TEXT) });
export const eventsQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  guest: z.string().max(200).optional().describe('Of one guest only, by id or name'),
});
