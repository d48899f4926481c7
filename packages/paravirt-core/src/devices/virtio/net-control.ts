/**
 * What the driver of a virtio network card says on its control queue (OASIS virtio 1.2, section 5.1.6.5): which frames it wants to hear,
 * and the card's address.
 */
import { array, bool, list, pod, u8, type Field, type StateOf } from '@tomei/kit';

export const VIRTIO_NET_F_CTRL_VQ = 17;
export const VIRTIO_NET_F_CTRL_RX = 18;
export const VIRTIO_NET_F_CTRL_MAC_ADDR = 23;

/** Classes and their commands. */
export const RX = { class: 0, promiscuous: 0, allMulticast: 1 } as const;
export const MAC = { class: 1, table: 0, address: 1 } as const;
/** Class and command, before what belongs to a command. */
const COMMAND_BYTES = 2;
/** `virtio_net_ctrl_ack`. */
export const ACK = { ok: 0, error: 1 } as const;

const ADDRESS_BYTES = 6;
const COUNT_BYTES = 4;
/** Addresses of one kind that are looked at one by one; of a longer table all of that kind are wanted. */
export const MOST_ADDRESSES = 64;
/** What is longer is no command: a table of ten thousand addresses. */
export const MOST_COMMAND = 1 << 16;

const address: Field<number[]> = array(ADDRESS_BYTES, () => u8());
export const filterState = pod({
  /** The address that the driver has given to the card, none or one. */
  given: list(1, address),
  /** Every frame is wanted. So it is until the driver says something else: it may not know that it can. */
  promiscuous: bool(true),
  allMulticast: bool(),
  unicast: list(MOST_ADDRESSES, address),
  multicast: list(MOST_ADDRESSES, address),
  /** The table of that kind was too long. */
  allUnicast: bool(),
  moreMulticast: bool(),
});
export type FilterState = StateOf<typeof filterState>;

const isGroup = (first: number): boolean => (first & 1) !== 0;
const isAt = (frame: Uint8Array, wanted: ArrayLike<number>): boolean => {
  for (let i = 0; i < ADDRESS_BYTES; i++) if (frame[i] !== wanted[i]) return false;
  return true;
};

/** Whether a frame is for a card of this address by what its driver has said. */
export function isWanted(filter: FilterState, own: Uint8Array, frame: Uint8Array): boolean {
  if (filter.promiscuous) return true;
  if (!isGroup(frame[0]!))
    return filter.allUnicast || isAt(frame, own) || filter.unicast.some((each) => isAt(frame, each));
  const isBroadcast = frame.subarray(0, ADDRESS_BYTES).every((byte) => byte === 0xff);
  return (
    isBroadcast || filter.allMulticast || filter.moreMulticast || filter.multicast.some((each) => isAt(frame, each))
  );
}

/**
 * Carries out a command, as long as it says it is: false when there is no such command, it is cut short or goes on, or a value is none.
 * Nothing has changed then.
 */
export function command(filter: FilterState, bytes: Uint8Array, accepted: (feature: number) => boolean): boolean {
  const [kind, number] = bytes;
  const given = bytes.subarray(COMMAND_BYTES);
  if (kind === RX.class) return accepted(VIRTIO_NET_F_CTRL_RX) && receiveMode(filter, number!, given);
  if (kind !== MAC.class) return false;
  if (number === MAC.table) return accepted(VIRTIO_NET_F_CTRL_RX) && addressTable(filter, given);
  if (number !== MAC.address || !accepted(VIRTIO_NET_F_CTRL_MAC_ADDR)) return false;
  // A group is nobody's own address.
  if (given.length !== ADDRESS_BYTES || isGroup(given[0]!)) return false;
  filter.given = [[...given]];
  return true;
}
function receiveMode(filter: FilterState, number: number, given: Uint8Array): boolean {
  const [value] = given;
  if (given.length !== 1 || value! > 1) return false;
  if (number === RX.promiscuous) filter.promiscuous = value === 1;
  else if (number === RX.allMulticast) filter.allMulticast = value === 1;
  else return false;
  return true;
}
/** Two tables, each with a count before it: of single addresses, and of groups. */
function addressTable(filter: FilterState, given: Uint8Array): boolean {
  const unicast = tableAt(given, 0);
  const multicast = unicast === undefined ? undefined : tableAt(given, unicast.end);
  if (unicast === undefined || multicast?.end !== given.length) return false;
  filter.unicast = unicast.addresses ?? [];
  filter.multicast = multicast.addresses ?? [];
  filter.allUnicast = unicast.addresses === undefined;
  filter.moreMulticast = multicast.addresses === undefined;
  return true;
}
/** The table at an offset; undefined when it is not there in full. It has no addresses when they are too many. */
function tableAt(given: Uint8Array, at: number): { readonly end: number; readonly addresses?: number[][] } | undefined {
  if (at + COUNT_BYTES > given.length) return undefined;
  const count = new DataView(given.buffer, given.byteOffset).getUint32(at, true),
    first = at + COUNT_BYTES,
    end = first + count * ADDRESS_BYTES;
  if (end > given.length) return undefined;
  if (count > MOST_ADDRESSES) return { end };
  const addresses = Array.from({ length: count }, (_, i) => [
    ...given.subarray(first + i * ADDRESS_BYTES, first + (i + 1) * ADDRESS_BYTES),
  ]);
  return { end, addresses };
}
