/**
 * The virtio network card (OASIS virtio 1.2, section 5.1): one pair of queues, checksums and the segmentation of TCP left to the card in
 * both directions, mergeable receive buffers, link status, and a control queue for the address and for what is received.
 *
 * Known gaps: no segmentation of UDP, no VLAN filter.
 */
import { list, nested, pod, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { checkPacket } from '../e1000/checksum.ts';
import { nicBackend } from '../nic-backend.ts';
import { LEAST_FRAME, MOST_FRAME, MOST_UNCUT, isPossible, tcpPlaces, wireFrames, type Offload } from '../offload.ts';
import { byteRegisters } from './fields.ts';
import {
  ACK,
  MOST_COMMAND,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_VQ,
  command,
  filterState,
  isWanted,
} from './net-control.ts';
import { arePossible, heldChain, hold } from './held-chain.ts';
import { type Chain } from './queue-state.ts';
import { type Virtqueue } from './queue.ts';
import { gather, gatherInto, scatter, totalLength, type Segment } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { isObject, transportState, withMsix } from './transport-state.ts';

const DEVICE_TYPE_NETWORK = 1;
const CLASS_ETHERNET = 0x020000;

export const VIRTIO_NET_F_CSUM = 0;
export const VIRTIO_NET_F_GUEST_CSUM = 1;
export const VIRTIO_NET_F_MAC = 5;
export const VIRTIO_NET_F_GUEST_TSO4 = 7;
export const VIRTIO_NET_F_GUEST_TSO6 = 8;
export const VIRTIO_NET_F_HOST_TSO4 = 11;
export const VIRTIO_NET_F_HOST_TSO6 = 12;
export const VIRTIO_NET_F_MRG_RXBUF = 15;
export const VIRTIO_NET_F_STATUS = 16;

export const RECEIVE_QUEUE = 0;
export const TRANSMIT_QUEUE = 1;
export const CONTROL_QUEUE = 2;
const QUEUE_SIZE = 256,
  CONTROL_SIZE = 64;
const QUEUE_SIZES = [QUEUE_SIZE, QUEUE_SIZE, CONTROL_SIZE];

/** Offsets in `struct virtio_net_config`, of which MAC and status count here. */
const STATUS = 6;
const CONFIGURATION_BYTES = 12;
const STATUS_LINK_UP = 1;

/** `struct virtio_net_hdr` (5.1.6): flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers. */
export const HEADER_BYTES = 12;
const GSO_TYPE = 1;
const HDR_LEN = 2;
const GSO_SIZE = 4;
const CSUM_START = 6;
const CSUM_OFFSET = 8;
const NUM_BUFFERS = 10;
export const HDR_F_NEEDS_CSUM = 1;
export const HDR_F_DATA_VALID = 2;
/** `gso_type`: none, or TCP over one version of IP, with the features that it needs in both directions. */
export const GSO = { none: 0, tcp4: 1, tcp6: 4 } as const;
const TSO = {
  4: { type: GSO.tcp4, sends: VIRTIO_NET_F_HOST_TSO4, takes: VIRTIO_NET_F_GUEST_TSO4 },
  6: { type: GSO.tcp6, sends: VIRTIO_NET_F_HOST_TSO6, takes: VIRTIO_NET_F_GUEST_TSO6 },
} as const;

/** A frame without jumbo size, and the buffer that a driver without mergeable buffers has for it at least (5.1.6.3.1). */
const ORDINARY_FRAME = 1514;

export interface NetConfig {
  /** Six bytes. */
  readonly mac: Uint8Array;
}

const netState = pod({
  transport: nested(transportState(QUEUE_SIZES)),
  /** Receive buffers that were taken and hold no frame yet. */
  buffers: list(QUEUE_SIZE, nested(heldChain(QUEUE_SIZE))),
  filter: nested(filterState),
});
type NetState = StateOf<typeof netState>;

/** Without a backend the card is there with nothing plugged in. */
export const virtioNet = defineDevice({
  kind: 'virtio-net',
  version: 3,
  config: typed<NetConfig>({ mac: Uint8Array.of(0, 0x0c, 0x29, 1, 2, 3) }),
  summary:
    'virtio 1.x network card over PCI (1AF4:1041): checksums, TCP segmentation, mergeable receive buffers, link status, control queue',
  state: netState,
  migrate: (version, state) => withControl(version < 2 ? withMsix(state, QUEUE_SIZES.slice(0, CONTROL_QUEUE)) : state),
  attach({ config, state, host }) {
    const net = new Net(config, state, host);
    return {
      pci: net.transport.pci,
      plugged: (slot) => net.transport.plugged(slot),
      settle: () => {
        net.transport.settle();
        net.settle();
      },
    };
  },
});

/** The state of a card from before it had a control queue. What is no such state comes back as it is, for `parse` to refuse. */
function withControl(old: unknown): unknown {
  if (!isObject(old) || !isObject(old['transport'])) return old;
  const { transport } = old,
    { queues, msix } = transport;
  if (!Array.isArray(queues) || !isObject(msix) || !Array.isArray(msix['entries'])) return old;
  const { transport: fresh, filter } = netState.initial();
  const entries = [...(msix['entries'] as unknown[]), fresh.msix.entries.at(-1)];
  const control = fresh.queues[CONTROL_QUEUE];
  return { ...old, filter, transport: { ...transport, queues: [...queues, control], msix: { ...msix, entries } } };
}

class Net {
  readonly transport: VirtioPci;
  private readonly state: NetState;
  private readonly host: Host;
  private readonly wire;
  /** The card's own, before its driver gives it another one; and what it is now. */
  private readonly mac: Uint8Array;
  private readonly address: Uint8Array;
  /** The header of the frame that is sent or received. */
  private readonly header = new DataView(new ArrayBuffer(HEADER_BYTES));
  private readonly headerBytes = new Uint8Array(this.header.buffer);

  constructor({ mac }: NetConfig, state: NetState, host: Host) {
    this.state = state;
    this.host = host;
    this.wire = host.backend(nicBackend);
    const configuration = new Uint8Array(CONFIGURATION_BYTES);
    this.mac = mac;
    this.address = configuration.subarray(0, STATUS);
    this.settle();
    const { read, write } = byteRegisters(configuration);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_NETWORK,
        classCode: CLASS_ETHERNET,
        queueSizes: QUEUE_SIZES,
        features: [
          VIRTIO_NET_F_CSUM,
          VIRTIO_NET_F_GUEST_CSUM,
          VIRTIO_NET_F_MAC,
          VIRTIO_NET_F_GUEST_TSO4,
          VIRTIO_NET_F_GUEST_TSO6,
          VIRTIO_NET_F_HOST_TSO4,
          VIRTIO_NET_F_HOST_TSO6,
          VIRTIO_NET_F_MRG_RXBUF,
          VIRTIO_NET_F_STATUS,
          VIRTIO_NET_F_CTRL_VQ,
          VIRTIO_NET_F_CTRL_RX,
          VIRTIO_NET_F_CTRL_MAC_ADDR,
        ],
        configuration: {
          length: CONFIGURATION_BYTES,
          read: (offset, width) => {
            configuration[STATUS] = this.wire?.linkUp === true ? STATUS_LINK_UP : 0;
            return read(offset, width);
          },
          write,
        },
        notified: (queue) =>
          queue === TRANSMIT_QUEUE ? this.transmit() : queue === CONTROL_QUEUE && this.takeCommands(),
        reset: () => {
          this.state.buffers = [];
          this.state.filter = filterState.initial();
          this.settle();
        },
        draining: () => false,
        isPossible: () => arePossible(this.state.buffers, host.memory),
      },
    });
    this.wire?.onReceive((frame) => this.receive(frame, undefined));
    this.wire?.onOffloaded?.((frame, offload) =>
      this.takes(frame, offload) ? this.receive(frame, offload) : undefined,
    );
    this.wire?.onLink?.(() => this.transport.configurationChanged());
  }

  private get receiving(): Virtqueue {
    return this.transport.queues[RECEIVE_QUEUE]!;
  }

  /** After restore: the address is the one that the driver has given. */
  settle(): void {
    this.address.set(this.state.filter.given[0] ?? this.mac.subarray(0, STATUS));
  }

  /** Carries out what the driver wants, at most as many commands as can be outstanding. */
  private takeCommands(): boolean {
    const queue = this.transport.queues[CONTROL_QUEUE]!,
      { memory } = this.host;
    let budget = queue.state.size;
    for (; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      const { readable, writable } = chain;
      if (writable.length === 0) {
        queue.fail('request');
        break;
      }
      const length = totalLength(readable);
      const isDone = length <= MOST_COMMAND && this.obey(gather(memory, readable, length));
      queue.push(chain, scatter(memory, writable, Uint8Array.of(isDone ? ACK.ok : ACK.error)));
    }
    this.transport.signal(queue);
    return budget === 0;
  }
  private obey(bytes: Uint8Array): boolean {
    const isDone = command(this.state.filter, bytes, (feature) => this.transport.accepted(feature));
    this.settle();
    return isDone;
  }
  /** Whether a frame is one that the driver wants to hear of: all are where it cannot say. */
  private isWanted(frame: Uint8Array): boolean {
    return !this.transport.accepted(VIRTIO_NET_F_CTRL_RX) || isWanted(this.state.filter, this.address, frame);
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
    if (length < LEAST_FRAME || length > MOST_UNCUT) return;
    const { host, wire, header, headerBytes } = this;
    if (wire?.linkUp !== true) return;
    // Looked at where it is the guest's no more.
    const frame = wire.frame?.(length) ?? new Uint8Array(length);
    gatherInto(host.memory, readable, 0, headerBytes);
    gatherInto(host.memory, readable, HEADER_BYTES, frame);
    const offload = this.offloadOf(header, frame);
    if (offload === 'bad') return;
    if (offload === undefined || wire.takesOffloads === true) wire.send(frame, offload);
    else for (const each of wireFrames(frame, offload)) wire.send(each);
  }
  /** What the header leaves to do with a frame; 'bad' where that is nothing that was negotiated, or cannot be done. */
  private offloadOf(header: DataView, frame: Uint8Array): Offload | undefined | 'bad' {
    const type = header.getUint8(GSO_TYPE),
      isUncut = type !== GSO.none;
    if ((header.getUint8(0) & HDR_F_NEEDS_CSUM) === 0) return isUncut || frame.length > MOST_FRAME ? 'bad' : undefined;
    const checksumStart = header.getUint16(CSUM_START, true),
      checksumAt = checksumStart + header.getUint16(CSUM_OFFSET, true);
    const offload = {
      ...{ checksumStart, checksumAt },
      ...(isUncut ? { segmentSize: header.getUint16(GSO_SIZE, true) } : {}),
    };
    if (!this.transport.accepted(VIRTIO_NET_F_CSUM) || !isPossible(frame, offload)) return 'bad';
    if (!isUncut) return offload;
    const tso = TSO[tcpPlaces(frame)!.version];
    return type === tso.type && this.transport.accepted(tso.sends) ? offload : 'bad';
  }

  /** Whether the driver does by itself what is left to do with a frame. */
  private takes(frame: Uint8Array, { segmentSize }: Offload): boolean {
    if (!this.transport.accepted(VIRTIO_NET_F_GUEST_CSUM)) return false;
    return segmentSize === undefined || this.transport.accepted(TSO[tcpPlaces(frame)!.version].takes);
  }
  /** A frame from the wire; false when there is no room for it. One that is not for the card is heard by nobody. */
  private receive(frame: Uint8Array, offload: Offload | undefined): boolean {
    if (!this.transport.running() || (offload === undefined && frame.length > MOST_FRAME)) return false;
    if (!this.isWanted(frame)) return true;
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
    this.headerBytes.fill(0);
    this.describe(this.header, frame, offload, count);
    let at = 0;
    for (const chain of chains) {
      const written = this.fill(chain.segments, frame, at);
      this.receiving.push(chain, written);
      at += written;
    }
    this.transport.signal(this.receiving);
    return true;
  }
  /** Fills a buffer with what of header and frame behind it begins at `from`. Returns how much that is. */
  private fill(segments: readonly Segment[], frame: Uint8Array, from: number): number {
    const { memory } = this.host,
      header = this.headerBytes.subarray(Math.min(from, HEADER_BYTES)),
      ahead = scatter(memory, segments, header);
    return ahead < header.length
      ? ahead
      : ahead + scatter(memory, segments, frame.subarray(Math.max(0, from - HEADER_BYTES)), ahead);
  }
  /** The header of a frame for the driver. */
  private describe(header: DataView, frame: Uint8Array, offload: Offload | undefined, buffers: number): void {
    header.setUint16(NUM_BUFFERS, buffers, true);
    if (offload === undefined) {
      const isValid = this.transport.accepted(VIRTIO_NET_F_GUEST_CSUM) && checkPacket(frame).transport === true;
      if (isValid) header.setUint8(0, HDR_F_DATA_VALID);
      return;
    }
    const { checksumStart, checksumAt, segmentSize } = offload;
    header.setUint8(0, HDR_F_NEEDS_CSUM);
    header.setUint16(CSUM_START, checksumStart, true);
    header.setUint16(CSUM_OFFSET, checksumAt - checksumStart, true);
    if (segmentSize === undefined) return;
    const { version, payload } = tcpPlaces(frame)!;
    header.setUint8(GSO_TYPE, TSO[version].type);
    header.setUint16(HDR_LEN, payload, true);
    header.setUint16(GSO_SIZE, segmentSize, true);
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
