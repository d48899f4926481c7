/** Chains that a device has taken and not given back yet, as part of its state. */
import { list, nested, pod, u16, u32, whole, type StateOf } from '@tomei/kit';
import { type GuestMemory } from '../../machine/device.ts';
import { type Chain } from './queue-state.ts';
import { totalLength, type Segment } from './segments.ts';

/** A chain out of a queue of at most `maxSize` entries, of which the buffers of one direction are used. */
export const heldChain = (maxSize: number) =>
  pod({
    id: u16(),
    slots: u16(1),
    segments: list(maxSize, nested(pod({ address: whole(), length: u32() }))),
    /** Bytes of the segments that are done with. */
    offset: whole(),
  });
export type HeldChain = StateOf<ReturnType<typeof heldChain>>;

export const hold = ({ id, slots }: Chain, segments: readonly Segment[]): HeldChain => ({
  id,
  slots,
  segments: [...segments],
  offset: 0,
});

/** Whether a queue can have given these chains out over this RAM. A snapshot is untrusted. */
export const arePossible = (chains: readonly HeldChain[], memory: GuestMemory): boolean =>
  chains.every(
    ({ slots, segments, offset }) =>
      slots >= 1 &&
      segments.every(({ address, length }) => length > 0 && memory.contains(address, length)) &&
      offset <= totalLength(segments),
  );
