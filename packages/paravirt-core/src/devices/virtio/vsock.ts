/**
 * The virtio socket device (OASIS virtio 1.2, section 5.10), streams only: packets between the driver and the host's end of
 * connections, which keeps what there is of them. The device moves packets and knows of none.
 *
 * A packet of the driver's comes back to it when the host's end is done with it, so a driver that sends without end waits for the
 * host, and what has no answer yet is in the state; a restored device hands it over again. Connections do not outlive the host's
 * end: whoever goes on from a state tells the driver so (`disconnected`).
 */
import { bool, list, nested, pod, u32, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { byteRegisters } from './fields.ts';
import { arePossible, heldChain, hold } from './held-chain.ts';
import { type Chain } from './queue-state.ts';
import { gather, scatter, totalLength } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { transportState } from './transport-state.ts';
import { vsockBackend } from './vsock-backend.ts';
import {
  LEAST_GUEST_CID,
  MOST_VSOCK_DATA,
  VSOCK_HEADER_BYTES,
  VSOCK_LENGTH_OFFSET,
  cutVsockPacket,
} from './vsock-packet.ts';

const DEVICE_TYPE_SOCKET = 19;
/** Communication, other: what guests expect of it. */
const CLASS_COMMUNICATION = 0x078000;
const VIRTIO_VSOCK_F_STREAM = 0;

export const RECEIVE_QUEUE = 0;
export const TRANSMIT_QUEUE = 1;
export const EVENT_QUEUE = 2;
const QUEUE_SIZE = 128;
const QUEUE_SIZES = [QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE];
/** `id` of an event (5.10.6.7). */
const EVENT_TRANSPORT_RESET = 0;
const EVENT_BYTES = 4;

const vsockState = pod({
  transport: nested(transportState(QUEUE_SIZES)),
  /** Packets of the driver's that the host's end is not done with. */
  inFlight: list(
    QUEUE_SIZE,
    nested(
      pod({
        chain: nested(heldChain(QUEUE_SIZE)),
        /** Bytes of the chain that are the packet. */
        length: u32(),
      }),
    ),
  ),
  /** The driver is to be told that all connections are gone, and had no buffer for it. */
  resetDue: bool(),
});
type VsockState = StateOf<typeof vsockState>;
type InFlight = VsockState['inFlight'][number];

/** Without a backend nobody is at the other end, and no packet comes back. */
export const virtioVsock = defineDevice({
  kind: 'virtio-vsock',
  version: 1,
  config: typed<object>({}),
  summary: 'virtio 1.x socket device over PCI (1AF4:1053): streams between programs of guest and host',
  state: vsockState,
  attach({ state, host }) {
    const vsock = new Vsock(state, host);
    return {
      pci: vsock.transport.pci,
      plugged: (slot) => vsock.transport.plugged(slot),
      settle: () => vsock.settle(),
      /**
       * Gives the driver a packet: how many bytes of its data it had room for, all of them or fewer; undefined when it had no buffer
       * at all.
       */
      receive: (packet: Uint8Array): number | undefined => vsock.receive(packet),
      /** Tells the driver that all connections are gone. */
      disconnected: (): void => vsock.disconnected(),
    };
  },
});

class Vsock {
  readonly transport: VirtioPci;
  private readonly state: VsockState;
  private readonly host: Host;
  private readonly backend;
  /** What was handed over and is waited for. Whatever else is done with is of before a reset. */
  private readonly awaited = new Map<number, InFlight>();
  private lastId = 0;

  constructor(state: VsockState, host: Host) {
    this.state = state;
    this.host = host;
    this.backend = host.backend(vsockBackend);
    const configuration = new Uint8Array(8);
    new DataView(configuration.buffer).setUint32(0, this.backend?.cid ?? LEAST_GUEST_CID, true);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_SOCKET,
        classCode: CLASS_COMMUNICATION,
        queueSizes: QUEUE_SIZES,
        features: [VIRTIO_VSOCK_F_STREAM],
        configuration: { ...byteRegisters(configuration), length: configuration.length },
        notified: (index) => this.notified(index),
        reset: () => {
          this.state.inFlight = [];
          this.state.resetDue = false;
          this.awaited.clear();
          this.backend?.reset();
        },
        draining: () => false,
        isPossible: () =>
          arePossible(
            this.state.inFlight.map(({ chain }) => chain),
            host.memory,
          ) && this.state.inFlight.every(({ chain, length }) => isPacket(length, totalLength(chain.segments))),
        resume: () => {
          for (const packet of this.state.inFlight) this.submit(packet);
        },
      },
    });
    this.backend?.onDone((id) => this.done(id));
  }

  /** After reset and restore: what is in flight is handed over again, and what was before no longer counts. */
  settle(): void {
    this.awaited.clear();
    this.transport.settle();
  }

  receive(packet: Uint8Array): number | undefined {
    if (!this.transport.running()) return undefined;
    const queue = this.transport.queues[RECEIVE_QUEUE]!;
    let rest = packet;
    for (;;) {
      const taken = packet.length - rest.length;
      const chain = queue.pop();
      if (chain === undefined) {
        this.transport.signal(queue);
        return rest === packet ? undefined : taken;
      }
      const room = totalLength(chain.writable) - VSOCK_HEADER_BYTES;
      const data = rest.length - VSOCK_HEADER_BYTES;
      // Not even a byte of the data: it would go on for ever.
      if (room < Math.min(1, data)) {
        queue.fail('request');
        return rest === packet ? undefined : taken;
      }
      const [first, more] = room < data ? cutVsockPacket(rest, room) : [rest, undefined];
      queue.push(chain, scatter(this.host.memory, chain.writable, first));
      if (more === undefined) {
        this.transport.signal(queue);
        return packet.length - VSOCK_HEADER_BYTES;
      }
      rest = more;
    }
  }

  disconnected(): void {
    this.state.resetDue = this.transport.running();
    this.tell();
  }
  private tell(): void {
    if (!this.state.resetDue) return;
    const queue = this.transport.queues[EVENT_QUEUE]!;
    const chain = queue.pop();
    if (chain === undefined) return;
    if (totalLength(chain.writable) < EVENT_BYTES) return queue.fail('request');
    this.state.resetDue = false;
    const event = new Uint8Array(EVENT_BYTES);
    new DataView(event.buffer).setUint32(0, EVENT_TRANSPORT_RESET, true);
    queue.push(chain, scatter(this.host.memory, chain.writable, event));
    this.transport.signal(queue);
  }

  private notified(index: number): boolean {
    if (index === EVENT_QUEUE) this.tell();
    if (index !== TRANSMIT_QUEUE) return false;
    const queue = this.transport.queues[TRANSMIT_QUEUE]!;
    for (let budget = queue.state.size; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) return false;
      this.take(chain);
    }
    return true;
  }
  private take(chain: Chain): void {
    const queue = this.transport.queues[TRANSMIT_QUEUE]!;
    const available = totalLength(chain.readable);
    if (available < VSOCK_HEADER_BYTES) return queue.fail('request');
    const header = gather(this.host.memory, chain.readable, VSOCK_HEADER_BYTES);
    const length = VSOCK_HEADER_BYTES + new DataView(header.buffer).getUint32(VSOCK_LENGTH_OFFSET, true);
    if (!isPacket(length, available)) return queue.fail('request');
    // More chains than the ring has entries: the driver offers one again that it has not got back.
    if (this.state.inFlight.length >= queue.state.size) return queue.fail('index');
    const packet = { chain: hold(chain, chain.readable), length };
    this.state.inFlight.push(packet);
    this.submit(packet);
  }
  private submit(packet: InFlight): void {
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.awaited.has(this.lastId));
    this.awaited.set(this.lastId, packet);
    this.backend?.submit(this.lastId, gather(this.host.memory, packet.chain.segments, packet.length));
  }
  private done(id: number): void {
    const packet = this.awaited.get(id);
    if (packet === undefined) return;
    this.awaited.delete(id);
    // One that has stopped keeps what it holds until its reset, restored or not.
    if (!this.transport.running()) return;
    this.state.inFlight.splice(this.state.inFlight.indexOf(packet), 1);
    const queue = this.transport.queues[TRANSMIT_QUEUE]!;
    queue.push(packet.chain, 0);
    this.transport.signal(queue);
  }
}

/** Whether a packet of this length, header and all, lies in so many bytes. */
const isPacket = (length: number, available: number): boolean =>
  length >= VSOCK_HEADER_BYTES && length <= VSOCK_HEADER_BYTES + MOST_VSOCK_DATA && length <= available;
