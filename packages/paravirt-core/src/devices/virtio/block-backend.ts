/**
 * The host side of a disk as a device sees it. Made for a ring in shared memory to an I/O thread: plain requests out,
 * completions back.
 */
import { backendKind } from '../../machine/device.ts';
import { type Segment } from './segments.ts';

/** Bytes in a sector of requests and sizes, whatever the disk's own block size is. */
export const SECTOR_BYTES = 512;

export type BlockRequestKind = 'read' | 'write' | 'flush' | 'discard' | 'write-zeroes';

export interface BlockRequest {
  /** A u32 that no other request of this device has until the completion of this one. */
  readonly id: number;
  readonly kind: BlockRequestKind;
  /** First sector; 0 for a flush. `sector + count` is within the disk. */
  readonly sector: number;
  /** Number of sectors; 0 for a flush. */
  readonly count: number;
  /**
   * Where the data lies in guest RAM, `count` sectors in all; empty for flush, discard and write-zeroes. The I/O side
   * reads or writes there itself, and must not touch it after it has reported completion.
   */
  readonly segments: readonly Segment[];
  /** For write-zeroes: the range may be deallocated, provided that it then reads as zeroes. */
  readonly unmap: boolean;
}

/**
 * A disk. Requests may be worked on side by side and completed in any order. All of them are idempotent: done twice
 * with the same bytes in guest memory they leave the disk as done once, which is what lets a restored machine submit
 * them again.
 */
export interface BlockBackend {
  /** Size in sectors, fixed while the machine runs. */
  readonly sectors: number;
  readonly readOnly: boolean;
  /** Serial number that the guest sees: at most 20 ASCII characters count. */
  readonly id: string;
  /** Never blocks and never throws. May complete before it returns. */
  submit(request: BlockRequest): void;
  /**
   * `handler` hears of each submitted request once, on the thread of the device. A completed write is stable only when
   * a flush submitted after it completed with `ok`. There is one handler; the device sets it when it is built.
   */
  onComplete(handler: (id: number, ok: boolean) => void): void;
}

export const blockBackend = backendKind<BlockBackend>('block');
