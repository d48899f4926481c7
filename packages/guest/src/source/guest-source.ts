/** Where a guest's files come from. */
import type { BlockDevice } from '@tomei/vmdk';
import type { DiskConfig, FileReference, GuestConfig, VmxProblem } from '@tomei/vmx';

/** A disk that a guest runs on. */
export interface GuestDisk extends BlockDevice {
  /** What the user should know: an unclean shutdown, a lock taken over. */
  readonly warnings: readonly string[];
  /** Flushes, and names the contents as they are now; undefined for a disk that has no name for them. */
  pinContentId(): Promise<string | undefined>;
}
/** A file that is put into the guest's memory. */
export interface BootFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface GuestSource {
  /** The `.vmx`, as messages name it. */
  readonly vmx: string;
  /** Whether the guest is of this machine, and not of a cluster. */
  readonly isLocal: boolean;
  /** Throws the `vmx.*` errors. */
  config(): Promise<{ readonly config: GuestConfig; readonly warnings: readonly VmxProblem[] }>;
  /** A whole file of at most `maxBytes`. Throws `kernel.*` and `initrd.*`, naming the line of the `.vmx`. */
  bootFile(noun: 'kernel' | 'initrd', file: FileReference, maxBytes: number): Promise<BootFile>;
  /** Opens the file of a configured disk, for writing only when its writes are kept. Throws `disk.*` and `vmdk.*`. */
  openDisk(disk: DiskConfig, file: FileReference): Promise<GuestDisk>;
  /** Opens an image of a CD, for reading. Throws `disk.*`. */
  openCd(file: FileReference): Promise<GuestDisk>;
  /** Opens an image of a floppy disk; for writing where the file may be written. Throws `disk.*`. */
  openFloppy(file: FileReference): Promise<GuestDisk>;
}
