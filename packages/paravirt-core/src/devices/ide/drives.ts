/** What is plugged into the two cables of an IDE controller. */
import { backendKind } from '../../machine/device.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';

export type IdeDrive =
  | { readonly kind: 'disk'; readonly disk: BlockBackend }
  /** `disc` is the image, read-only, in sectors of 512 bytes; undefined is an empty tray. */
  | { readonly kind: 'cdrom'; readonly disc: BlockBackend | undefined };

export interface IdeDrives {
  /** Primary master, primary slave, secondary master, secondary slave. */
  readonly drives: readonly (IdeDrive | undefined)[];
}
export const ideDrives = backendKind<IdeDrives>('ide-drives');
