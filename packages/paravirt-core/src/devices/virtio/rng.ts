/**
 * The virtio entropy device (OASIS virtio 1.2, section 5.4): fills the driver's buffers with random bytes, one buffer at a
 * time. Bytes come from outside of the machine, so that a recording has them.
 */
import { list, nested, pod, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { byteRegisters } from './fields.ts';
import { arePossible, heldChain, hold } from './held-chain.ts';
import { type Virtqueue } from './queue.ts';
import { randomSource } from './random-source.ts';
import { scatter, totalLength } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { transportState, withMsix } from './transport-state.ts';

const DEVICE_TYPE_ENTROPY = 4;
/** No class of PCI's fits. */
const CLASS_OTHER = 0x00ff00;
const QUEUE_SIZE = 64;
const QUEUE_SIZES = [QUEUE_SIZE];
/** The most bytes for one buffer; the driver is told how many it got (5.4.6.1). */
export const MOST_RANDOM_BYTES = 4096;

const rngState = pod({
  transport: nested(transportState(QUEUE_SIZES)),
  /** The buffer that waits for bytes. */
  waiting: list(1, nested(heldChain(QUEUE_SIZE))),
});
type RngState = StateOf<typeof rngState>;

/** Without a backend no buffer is ever filled. */
export const virtioRng = defineDevice({
  kind: 'virtio-rng',
  version: 2,
  config: typed<object>({}),
  summary: 'virtio 1.x entropy device over PCI (1AF4:1044)',
  state: rngState,
  migrate: (_version, state) => withMsix(state, QUEUE_SIZES),
  attach({ state, host }) {
    const rng = new Rng(state, host);
    return {
      pci: rng.transport.pci,
      plugged: (slot) => rng.transport.plugged(slot),
      settle: () => rng.transport.settle(),
    };
  },
});

class Rng {
  readonly transport: VirtioPci;
  private readonly state: RngState;
  private readonly host: Host;
  private readonly source;

  constructor(state: RngState, host: Host) {
    this.state = state;
    this.host = host;
    this.source = host.backend(randomSource);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_ENTROPY,
        classCode: CLASS_OTHER,
        queueSizes: QUEUE_SIZES,
        features: [],
        configuration: { ...byteRegisters(new Uint8Array(0)), length: 0 },
        notified: () => {
          this.next();
          return false;
        },
        reset: () => void (this.state.waiting = []),
        draining: () => false,
        isPossible: () => arePossible(this.state.waiting, host.memory),
        resume: () => this.ask(),
      },
    });
    this.source?.onBytes((bytes) => this.fill(bytes));
  }

  private get queue(): Virtqueue {
    return this.transport.queues[0]!;
  }

  /** Takes the next buffer, unless one waits already. */
  private next(): void {
    if (this.state.waiting.length > 0) return;
    const chain = this.queue.pop();
    if (chain === undefined) return;
    if (chain.readable.length > 0 || chain.writable.length === 0) return this.queue.fail('request');
    this.state.waiting = [hold(chain, chain.writable)];
    this.ask();
  }

  private ask(): void {
    const [chain] = this.state.waiting;
    if (chain !== undefined) this.source?.request(Math.min(totalLength(chain.segments), MOST_RANDOM_BYTES));
  }

  private fill(bytes: Uint8Array): void {
    const [chain] = this.state.waiting;
    if (chain === undefined || bytes.length === 0 || !this.transport.running()) return;
    this.state.waiting = [];
    this.queue.push(chain, scatter(this.host.memory, chain.segments, bytes.subarray(0, MOST_RANDOM_BYTES)));
    this.transport.signal(this.queue);
    this.next();
  }
}
