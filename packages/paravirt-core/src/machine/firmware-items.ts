/** What a machine tells its firmware: written by `firmware/`, handed out by the fw-cfg device. */

/** A named item, which firmware finds through the directory. */
export interface FirmwareFile {
  /** At most 55 ASCII characters, e.g. `etc/e820`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}
export interface FirmwareItems {
  /** Items by key, below 20h: the sizes and counts that are older than files. */
  readonly items: Readonly<Record<number, Uint8Array>>;
  readonly files: readonly FirmwareFile[];
}
