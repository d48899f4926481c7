/**
 * The receive side (82540EM software developer's manual, 3.2): which frames are taken, the packet buffer in which they wait, and
 * how they get into the guest's buffers. The packet checksum field of descriptors stays zero.
 */
import { pod, type StateOf } from '@tomei/kit';
import type { GuestMemory } from '../../machine/device.ts';
import { be16, checkPacket, frameCheck } from './checksum.ts';
import { frames } from './fields.ts';
import { MAX_PACKET } from './packet.ts';
import * as R from './registers.ts';
import type { Ring } from './transmit.ts';

const CHECK_BYTES = 4;
const VLAN_BYTES = 4;
const MAC_BYTES = 12;
const HEADER_BYTES = 14;
/** The largest frame without "long packets", check sequence and VLAN tag included. */
const LONGEST_NORMAL = 1522;

/** The packet buffer: 64 KiB of which PBA gives the receiver most; what each frame takes besides its bytes. */
export const BUFFER_BYTES = 64 << 10;
export const FRAME_OVERHEAD = 16;

/** Descriptor status (3.2.3.1) and errors (3.2.3.2). */
const STATUS_DONE = 1 << 0;
const STATUS_END = 1 << 1;
const STATUS_IGNORE_CHECKSUM = 1 << 2;
const STATUS_VLAN = 1 << 3;
const STATUS_TRANSPORT_CHECKED = 1 << 5;
const STATUS_IP_CHECKED = 1 << 6;
const STATUS_INEXACT = 1 << 7;
const ERROR_TRANSPORT = 1 << 5;
const ERROR_IP = 1 << 6;

/** An entry of the packet buffer is the frame without its check sequence, behind one byte: 1 if a hash let it in. */
export const receiveState = pod({ buffer: frames(HEADER_BYTES + 1, MAX_PACKET + VLAN_BYTES + 1, BUFFER_BYTES) });
export type Receive = StateOf<typeof receiveState>;

/** The registers that decide, as numbers. */
export interface ReceiveRegisters {
  readonly control: number;
  readonly checksums: number;
  readonly ethertype: number;
  readonly stripTags: boolean;
  readonly addresses: readonly number[];
  readonly multicast: readonly number[];
  readonly vlans: readonly number[];
}

export type Verdict = 'exact' | 'hashed' | 'refused';

/** Whether a frame passes VLAN and address filters (3.2.1). */
export function judge(frame: Uint8Array, r: ReceiveRegisters): Verdict {
  if (!passesVlan(frame, r)) return 'refused';
  const multicast = (frame[0]! & 1) !== 0;
  if (frame.subarray(0, 6).every((byte) => byte === 0xff) && (r.control & R.RCTL_BAM) !== 0) return 'exact';
  if ((r.control & (multicast ? R.RCTL_MPE : R.RCTL_UPE)) !== 0) return 'exact';
  if (matchesAddress(frame, r.addresses)) return 'exact';
  return multicast && inTable(frame, r) ? 'hashed' : 'refused';
}

function passesVlan(frame: Uint8Array, r: ReceiveRegisters): boolean {
  if ((r.control & R.RCTL_VFE) === 0 || be16(frame, MAC_BYTES) !== r.ethertype) return true;
  const tag = be16(frame, MAC_BYTES + 2);
  if ((r.control & R.RCTL_CFIEN) !== 0 && ((tag & 0x1000) !== 0) !== ((r.control & R.RCTL_CFI) !== 0)) return false;
  return (r.vlans[(tag >> 5) & 0x7f]! & (1 << (tag & 31))) !== 0;
}

function matchesAddress(frame: Uint8Array, addresses: readonly number[]): boolean {
  const low = (frame[0]! | (frame[1]! << 8) | (frame[2]! << 16) | (frame[3]! << 24)) >>> 0;
  const high = frame[4]! | (frame[5]! << 8);
  for (let i = 0; i < addresses.length; i += 2) {
    const upper = addresses[i + 1]!;
    // Entries that select by source address are not for the receiver of this controller.
    const valid = (upper & R.RAH_VALID) !== 0 && (upper & R.RAH_SELECT) === 0;
    if (valid && addresses[i] === low && (upper & 0xffff) === high) return true;
  }
  return false;
}

/** The multicast table: which twelve bits of the address index it, RCTL.MO says (13.5.1). */
function inTable(frame: Uint8Array, r: ReceiveRegisters): boolean {
  const shift = [4, 3, 2, 0][(r.control >> 12) & 3]!;
  const hash = ((frame[4]! | (frame[5]! << 8)) >> shift) & 0xfff;
  return (r.multicast[hash >> 5]! & (1 << (hash & 31))) !== 0;
}

export const isTooLong = (frame: Uint8Array, control: number): boolean =>
  frame.length + CHECK_BYTES > LONGEST_NORMAL && (control & R.RCTL_LPE) === 0;

/** Bytes of the packet buffer that are in use. */
export const used = (s: Receive): number => s.buffer.reduce((sum, entry) => sum + entry.length + FRAME_OVERHEAD, 0);

export const entryOf = (frame: Uint8Array, verdict: Verdict): Uint8Array => {
  const entry = new Uint8Array(frame.length + 1);
  entry[0] = verdict === 'hashed' ? 1 : 0;
  entry.set(frame, 1);
  return entry;
};

/** Size of the guest's buffers (RCTL.BSIZE and BSEX). */
export function bufferSize(control: number): number {
  const size = 2048 >> ((control >> 16) & 3);
  // 16 times 2048 is reserved; it is what the formula gives.
  return (control & R.RCTL_BSEX) !== 0 ? size * 16 : size;
}

interface Prepared {
  readonly bytes: Uint8Array;
  readonly status: number;
  readonly errors: number;
  readonly tag: number;
}

/** A frame as it goes into memory: tag taken out, check sequence put behind, with what is to be said of it. */
function prepare(entry: Uint8Array, r: ReceiveRegisters): Prepared {
  let frame = entry.subarray(1);
  let status = entry[0] === 1 ? STATUS_INEXACT : 0;
  let tag = 0;
  const check = (r.control & R.RCTL_SECRC) === 0 ? frameCheck(frame) : undefined;
  const isTagged = be16(frame, MAC_BYTES) === r.ethertype && frame.length >= HEADER_BYTES + VLAN_BYTES;
  if (r.stripTags && isTagged) {
    tag = be16(frame, MAC_BYTES + 2);
    status |= STATUS_VLAN;
    const shorter = new Uint8Array(frame.length - VLAN_BYTES);
    shorter.set(frame.subarray(0, MAC_BYTES));
    shorter.set(frame.subarray(MAC_BYTES + VLAN_BYTES), MAC_BYTES);
    frame = shorter;
  }
  const found = checkPacket(frame);
  const ip = (r.checksums & R.RXCSUM_IPOFL) !== 0 ? found.ip : undefined;
  const transport = (r.checksums & R.RXCSUM_TUOFL) !== 0 ? found.transport : undefined;
  if (ip === undefined && transport === undefined) status |= STATUS_IGNORE_CHECKSUM;
  if (ip !== undefined) status |= STATUS_IP_CHECKED;
  if (transport !== undefined) status |= STATUS_TRANSPORT_CHECKED;
  const errors = (ip === false ? ERROR_IP : 0) | (transport === false ? ERROR_TRANSPORT : 0);
  if (check === undefined) return { bytes: frame, status, errors, tag };
  const bytes = new Uint8Array(frame.length + CHECK_BYTES);
  bytes.set(frame);
  for (let i = 0; i < CHECK_BYTES; i++) bytes[frame.length + i] = (check >>> (8 * i)) & 0xff;
  return { bytes, status, errors, tag };
}

/** Descriptors that the guest has given to the controller. */
export const available = ({ count, head, tail }: Ring): number =>
  count === 0 || tail >= count ? 0 : (tail - (head < count ? head : 0) + count) % count;

export type Delivery = 'delivered' | 'no-descriptors' | 'never-fits';

/** Puts one entry of the packet buffer into the guest's memory, over as many descriptors as it takes. */
export function deliver(
  entry: Uint8Array,
  r: ReceiveRegisters,
  ring: Ring,
  memory: GuestMemory,
  setHead: (head: number) => void,
): Delivery {
  const { bytes, status, errors, tag } = prepare(entry, r);
  const size = bufferSize(r.control);
  const needed = Math.ceil(bytes.length / size);
  if (needed >= ring.count) return 'never-fits';
  if (needed > available(ring)) return 'no-descriptors';
  let head = ring.head < ring.count ? ring.head : 0;
  for (let from = 0; from < bytes.length; from += size) {
    const piece = bytes.subarray(from, from + size);
    const last = from + size >= bytes.length;
    const at = ring.base + head * R.DESCRIPTOR_BYTES;
    if (memory.contains(at, R.DESCRIPTOR_BYTES)) {
      const address = memory.read32(at + 4) * 2 ** 32 + memory.read32(at);
      if (memory.contains(address, piece.length)) memory.write(address, piece);
      memory.write32(at + 8, piece.length);
      // Status and errors last, as the guest looks at them.
      const word = last ? STATUS_DONE | STATUS_END | status | (errors << 8) | (tag << 16) : STATUS_DONE;
      memory.write32(at + 12, word >>> 0);
    }
    head = (head + 1) % ring.count;
  }
  setHead(head);
  return 'delivered';
}
