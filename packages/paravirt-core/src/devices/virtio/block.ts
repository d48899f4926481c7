/**
 * The virtio block device (OASIS virtio 1.2, section 5.2): several request queues, requests in flight side by
 * side, completed in any order.
 *
 * In flight means handed to the backend. The state records each such request whole, and a restored device submits it
 * again without reading the guest's descriptors a second time. That is sound because requests are idempotent (see
 * `BlockBackend`) and a driver may not touch a buffer before it is used. Whoever saves a machine to go on elsewhere
 * stops or fences the old backend first.
 *
 * A reset by the driver forgets the requests, but the I/O side may still read or write their buffers. Until all of them
 * have completed, device_status shows a reset that is under way (DEVICE_NEEDS_RESET, never 0), for which a driver waits
 * by 4.1.4.3.2, and the device does not start again. Such a completion gives nothing back to the driver, but a late
 * read still reports the memory it wrote. The same holds after a reset of the whole machine, which must let its
 * backends finish before it loads anything into RAM.
 *
 * A driver that does not negotiate VIRTIO_BLK_F_FLUSH gets a write-through disk: a flush follows each of its writes
 * (5.2.6.2).
 */
import { bool, list, nested, oneOf, pod, u16, u32, u8, whole, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { blockBackend, type BlockRequest } from './block-backend.ts';
import { VIRTIO_BLK_F_FLUSH, blockConfiguration, blockFeatures } from './block-configuration.ts';
import { VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, isPossible, parseRequest, type Disk } from './block-request.ts';
import { byteRegisters } from './fields.ts';
import { type Virtqueue } from './queue.ts';
import { queueState, type UsedChain, type Chain } from './queue-state.ts';
import { scatter, totalLength } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { isObject, transportState, withMsix } from './transport-state.ts';

const DEVICE_TYPE_BLOCK = 2;
/** Mass storage, SCSI controller: what guests expect of a virtio disk. */
const CLASS_STORAGE_SCSI = 0x010000;
/** Length of the string that a GET_ID request asks for, NUL-padded. */
const ID_BYTES = 20;
/** Entries of a request queue, and with that the most requests of one in flight and the longest chain. */
export const BLOCK_QUEUE_SIZE = 256;
/** Request queues: drivers take one for each processor. */
export const BLOCK_QUEUES = 4;
const QUEUE_SIZES = Array.from({ length: BLOCK_QUEUES }, () => BLOCK_QUEUE_SIZE);

/** A request that the backend has not completed. */
const requestState = pod({
  /** Which queue it came by, and how it goes back into it (`UsedChain`). */
  queue: u8(),
  id: u16(),
  slots: u16(1),
  statusAddress: whole(),
  /** Writable bytes before the status byte. */
  room: whole(),
  kind: oneOf('read', 'write', 'flush', 'discard', 'write-zeroes'),
  sector: whole(),
  count: whole(),
  unmap: bool(),
  segments: list(BLOCK_QUEUE_SIZE, nested(pod({ address: whole(), length: u32() }))),
});
type InFlight = StateOf<typeof requestState>;

const blockState = pod({
  transport: nested(transportState(QUEUE_SIZES)),
  inFlight: list(BLOCK_QUEUE_SIZE * BLOCK_QUEUES, nested(requestState)),
});
type BlockState = StateOf<typeof blockState>;

/** A virtio disk. Without a backend it is there with no sectors. */
export const virtioBlock = defineDevice({
  kind: 'virtio-block',
  version: 3,
  config: typed<object>({}),
  summary: 'virtio 1.x block device over PCI (1AF4:1042): four queues of 256, flush, discard and write zeroes',
  state: blockState,
  migrate: (version, state) => withMsix(version < 2 ? migrateSingleQueue(state) : state, QUEUE_SIZES),
  attach({ state, host }) {
    const block = new Block(state, host);
    return {
      pci: block.transport.pci,
      plugged: (slot) => block.transport.plugged(slot),
      settle: () => block.settle(),
    };
  },
});

/** What it takes to answer a request. */
interface Answered extends UsedChain {
  readonly queue: number;
  readonly statusAddress: number;
  readonly room: number;
}

/** Version 1 had one queue, split, and knew requests by the head of their chain. What is no such state, `parse` refuses. */
function migrateSingleQueue(old: unknown): unknown {
  if (!isObject(old) || !isObject(old['transport'])) return old;
  const { transport, inFlight } = old;
  const { queues } = transport;
  if (!Array.isArray(queues) || !Array.isArray(inFlight) || !inFlight.every(isObject)) return old;
  const further = QUEUE_SIZES.slice(1).map((size) => queueState(size).initial());
  return {
    transport: { ...transport, queues: [...(queues as unknown[]), ...further] },
    inFlight: inFlight.map(({ head, ...request }) => ({ ...request, queue: 0, id: head, slots: 1 })),
  };
}

class Block {
  readonly transport: VirtioPci;
  private readonly state: BlockState;
  private readonly host: Host;
  private readonly backend;
  private readonly disk: Disk;
  /**
   * What the backend has not completed yet, also of what a reset or restore made forgotten. It is the backend's, so it
   * is no state.
   */
  private readonly owed = new Map<number, BlockRequest>();
  /** Those of `owed` that the driver waits for. */
  private readonly awaited = new Map<number, InFlight>();
  private lastId = 0;

  constructor(state: BlockState, host: Host) {
    this.state = state;
    this.host = host;
    this.backend = host.backend(blockBackend);
    this.disk = { sectors: this.backend?.sectors ?? 0, readOnly: this.backend?.readOnly ?? false };
    // Two of the entries are the request's header and its status.
    const configuration = blockConfiguration(this.disk.sectors, BLOCK_QUEUES, BLOCK_QUEUE_SIZE - 2);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_BLOCK,
        classCode: CLASS_STORAGE_SCSI,
        queueSizes: QUEUE_SIZES,
        features: blockFeatures(this.disk.readOnly),
        configuration: { ...byteRegisters(configuration), length: configuration.length },
        notified: (index) => this.takeChains(index),
        reset: () => this.forget(),
        draining: () => this.owed.size > this.awaited.size,
        isPossible: () => this.state.inFlight.every((request) => this.isPossible(request)),
        resume: () => {
          for (const request of [...this.state.inFlight]) this.submit(request);
        },
      },
    });
    this.backend?.onComplete((id, ok) => this.completed(id, ok));
  }

  /**
   * After reset and restore: what was in flight is submitted again, and completions of what was submitted before no
   * longer count.
   */
  settle(): void {
    this.awaited.clear();
    this.transport.settle();
  }

  private isPossible(request: InFlight): boolean {
    const { memory } = this.host;
    const isOfQueue = request.queue < BLOCK_QUEUES && request.slots >= 1;
    return isOfQueue && isPossible(request, memory, this.disk) && memory.contains(request.statusAddress, 1);
  }

  private forget(): void {
    this.state.inFlight = [];
    this.awaited.clear();
  }

  private takeChains(index: number): boolean {
    const queue = this.transport.queues[index]!;
    // As many as can be outstanding: another processor that keeps adding does not hold this one.
    for (let budget = queue.state.size; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) return false;
      this.takeChain(index, queue, chain);
    }
    return true;
  }

  private takeChain(index: number, queue: Virtqueue, chain: Chain): void {
    const { memory } = this.host;
    const parsed = parseRequest(memory, chain, this.disk);
    if (parsed === undefined) {
      queue.fail('request');
      return;
    }
    const { statusAddress, work } = parsed;
    const { id, slots } = chain;
    const at = { queue: index, id, slots, statusAddress, room: totalLength(parsed.room) };
    if (work.do === 'answer') {
      this.finish(at, work.status, 0);
    } else if (work.do === 'serial') {
      const serial = new Uint8Array(ID_BYTES);
      new TextEncoder().encodeInto(this.backend?.id ?? '', serial);
      this.finish(at, VIRTIO_BLK_S_OK, scatter(memory, parsed.room, serial));
    } else if (this.state.inFlight.filter((request) => request.queue === index).length >= queue.state.size) {
      // More chains than the ring has entries: the driver offers one again that it has not got back.
      queue.fail('index');
    } else {
      const { kind, sector, count, unmap, segments } = work.request;
      this.start({ ...at, kind, sector, count, unmap, segments: [...segments] });
    }
  }

  private start(request: InFlight): void {
    this.state.inFlight.push(request);
    this.submit(request);
  }

  private submit(request: InFlight): void {
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.owed.has(this.lastId));
    const id = this.lastId;
    const { kind, sector, count, segments, unmap } = request;
    const sent: BlockRequest = { id, kind, sector, count, segments, unmap };
    this.owed.set(id, sent);
    this.awaited.set(id, request);
    if (this.backend === undefined) this.completed(id, false);
    else this.backend.submit(sent);
  }

  private completed(id: number, ok: boolean): void {
    const sent = this.owed.get(id);
    if (sent === undefined) return;
    this.owed.delete(id);
    // Whoever waits for it, and whatever became of it: its buffers may hold new bytes, code among them.
    if (sent.kind === 'read')
      for (const { address, length } of sent.segments) this.host.memory.written(address, length);
    const request = this.awaited.get(id);
    if (request === undefined) return;
    this.awaited.delete(id);
    this.state.inFlight.splice(this.state.inFlight.indexOf(request), 1);
    if (!this.transport.running()) return;
    const changed = request.kind === 'write' || request.kind === 'write-zeroes';
    if (ok && changed && !this.transport.accepted(VIRTIO_BLK_F_FLUSH)) {
      this.start({ ...request, kind: 'flush', sector: 0, count: 0, segments: [] });
      return;
    }
    const written = ok && request.kind === 'read' ? request.room : 0;
    this.finish(request, ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR, written);
  }

  /** Answers a request of whose `room` the first `written` bytes are filled. */
  private finish(at: Answered, status: number, written: number): void {
    const queue = this.transport.queues[at.queue]!;
    this.host.memory.write8(at.statusAddress, status);
    // Used length counts from the first writable byte without a gap, so the status byte counts when all before it is
    // filled.
    queue.push(at, written < at.room ? written : at.room + 1);
    this.transport.signal(queue);
  }
}
