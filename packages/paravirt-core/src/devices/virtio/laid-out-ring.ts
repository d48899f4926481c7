/** What both layouts of a virtqueue have in common: where their parts lie, and when there is nothing to interrupt the driver for. */
import { DESC_BYTES } from './chain.ts';
import { address, type Chain, type QueueTrouble, type Ring, type RingParts, type UsedChain } from './queue-state.ts';
import { type Segment } from './segments.ts';

/** Guest-physical addresses of the descriptors and of what driver and device write. */
export interface Places {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

export abstract class LaidOutRing<P extends Places> implements Ring {
  protected readonly parts: RingParts;

  constructor(parts: RingParts) {
    this.parts = parts;
  }

  abstract pop(): Chain | undefined;
  abstract push(chain: UsedChain, written: number): void;
  /** Undefined, and the queue is faulty, when the parts cannot be used. */
  protected abstract places(): P | undefined;
  /** Whether the driver wants to be interrupted for what was used from `before` on. */
  protected abstract wantsInterrupt(places: P, before: number): boolean;

  takeInterrupt(): boolean {
    const places = this.places();
    if (places === undefined) return false;
    const state = this.parts.state();
    const before = state.signalledUsed;
    state.signalledUsed = state.nextUsed;
    return before !== state.nextUsed && this.wantsInterrupt(places, before);
  }

  protected refuse(fault: QueueTrouble): undefined {
    this.parts.fail(fault);
    return undefined;
  }
  protected addresses(): Places {
    const { descHigh, descLow, driverHigh, driverLow, deviceHigh, deviceLow } = this.parts.state();
    return {
      desc: address(descHigh, descLow),
      driver: address(driverHigh, driverLow),
      device: address(deviceHigh, deviceLow),
    };
  }
  /** The buffer of a descriptor, whose first twelve bytes are alike in both layouts. */
  protected buffer(descriptor: number): Segment {
    const { memory } = this.parts;
    return {
      address: address(memory.read32(descriptor + 4), memory.read32(descriptor)),
      length: memory.read32(descriptor + 8),
    };
  }
  /** Whether these bytes can be an indirect table. */
  protected isTable({ address: base, length }: Segment): boolean {
    return length > 0 && length % DESC_BYTES === 0 && this.parts.memory.contains(base, length);
  }
}
