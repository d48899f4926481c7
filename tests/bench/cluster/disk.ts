/**
 * A disk through disk-service beside the same kind of file opened here: same machine, same run, same requests. disk-service is a process
 * of its own, reached over a Unix socket; the files are in the page cache, so that the way to them is measured, not the medium.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRemoteDisk } from '@tomei/guest';
import { createVmdk, openVmdk, type BlockDevice } from '@tomei/vmdk';
import { ServiceProcess } from '../../cluster/services.ts';

const MIB = 2 ** 20;
/** What a guest's file system sends when it reads or writes in a row. */
const SEQUENTIAL_BYTES = 128 << 10;
const SEQUENTIAL_DEPTH = 4;
const RANDOM_BYTES = 4096;

export interface LatencyFigures {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly perSecond: number;
}
export interface DiskFigures {
  /** Of 128 KiB requests, four in flight; a write ends with a flush. */
  readonly sequentialWriteMiBs: number;
  readonly sequentialReadMiBs: number;
  /** Of 4 KiB reads at random places. */
  readonly randomReadDepth1: LatencyFigures;
  readonly randomReadDepth32: LatencyFigures;
}
export interface DiskMeasurement {
  readonly local: DiskFigures;
  readonly remote: DiskFigures;
}
export interface DiskBenchOptions {
  /** Of each of the two disks. Default 128. */
  readonly sizeMiB?: number;
  /** Of each kind of random read. Default 8000. */
  readonly randomReads?: number;
}

/** Measures both; takes a few seconds and twice `sizeMiB` in the temporary folder. */
export async function measureDisk(options: DiskBenchOptions = {}): Promise<DiskMeasurement> {
  const { sizeMiB = 128, randomReads = 8000 } = options;
  const folder = await mkdtemp(join(tmpdir(), 'tomei-bench-disk-'));
  try {
    for (const name of ['local.vmdk', 'remote.vmdk'])
      await createVmdk(join(folder, name), { sizeBytes: sizeMiB * MIB });
    const bind = `unix:${folder}/service.sock`;
    await using service = await ServiceProcess.start('disk-service', { TOMEI_POOL: folder, TOMEI_BIND: bind });
    await service.ready();
    const local = await measured(await openVmdk(join(folder, 'local.vmdk')), randomReads);
    const remote = await measured(
      await openRemoteDisk({ target: bind, path: 'remote.vmdk', guestId: 'bench', run: 1 }),
      randomReads,
    );
    return { local, remote };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measured(disk: BlockDevice, randomReads: number): Promise<DiskFigures> {
  try {
    // Grains are allocated by a first pass: what is measured is writing into a disk that a guest has used.
    await sequential(disk, 'write');
    const sequentialWriteMiBs = await sequential(disk, 'write');
    await sequential(disk, 'read');
    const sequentialReadMiBs = await sequential(disk, 'read');
    await random(disk, 32, randomReads / 4);
    const randomReadDepth1 = await random(disk, 1, randomReads);
    const randomReadDepth32 = await random(disk, 32, randomReads);
    return { sequentialWriteMiBs, sequentialReadMiBs, randomReadDepth1, randomReadDepth32 };
  } finally {
    await disk.close();
  }
}

/** MiB per second. */
async function sequential(disk: BlockDevice, kind: 'read' | 'write'): Promise<number> {
  let next = 0;
  const began = performance.now();
  const go = async (): Promise<void> => {
    // Guest memory is shared between threads.
    const memory = new Uint8Array(new SharedArrayBuffer(SEQUENTIAL_BYTES)).fill(0x5a);
    while (next < disk.sizeBytes) {
      const at = next;
      next += SEQUENTIAL_BYTES;
      await disk[kind](at, memory);
    }
  };
  await Promise.all(Array.from({ length: SEQUENTIAL_DEPTH }, go));
  if (kind === 'write') await disk.flush();
  return disk.sizeBytes / MIB / ((performance.now() - began) / 1000);
}

async function random(disk: BlockDevice, depth: number, reads: number): Promise<LatencyFigures> {
  const took: number[] = [];
  // A fixed sequence (Knuth's multiplicative hash): both disks are asked for the same places.
  const blocks = disk.sizeBytes / RANDOM_BYTES;
  let begun = 0;
  const began = performance.now();
  const go = async (): Promise<void> => {
    const memory = new Uint8Array(new SharedArrayBuffer(RANDOM_BYTES));
    while (begun < reads) {
      const block = (Math.imul(++begun, 2_654_435_761) >>> 0) % blocks;
      const at = performance.now();
      await disk.read(block * RANDOM_BYTES, memory);
      took.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: depth }, go));
  const seconds = (performance.now() - began) / 1000;
  const sorted = took.toSorted((a, b) => a - b);
  const quantile = (q: number): number => Math.round(sorted[Math.floor(sorted.length * q)]! * 1000);
  return { p50Us: quantile(0.5), p99Us: quantile(0.99), perSecond: Math.round(took.length / seconds) };
}
