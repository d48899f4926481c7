/**
 * The virtio network card (OASIS virtio 1.2, section 5.1): one pair of queues, checksums left to the card in both
 * directions, mergeable receive buffers, link status.
 *
 * Known gaps: no segmentation (TSO, UFO), no control queue, so that every frame on the wire is received.
 */
import { list, nested, pod, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { checkPacket, onesSum } from '../e1000/checksum.ts';
import { nicBackend } from '../nic-backend.ts';
import { byteRegisters } from './fields.ts';
import { arePossible, heldChain, hold } from './held-chain.ts';
import { type Chain } from './queue-state.ts';
import { type Virtqueue } from './queue.ts';
import { gather, scatter, totalLength } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { transportState } from './transport-state.ts';

const DEVICE_TYPE_NETWORK = 1;
const CLASS_ETHERNET = 0x020000;

export const VIRTIO_NET_F_CSUM = 0;
export const VIRTIO_NET_F_GUEST_CSUM = 1;
export const VIRTIO_NET_F_MAC = 5;
export const VIRTIO_NET_F_MRG_RXBUF = 15;
export const VIRTIO_NET_F_STATUS = 16;

export const RECEIVE_QUEUE = 0;
export const TRANSMIT_QUEUE = 1;
const QUEUE_SIZE = 256;

/** Offsets in `struct virtio_net_config`, of which MAC and status count here. */
const STATUS = 6;
const CONFIGURATION_BYTES = 12;
const STATUS_LINK_UP = 1;

/** `struct virtio_net_hdr` (5.1.6): flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers. */
export const HEADER_BYTES = 12;
const GSO_TYPE = 1;
const CSUM_START = 6;
const CSUM_OFFSET = 8;
const NUM_BUFFERS = 10;
export const HDR_F_NEEDS_CSUM = 1;
export const HDR_F_DATA_VALID = 2;

const LEAST_FRAME = 14;
/** What other cards here can send and take. */
const MOST_FRAME = 16_288;
/** A frame without jumbo size, and the buffer that a driver without mergeable buffers has for it at least (5.1.6.3.1). */
const ORDINARY_FRAME = 1514;

export interface NetConfig {
  /** Six bytes. */
  readonly mac: Uint8Array;
}

const netState = pod({
  transport: nested(transportState([QUEUE_SIZE, QUEUE_SIZE])),
  /** Receive buffers that were taken and hold no frame yet. */
  buffers: list(QUEUE_SIZE, nested(heldChain(QUEUE_SIZE))),
});
type NetState = StateOf<typeof netState>;

/** Without a backend the card is there with nothing plugged in. */
export const virtioNet = defineDevice({
  kind: 'virtio-net',
  version: 1,
  config: typed<NetConfig>({ mac: Uint8Array.of(0, 0x0c, 0x29, 1, 2, 3) }),
  summary: 'virtio 1.x network card over PCI (1AF4:1041): checksums, mergeable receive buffers, link status',
  state: netState,
  attach({ config, state, host }) {
    const net = new Net(config, state, host);
    return {
      pci: net.transport.pci,
      plugged: (slot) => net.transport.plugged(slot),
      settle: () => net.transport.settle(),
    };
  },
});

class Net {
  readonly transport: VirtioPci;
  private readonly state: NetState;
  private readonly host: Host;
  private readonly wire;

  constructor({ mac }: NetConfig, state: NetState, host: Host) {
    this.state = state;
    this.host = host;
    this.wire = host.backend(nicBackend);
    const configuration = new Uint8Array(CONFIGURATION_BYTES);
    configuration.set(mac.subarray(0, STATUS));
    const { read, write } = byteRegisters(configuration);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_NETWORK,
        classCode: CLASS_ETHERNET,
        queueSizes: [QUEUE_SIZE, QUEUE_SIZE],
        features: [
          VIRTIO_NET_F_CSUM,
          VIRTIO_NET_F_GUEST_CSUM,
          VIRTIO_NET_F_MAC,
          VIRTIO_NET_F_MRG_RXBUF,
          VIRTIO_NET_F_STATUS,
        ],
        configuration: {
          length: CONFIGURATION_BYTES,
          read: (offset, width) => {
            configuration[STATUS] = this.wire?.linkUp === true ? STATUS_LINK_UP : 0;
            return read(offset, width);
          },
          write,
        },
        notified: (queue) => queue === TRANSMIT_QUEUE && this.transmit(),
        reset: () => void (this.state.buffers = []),
        draining: () => false,
        isPossible: () => arePossible(this.state.buffers, host.memory),
      },
    });
    this.wire?.onReceive((frame) => this.receive(frame));
    this.wire?.onLink?.(() => this.transport.configurationChanged());
  }

  private get receiving(): Virtqueue {
    return this.transport.queues[RECEIVE_QUEUE]!;
  }

  /** Sends what is there, at most as many frames as can be outstanding. */
  private transmit(): boolean {
    const queue = this.transport.queues[TRANSMIT_QUEUE]!;
    let budget = queue.state.size;
    for (; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      this.send(chain);
      queue.push(chain, 0);
    }
    this.transport.signal(queue);
    return budget === 0;
  }

  /** What is no frame that can be sent is lost: there is no way to tell the driver. */
  private send({ readable }: Chain): void {
    const length = totalLength(readable) - HEADER_BYTES;
    if (length < LEAST_FRAME || length > MOST_FRAME) return;
    const bytes = gather(this.host.memory, readable, HEADER_BYTES + length);
    const header = new DataView(bytes.buffer, 0, HEADER_BYTES);
    const frame = bytes.subarray(HEADER_BYTES);
    if (header.getUint8(GSO_TYPE) !== 0) return;
    if ((header.getUint8(0) & HDR_F_NEEDS_CSUM) !== 0) {
      const start = header.getUint16(CSUM_START, true);
      const at = start + header.getUint16(CSUM_OFFSET, true);
      if (!this.transport.accepted(VIRTIO_NET_F_CSUM) || at + 2 > length) return;
      completeChecksum(frame, start, at);
    }
    if (this.wire?.linkUp === true) this.wire.send(frame);
  }

  /** A frame from the wire; false when there is no room for it. */
  private receive(frame: Uint8Array): boolean {
    if (!this.transport.running() || frame.length > MOST_FRAME) return false;
    const needed = HEADER_BYTES + frame.length;
    const merges = this.transport.accepted(VIRTIO_NET_F_MRG_RXBUF);
    const count = this.takeBuffers(needed, merges);
    if (count === undefined) return false;
    const chains = this.state.buffers.slice(0, count);
    if (!merges && totalLength(chains[0]!.segments) < needed) {
      // Its driver could not know of longer frames than these.
      if (frame.length <= ORDINARY_FRAME) this.receiving.fail('request');
      return false;
    }
    this.state.buffers.splice(0, count);
    const bytes = new Uint8Array(needed);
    bytes.set(frame, HEADER_BYTES);
    const isValid = this.transport.accepted(VIRTIO_NET_F_GUEST_CSUM) && checkPacket(frame).transport === true;
    if (isValid) bytes[0] = HDR_F_DATA_VALID;
    new DataView(bytes.buffer).setUint16(NUM_BUFFERS, count, true);
    let at = 0;
    for (const chain of chains) {
      const written = scatter(this.host.memory, chain.segments, bytes.subarray(at));
      this.receiving.push(chain, written);
      at += written;
    }
    this.transport.signal(this.receiving);
    return true;
  }

  /** Sees to buffers for so many bytes; how many of `state.buffers` that takes, undefined when there are not enough. */
  private takeBuffers(needed: number, merges: boolean): number | undefined {
    const { buffers } = this.state;
    let room = 0;
    for (let count = 0; count < QUEUE_SIZE; count++) {
      if (count === buffers.length) {
        const chain = this.receiving.pop();
        if (chain === undefined) return undefined;
        if (chain.readable.length > 0 || chain.writable.length === 0) {
          this.receiving.fail('request');
          return undefined;
        }
        buffers.push(hold(chain, chain.writable));
      }
      room += totalLength(buffers[count]!.segments);
      if (!merges || room >= needed) return count + 1;
    }
    return undefined;
  }
}

/** Replaces the sum of the pseudo header that the driver left at `at` by the checksum from `start` on (5.1.6.2). */
function completeChecksum(frame: Uint8Array, start: number, at: number): void {
  const sum = ~onesSum(frame, start, frame.length) & 0xffff;
  // UDP has no checksum of 0, and in TCP both mean the same (RFC 768).
  const checksum = sum === 0 ? 0xffff : sum;
  frame[at] = checksum >> 8;
  frame[at + 1] = checksum & 0xff;
}
