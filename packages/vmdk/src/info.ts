/** What a disk is, without changing it: for `tomei disk info`. */
import { realpath } from 'node:fs/promises';
import { HostFile, hostError } from './host-file.ts';
import { layOut, type OpenExtent } from './layout.ts';
import { lockHolder, type LockHolder } from './lock.ts';
import { SparseExtent } from './sparse-extent.ts';
import { StreamExtent } from './stream-extent.ts';

export interface ExtentInfo {
  readonly type: string;
  /** Absent for ZERO extents. */
  readonly path?: string;
  readonly sizeBytes: number;
  /** Length of the file, and what it takes up on the host. */
  readonly fileBytes: number;
  readonly allocatedBytes: number;
  /** Of sparse extents. */
  readonly sparse?: {
    readonly version: number;
    readonly grainBytes: number;
    readonly compressed: boolean;
    readonly uncleanShutdown: boolean;
  };
}
export interface VmdkInfo {
  readonly path: string;
  readonly createType: string;
  readonly sizeBytes: number;
  readonly fileBytes: number;
  readonly allocatedBytes: number;
  readonly cid?: string;
  readonly parentCid?: string;
  /** `ddb.*`. */
  readonly database: Readonly<Record<string, string>>;
  readonly extents: readonly ExtentInfo[];
  /** Who writes the disk now. */
  readonly lockedBy?: LockHolder;
  readonly warnings: readonly string[];
}

/** Throws what `openVmdk` does for reading. */
export async function infoVmdk(path: string, options: { allowOutsideExtents?: boolean } = {}): Promise<VmdkInfo> {
  const real = await realpath(path).catch((error: unknown) => {
    throw hostError(error, path, 'read');
  });
  const layout = await layOut(real, { writable: false, outside: options.allowOutsideExtents ?? false });
  try {
    const extents = await Promise.all(layout.extents.map(extentInfo));
    const lock = await lockHolder(real).catch(() => undefined);
    const { descriptor } = layout;
    const sum = (pick: (extent: ExtentInfo) => number): number => extents.reduce((total, e) => total + pick(e), 0);
    return {
      path: real,
      createType: descriptor?.createType ?? 'monolithicSparse',
      sizeBytes: sum((e) => e.sizeBytes),
      fileBytes: sum((e) => e.fileBytes),
      allocatedBytes: sum((e) => e.allocatedBytes),
      ...(descriptor === undefined ? {} : { cid: descriptor.cid, parentCid: descriptor.parentCid }),
      database: descriptor?.database ?? {},
      extents,
      ...(lock?.alive === true ? { lockedBy: lock.holder } : {}),
      warnings: layout.warnings,
    };
  } finally {
    await Promise.allSettled([...layout.extents.map((e) => e.device.close()), layout.place?.file.close()]);
  }
}

async function extentInfo({ type, path, device }: OpenExtent): Promise<ExtentInfo> {
  const { sizeBytes } = device;
  if (path === undefined) return { type, sizeBytes, fileBytes: 0, allocatedBytes: 0 };
  const file = await HostFile.open(path, false);
  try {
    const base = { type, path, sizeBytes, fileBytes: file.sizeBytes, allocatedBytes: await file.allocatedBytes() };
    if (!(device instanceof SparseExtent || device instanceof StreamExtent)) return base;
    const { version, uncleanShutdown } = device.header;
    const grainBytes = device.header.grainSize * 512;
    const compressed = device instanceof StreamExtent;
    return { ...base, sparse: { version, grainBytes, compressed, uncleanShutdown } };
  } finally {
    await file.close();
  }
}
