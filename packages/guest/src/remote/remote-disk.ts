/** A disk of disk-service as a block device of the guest process. */
import { TomeiError } from '@tomei/kit';
import type { BlockDevice } from '@tomei/vmdk';

export interface RemoteDiskOptions {
  /** Of disk-service, as gRPC writes it. */
  readonly target: string;
  /** The disk's place in the pool. */
  readonly path: string;
  readonly guestId: string;
  /** A later run of a guest takes its disks over from an earlier one. */
  readonly run: number;
  readonly readOnly?: boolean;
  /** Told, in one sentence, when the connection is lost and when it is back. */
  readonly onWarning?: (text: string) => void;
  /** After so long without a connection requests fail with `disk.unreachable`. Default 60 000. */
  readonly ioTimeoutMs?: number;
}
/** Besides what every block device throws: `disk.unreachable`, and `disk.stale-lease` for good when another run has taken the disk. */
export interface RemoteDisk extends BlockDevice {
  /** What the user should know, from opening. */
  readonly warnings: readonly string[];
  discard(offset: number, length: number): Promise<void>;
  /** Flushes, and returns the content id of the disk as it is now; undefined when it has none. Call when no write is in flight. */
  pinContentId(): Promise<string | undefined>;
}

/** Opens a disk for a run of a guest. Throws what disk-service says (`disk.missing`, `disk.leased`), `disk.unreachable`. */
// eslint-disable-next-line @typescript-eslint/require-await -- the interface comes first; what is behind it follows
export async function openRemoteDisk(options: RemoteDiskOptions): Promise<RemoteDisk> {
  throw new TomeiError('disk.unreachable', `${options.path}: remote disks are not there yet`);
}
