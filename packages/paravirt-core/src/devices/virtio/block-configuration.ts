/** Feature bits and configuration space of the virtio block device (virtio 1.2, 5.2.3 and 5.2.4). */
import { SECTOR_BYTES } from './block-backend.ts';

export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
export const VIRTIO_BLK_F_MQ = 12;
export const VIRTIO_BLK_F_DISCARD = 13;
export const VIRTIO_BLK_F_WRITE_ZEROES = 14;

/** Sectors that one discard or write-zeroes request may cover: 1 GiB, so that none occupies the backend for long. */
export const MAX_RANGE_SECTORS = 2 ** 21;
/** Discards are best aligned to this many sectors. */
const DISCARD_ALIGNMENT_SECTORS = 8;

/** Offsets in `struct virtio_blk_config`. */
const CAPACITY = 0;
const SEG_MAX = 12;
const BLK_SIZE = 20;
const NUM_QUEUES = 34;
const MAX_DISCARD_SECTORS = 36;
const MAX_DISCARD_SEG = 40;
const DISCARD_SECTOR_ALIGNMENT = 44;
const MAX_WRITE_ZEROES_SECTORS = 48;
const MAX_WRITE_ZEROES_SEG = 52;
const WRITE_ZEROES_MAY_UNMAP = 56;
const CONFIGURATION_BYTES = 60;

/** Features that a disk offers: the commands that change it only when it may be changed. */
export function blockFeatures(readOnly: boolean): number[] {
  const always = [VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ];
  return [...always, ...(readOnly ? [VIRTIO_BLK_F_RO] : [VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES])];
}

/** `struct virtio_blk_config` of a disk of `sectors` with so many queues, whose requests may have `maxSegments` data segments. */
export function blockConfiguration(sectors: number, queues: number, maxSegments: number): Uint8Array {
  const bytes = new Uint8Array(CONFIGURATION_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(CAPACITY, BigInt(sectors), true);
  view.setUint32(SEG_MAX, maxSegments, true);
  view.setUint32(BLK_SIZE, SECTOR_BYTES, true);
  view.setUint16(NUM_QUEUES, queues, true);
  view.setUint32(MAX_DISCARD_SECTORS, MAX_RANGE_SECTORS, true);
  view.setUint32(MAX_DISCARD_SEG, 1, true);
  view.setUint32(DISCARD_SECTOR_ALIGNMENT, DISCARD_ALIGNMENT_SECTORS, true);
  view.setUint32(MAX_WRITE_ZEROES_SECTORS, MAX_RANGE_SECTORS, true);
  view.setUint32(MAX_WRITE_ZEROES_SEG, 1, true);
  view.setUint8(WRITE_ZEROES_MAY_UNMAP, 1);
  return bytes;
}
