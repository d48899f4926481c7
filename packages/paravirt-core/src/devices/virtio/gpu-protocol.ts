/** Messages of the virtio GPU (OASIS virtio 1.2, section 5.7.6): numbers, the header that all share, answers. Little-endian. */
import type { DotFormat } from '../../display/scanout.ts';

/** Commands (5.7.6.7). */
export const COMMAND = {
  getDisplayInfo: 0x100,
  resourceCreate2d: 0x101,
  resourceUnref: 0x102,
  setScanout: 0x103,
  resourceFlush: 0x104,
  transferToHost2d: 0x105,
  resourceAttachBacking: 0x106,
  resourceDetachBacking: 0x107,
  getEdid: 0x10a,
  updateCursor: 0x300,
  moveCursor: 0x301,
} as const;
/** Answers. */
export const ANSWER = {
  ok: 0x1100,
  displayInfo: 0x1101,
  edid: 0x1104,
  unspecified: 0x1200,
  outOfMemory: 0x1201,
  invalidScanout: 0x1202,
  invalidResource: 0x1203,
  invalidParameter: 0x1205,
} as const;

/** `struct virtio_gpu_ctrl_hdr`: type, flags, fence_id, ctx_id, ring_idx. */
export const HEADER_BYTES = 24;
const FLAG_FENCE = 1;
/** `struct virtio_gpu_mem_entry`: address, length, padding. */
export const ENTRY_BYTES = 16;
/** Of `struct virtio_gpu_resource_attach_backing`, before its entries. */
export const ATTACH_BYTES = HEADER_BYTES + 8;
/** No command but one with entries is longer. */
export const COMMAND_BYTES = HEADER_BYTES + 32;

/** `struct virtio_gpu_resp_display_info` has room for so many screens, of which one is there. */
const MAX_SCANOUTS = 16;
const SCANOUT_BYTES = 24;
const EDID_ROOM = 1024;

/** Formats by number (5.7.6.8): the names there go from the lowest byte up. */
const BGRA = { blue: 0, green: 1, red: 2 },
  ARGB = { red: 1, green: 2, blue: 3 },
  RGBA = { red: 0, green: 1, blue: 2 },
  ABGR = { blue: 1, green: 2, red: 3 };
export const FORMATS: ReadonlyMap<number, DotFormat> = new Map<number, DotFormat>([
  [1, { ...BGRA, alpha: 3 }],
  [2, BGRA],
  [3, { ...ARGB, alpha: 0 }],
  [4, ARGB],
  [67, { ...RGBA, alpha: 3 }],
  [68, ABGR],
  [121, { ...ABGR, alpha: 0 }],
  [134, RGBA],
]);

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
export const rectangleAt = (view: DataView, at: number): Rectangle => ({
  x: view.getUint32(at, true),
  y: view.getUint32(at + 4, true),
  width: view.getUint32(at + 8, true),
  height: view.getUint32(at + 12, true),
});

/** An answer of `bytes` bytes to a command, with its fence (5.7.6.7: the driver finds what it fenced by that). */
export function answerTo(command: DataView, type: number, bytes = HEADER_BYTES): DataView {
  const answer = new DataView(new ArrayBuffer(bytes));
  answer.setUint32(0, type, true);
  if ((command.getUint32(4, true) & FLAG_FENCE) !== 0) {
    answer.setUint32(4, FLAG_FENCE, true);
    for (const at of [8, 12, 16]) answer.setUint32(at, command.getUint32(at, true), true);
  }
  return answer;
}
/** One screen of this size. */
export function displayInfo(command: DataView, { width, height }: { width: number; height: number }): DataView {
  const answer = answerTo(command, ANSWER.displayInfo, HEADER_BYTES + MAX_SCANOUTS * SCANOUT_BYTES);
  answer.setUint32(HEADER_BYTES + 8, width, true);
  answer.setUint32(HEADER_BYTES + 12, height, true);
  answer.setUint32(HEADER_BYTES + 16, 1, true);
  return answer;
}
export function edidAnswer(command: DataView, block: Uint8Array): DataView {
  const answer = answerTo(command, ANSWER.edid, HEADER_BYTES + 8 + EDID_ROOM);
  answer.setUint32(HEADER_BYTES, block.length, true);
  new Uint8Array(answer.buffer).set(block, HEADER_BYTES + 8);
  return answer;
}
