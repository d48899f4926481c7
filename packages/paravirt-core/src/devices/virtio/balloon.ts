/**
 * The virtio memory balloon (OASIS virtio 1.2, section 5.5): pages that the driver gives to it or reports as free are zeroed,
 * and a snapshot has no pages of zeros. The device only ever writes pages that the driver named and that are RAM.
 *
 * Queues are numbered as drivers count them: those of features that are not offered are left out. Reporting is 3 for drivers
 * that count so and 4 by the text of 5.5.2; both are served.
 */
import { array, bool, list, nested, pod, u32, whole, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { fieldRegisters } from './fields.ts';
import { arePossible, heldChain, hold, type HeldChain } from './held-chain.ts';
import { gather, slice, totalLength, type Segment } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { transportState, withMsix } from './transport-state.ts';

const DEVICE_TYPE_BALLOON = 5;
/** No class of PCI's fits. */
const CLASS_OTHER = 0x00ff00;

export const VIRTIO_BALLOON_F_STATS_VQ = 1;
export const VIRTIO_BALLOON_F_DEFLATE_ON_OOM = 2;
export const VIRTIO_BALLOON_F_REPORTING = 5;

export const INFLATE_QUEUE = 0;
export const DEFLATE_QUEUE = 1;
export const STATS_QUEUE = 2;
export const REPORTING_QUEUE = 3;
const QUEUE_SIZE = 128;
const QUEUE_SIZES = Array.from({ length: 5 }, () => QUEUE_SIZE);

/** Pages of this device, whatever the guest's own are (5.5.6). */
const PAGE_BYTES = 4096;
const PFN_BYTES = 4;
/** What one call zeroes: some milliseconds of the host's time. */
const ZEROED_AT_ONCE = 8 << 20;
const PFNS_AT_ONCE = ZEROED_AT_ONCE / PAGE_BYTES;

/** Tags of statistics, in order from 0 (5.5.6.3). */
export const STATISTICS = [
  'swapIn',
  'swapOut',
  'majorFaults',
  'minorFaults',
  'freeMemory',
  'totalMemory',
  'availableMemory',
  'diskCaches',
  'hugetlbAllocations',
  'hugetlbFailures',
] as const;
export type Statistic = (typeof STATISTICS)[number];
const STATISTIC_BYTES = 10;
/** More entries than there are tags: drivers may have newer ones, which are passed over. */
const MOST_STATISTICS = 32;

const balloonState = pod({
  transport: nested(transportState(QUEUE_SIZES)),
  /** Pages that the host wants in the balloon, and that the driver says are there. */
  wanted: u32(),
  actual: u32(),
  /** What the driver told last, in the order of `STATISTICS`. */
  statistics: array(STATISTICS.length, () => whole()),
  isTold: bool(),
  /** Its buffer for statistics, until the host wants new ones. */
  statisticsBuffer: list(1, nested(heldChain(QUEUE_SIZE))),
  /** Pages that are being zeroed, by queue: inflated ones, and reported ones by either number. */
  zeroing: array(3, () => list(1, nested(heldChain(QUEUE_SIZE)))),
  /** Bytes given back so far. */
  zeroed: whole(),
});
type BalloonState = StateOf<typeof balloonState>;

export interface Balloon {
  /** A driver runs the device: one that is not there yet does what is wanted when it starts. */
  readonly hasDriver: boolean;
  readonly wantedPages: number;
  readonly actualPages: number;
  /** Bytes of inflated and reported pages so far, whichever driver gave them, each as often as it was given. */
  readonly givenBytes: number;
  /** The driver has been asked for statistics and has not answered: those below are of before. */
  readonly isAsked: boolean;
  /** As the driver told last, in bytes or counts; absent before it has. */
  readonly statistics?: Readonly<Record<Statistic, number>>;
}

export const virtioBalloon = defineDevice({
  kind: 'virtio-balloon',
  version: 2,
  config: typed<object>({}),
  summary: 'virtio 1.x memory balloon over PCI (1AF4:1045): statistics, free page reporting',
  state: balloonState,
  migrate: (_version, state) => withMsix(state, QUEUE_SIZES),
  attach({ state, host }) {
    const balloon = new BalloonDevice(state, host);
    return {
      pci: balloon.transport.pci,
      plugged: (slot) => balloon.transport.plugged(slot),
      settle: () => balloon.transport.settle(),
      /** Asks the driver for so many pages of 4 KiB in all. */
      want: (pages: number): void => balloon.want(pages),
      /** Asks it for new statistics. */
      ask: (): void => balloon.ask(),
      look: (): Balloon => balloon.look(),
    };
  },
});

class BalloonDevice {
  readonly transport: VirtioPci;
  private readonly state: BalloonState;
  private readonly host: Host;

  constructor(state: BalloonState, host: Host) {
    this.state = state;
    this.host = host;
    const configuration = fieldRegisters([
      { offset: 0, width: 4, read: () => this.state.wanted },
      { offset: 4, width: 4, read: () => this.state.actual, write: (value) => (this.state.actual = value) },
    ]);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_BALLOON,
        classCode: CLASS_OTHER,
        queueSizes: QUEUE_SIZES,
        features: [VIRTIO_BALLOON_F_STATS_VQ, VIRTIO_BALLOON_F_DEFLATE_ON_OOM, VIRTIO_BALLOON_F_REPORTING],
        configuration: { ...configuration, length: 8 },
        notified: (queue) => this.notified(queue),
        reset: () => this.forget(),
        draining: () => false,
        isPossible: () => arePossible([...this.state.zeroing.flat(), ...this.state.statisticsBuffer], host.memory),
      },
    });
  }

  want(pages: number): void {
    this.state.wanted = Math.min(pages, Math.floor(this.host.memory.size / PAGE_BYTES));
    this.transport.configurationChanged();
  }
  /** A buffer that comes back is a question (5.5.6.3.1). */
  ask(): void {
    const [buffer] = this.state.statisticsBuffer;
    if (buffer === undefined || !this.transport.running()) return;
    this.state.statisticsBuffer = [];
    const queue = this.transport.queues[STATS_QUEUE]!;
    queue.push(buffer, 0);
    this.transport.signal(queue);
  }
  look(): Balloon {
    const { wanted, actual, zeroed, isTold, statistics } = this.state;
    const told = Object.fromEntries(STATISTICS.map((name, i) => [name, statistics[i]!])) as Record<Statistic, number>;
    const hasDriver = this.transport.running();
    return {
      ...{ hasDriver, wantedPages: wanted, actualPages: actual, givenBytes: zeroed },
      isAsked: hasDriver && isTold && this.state.statisticsBuffer.length === 0,
      ...(isTold ? { statistics: told } : {}),
    };
  }

  private forget(): void {
    const { statisticsBuffer, zeroing, actual } = balloonState.initial();
    Object.assign(this.state, { statisticsBuffer, zeroing, actual });
  }

  private notified(index: number): boolean {
    if (index === STATS_QUEUE) return this.takeStatistics();
    if (index === DEFLATE_QUEUE) return this.deflate();
    return this.zero(index);
  }

  /** Pages that the driver takes back: nothing to do, they are RAM as they always were. */
  private deflate(): boolean {
    const queue = this.transport.queues[DEFLATE_QUEUE]!;
    const isMore = queue.giveBack();
    this.transport.signal(queue);
    return isMore;
  }

  /** Zeroes what a queue names, a bounded piece at a call. */
  private zero(index: number): boolean {
    const queue = this.transport.queues[index]!;
    const isInflate = index === INFLATE_QUEUE;
    const which = isInflate ? 0 : index - REPORTING_QUEUE + 1;
    let [held] = this.state.zeroing[which]!;
    if (held === undefined) {
      const chain = queue.pop();
      if (chain === undefined) return false;
      held = hold(chain, isInflate ? chain.readable : chain.writable);
      this.state.zeroing[which] = [held];
    }
    const pages = isInflate ? this.namedPages(held) : slice(held.segments, held.offset, ZEROED_AT_ONCE);
    if (pages === undefined) {
      this.state.zeroing[which] = [];
      queue.fail('request');
      return false;
    }
    for (const { address, length } of pages) {
      this.host.memory.view(address, length).fill(0);
      this.host.memory.written(address, length);
      this.state.zeroed += length;
    }
    held.offset = Math.min(
      totalLength(held.segments),
      held.offset + (isInflate ? PFNS_AT_ONCE * PFN_BYTES : ZEROED_AT_ONCE),
    );
    if (held.offset === totalLength(held.segments)) {
      this.state.zeroing[which] = [];
      queue.push(held, 0);
      this.transport.signal(queue);
    }
    // There may be more of this chain, or another one.
    return true;
  }

  /** The next page frame numbers of a chain as pages; undefined when one is no RAM, or half a number is left. */
  private namedPages({ segments, offset }: HeldChain): Segment[] | undefined {
    if (totalLength(segments) % PFN_BYTES !== 0) return undefined;
    const room = PFNS_AT_ONCE * PFN_BYTES;
    const bytes = gather(this.host.memory, slice(segments, offset, room), room);
    const view = new DataView(bytes.buffer);
    const pages: Segment[] = [];
    for (let at = 0; at + PFN_BYTES <= bytes.length; at += PFN_BYTES) {
      const address = view.getUint32(at, true) * PAGE_BYTES;
      if (!this.host.memory.contains(address, PAGE_BYTES)) return undefined;
      pages.push({ address, length: PAGE_BYTES });
    }
    return pages;
  }

  /** The driver has one buffer with what it knows, and adds it again when it has come back. */
  private takeStatistics(): boolean {
    const queue = this.transport.queues[STATS_QUEUE]!;
    const chain = queue.pop();
    if (chain === undefined) return false;
    if (this.state.statisticsBuffer.length > 0) {
      queue.fail('request');
      return false;
    }
    const bytes = gather(this.host.memory, chain.readable, MOST_STATISTICS * STATISTIC_BYTES);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at + STATISTIC_BYTES <= bytes.length; at += STATISTIC_BYTES) {
      const value = view.getUint32(at + 6, true) * 2 ** 32 + view.getUint32(at + 2, true);
      const tag = view.getUint16(at, true);
      // A driver that does not know says all ones.
      if (tag < STATISTICS.length) this.state.statistics[tag] = Number.isSafeInteger(value) ? value : 0;
    }
    this.state.isTold = true;
    this.state.statisticsBuffer = [hold(chain, chain.readable)];
    return true;
  }
}
