/**
 * The virtio 9P transport (device type 9; the tag in its configuration is as Linux's `trans_virtio.c` reads it): each chain
 * holds a message of 9P2000.L and room for the answer. The device only moves them; a server outside of the machine answers.
 *
 * What has no answer yet is in the state, and a restored device asks again. A message that the old server had carried out
 * must not be asked twice, since `mkdir` and the like are no longer possible then: whoever saves a machine lets its
 * server finish and the device take the answers first.
 */
import { list, nested, pod, u32, whole, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { shareBackend } from './9p-backend.ts';
import { byteRegisters } from './fields.ts';
import { arePossible, heldChain, hold } from './held-chain.ts';
import { type Chain } from './queue-state.ts';
import { gather, scatter, totalLength } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { transportState } from './transport-state.ts';

const DEVICE_TYPE_9P = 9;
/** No class of PCI's fits. */
const CLASS_OTHER = 0x00ff00;
const VIRTIO_9P_MOUNT_TAG = 0;
/** Entries of Linux's scatter lists for one request (VIRTQUEUE_NUM). */
const QUEUE_SIZE = 128;
/** size[4] type[1] tag[2]. */
const HEADER_BYTES = 7;
/** The longest message: what the server agrees to at most. */
export const MOST_MESSAGE_BYTES = 512 * 1024;
const MOST_TAG_BYTES = 255;

const requestState = pod({
  /** The room for the answer, and how it goes back. */
  chain: nested(heldChain(QUEUE_SIZE)),
  message: list(QUEUE_SIZE, nested(pod({ address: whole(), length: u32() }))),
});
type InFlight = StateOf<typeof requestState>;
const shareState = pod({
  transport: nested(transportState([QUEUE_SIZE])),
  inFlight: list(QUEUE_SIZE, nested(requestState)),
});
type ShareState = StateOf<typeof shareState>;

/** Without a backend it has an empty tag, and no request is ever answered. */
export const virtio9p = defineDevice({
  kind: 'virtio-9p',
  version: 1,
  config: typed<object>({}),
  summary: 'virtio 1.x 9P transport over PCI (1AF4:1049): a folder of the host, by its mount tag',
  state: shareState,
  attach({ state, host }) {
    const share = new Share(state, host);
    return {
      pci: share.transport.pci,
      plugged: (slot) => share.transport.plugged(slot),
      settle: () => share.settle(),
    };
  },
});

class Share {
  readonly transport: VirtioPci;
  private readonly state: ShareState;
  private readonly host: Host;
  private readonly backend;
  /** What was submitted and is waited for. Answers to anything else are of before a reset. */
  private readonly awaited = new Map<number, InFlight>();
  private lastId = 0;

  constructor(state: ShareState, host: Host) {
    this.state = state;
    this.host = host;
    this.backend = host.backend(shareBackend);
    const tag = new TextEncoder().encode(this.backend?.tag ?? '').subarray(0, MOST_TAG_BYTES);
    const configuration = Uint8Array.of(tag.length, 0, ...tag);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_9P,
        classCode: CLASS_OTHER,
        queueSizes: [QUEUE_SIZE],
        features: [VIRTIO_9P_MOUNT_TAG],
        configuration: { ...byteRegisters(configuration), length: configuration.length },
        notified: () => this.takeChains(),
        reset: () => {
          this.state.inFlight = [];
          this.awaited.clear();
          this.backend?.reset();
        },
        draining: () => false,
        isPossible: () =>
          this.state.inFlight.every(
            ({ chain, message }) =>
              arePossible([chain, { ...chain, segments: message, offset: 0 }], host.memory) &&
              isMessage(totalLength(message)),
          ),
        resume: () => {
          for (const request of this.state.inFlight) this.submit(request);
        },
      },
    });
    this.backend?.onAnswer((id, answer) => this.answered(id, answer));
  }

  /** After reset and restore: what is in flight is asked again, and answers to what was asked before no longer count. */
  settle(): void {
    this.awaited.clear();
    this.transport.settle();
  }

  private get queue() {
    return this.transport.queues[0]!;
  }

  private takeChains(): boolean {
    for (let budget = this.queue.state.size; budget > 0; budget--) {
      const chain = this.queue.pop();
      if (chain === undefined) return false;
      this.take(chain);
    }
    return true;
  }
  private take(chain: Chain): void {
    const possible = isMessage(totalLength(chain.readable)) && totalLength(chain.writable) >= HEADER_BYTES;
    if (!possible) return this.queue.fail('request');
    // More chains than the ring has entries: the driver offers one again that it has not got back.
    if (this.state.inFlight.length >= this.queue.state.size) return this.queue.fail('index');
    const request = { chain: hold(chain, chain.writable), message: [...chain.readable] };
    this.state.inFlight.push(request);
    this.submit(request);
  }
  private submit(request: InFlight): void {
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.awaited.has(this.lastId));
    this.awaited.set(this.lastId, request);
    this.backend?.submit(this.lastId, gather(this.host.memory, request.message, totalLength(request.message)));
  }
  private answered(id: number, answer: Uint8Array): void {
    const request = this.awaited.get(id);
    if (request === undefined) return;
    this.awaited.delete(id);
    // One that has stopped keeps what it holds until its reset, restored or not.
    if (!this.transport.running()) return;
    this.state.inFlight.splice(this.state.inFlight.indexOf(request), 1);
    if (answer.length > totalLength(request.chain.segments)) return this.queue.fail('request');
    this.queue.push(request.chain, scatter(this.host.memory, request.chain.segments, answer));
    this.transport.signal(this.queue);
  }
}

const isMessage = (length: number): boolean => length >= HEADER_BYTES && length <= MOST_MESSAGE_BYTES;
