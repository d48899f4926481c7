/** Floppy disks: the controller, and what can be put into its drives. */
export { fdc82077 } from './fdc82077.ts';
export { FLOPPY_SIZES, floppyKindOf, floppyDrives, type FloppyDrives } from './media.ts';
