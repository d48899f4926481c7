/**
 * Virtio over PCI (OASIS virtio 1.2, sections 2.1 to 2.3, 3.1 and 4.1): what every virtio device here shares. Modern
 * only (no legacy ports), one 4 KiB memory base address register. Interrupts are messages of MSI-X, a vector for each queue and one for
 * the configuration, or INTx and ISR status while the driver has MSI-X switched off.
 *
 * Known gaps: no per-queue reset; the bus master enable bit of the PCI command register counts for messages alone, not for rings.
 */
import { us } from '@tomei/kit';
import { type Host, type PciFunction, type PciSlot, type Registers } from '../../machine/device.ts';
import { Msix } from '../../machine/msix.ts';
import { commonConfiguration } from './common-configuration.ts';
import { fieldRegisters } from './fields.ts';
import {
  CAP_COMMON_CFG,
  CAP_DEVICE_CFG,
  CAP_ISR_CFG,
  CAP_NOTIFY_CFG,
  structureCapability,
  windowCapability,
  type Region,
} from './pci-window.ts';
import { Virtqueue } from './queue.ts';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED, type QueueTrouble } from './queue-state.ts';
import {
  STATUS_DRIVER_OK,
  STATUS_FEATURES_OK,
  STATUS_NEEDS_RESET,
  transportState,
  vectorsOf,
  type TransportState,
} from './transport-state.ts';

/** The device follows virtio 1.0 or later (section 6). */
export const VIRTIO_F_VERSION_1 = 32;

/** What every device here offers beside its own. */
export const TRANSPORT_FEATURES = [
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_VERSION_1,
  VIRTIO_F_RING_PACKED,
] as const;

/** ISR status bits (4.1.4.5). */
export const ISR_QUEUE = 1;
export const ISR_CONFIG = 2;

const VENDOR_ID = 0x1af4;
/** PCI device identifier of virtio device type 0 (4.1.2). */
const DEVICE_ID_BASE = 0x1040;

/** What people read of a queue that stopped. */
const FAULT_TEXT: Readonly<Record<QueueTrouble, string>> = {
  layout: 'its parts are misaligned or not RAM',
  index: 'an index is beyond its table',
  buffer: 'a buffer is not RAM',
  loop: 'a chain is endless or too long',
  order: 'a readable buffer follows a writable one',
  indirect: 'a bad indirect table',
  request: 'a request that makes no sense',
};

/** How long a queue rests that had more chains than one notification may take: long enough for the processor to run. */
const RESUME_AFTER = us(1);

const BAR_SIZE = 0x1000;
const COMMON: Region = { offset: 0x000, length: 0x38 };
const ISR: Region = { offset: 0x080, length: 1 };
const DEVICE_OFFSET = 0x100;
/** The table of MSI-X has room for 32 vectors. */
const MSIX_TABLE_OFFSET = 0x400;
const MSIX_PENDING_OFFSET = 0x600;
const NOTIFY_OFFSET = 0x800;
const NOTIFY_MULTIPLIER = 4;

/**
 * One kind of virtio device as the transport sees it. Methods are called only while the device runs, `reset`,
 * `draining` and `isPossible` always.
 */
export interface VirtioFunction {
  /** Virtio device type (section 5), e.g. 2 for block. */
  readonly deviceType: number;
  /** PCI base class, sub-class and programming interface. */
  readonly classCode: number;
  /** Entries that each virtqueue offers: powers of two. */
  readonly queueSizes: readonly number[];
  /** Numbers of the feature bits of this device type; the transport adds its own. */
  readonly features: readonly number[];
  /** Device-specific configuration. */
  readonly configuration: Registers & { readonly length: number };
  /** Takes chains from the queue. Returns true to be called again soon, when it stopped with chains left. */
  notified(queue: number): boolean;
  /** The driver resets the device: forget its requests. The queues are reset already. */
  reset(): void;
  /**
   * Whether the host side still works on requests from before a reset. Until it has ended, the reset shows as not
   * complete.
   */
  draining(): boolean;
  /** Whether the device can have come to hold what its state holds: a snapshot is untrusted. Absent: it holds no memory. */
  isPossible?(): boolean;
  /** After the restore of a device that runs: asks the host side again for what it was asked for before. */
  resume?(): void;
}

export class VirtioPci {
  readonly queues: readonly Virtqueue[];
  readonly pci: PciFunction;
  private readonly state: () => TransportState;
  private readonly host: Host;
  private readonly device: VirtioFunction;
  /** Offered feature bits 0..31 and 32..63. */
  private readonly offered: readonly [number, number];
  private readonly again;
  private readonly msix: Msix;
  private slot: PciSlot | undefined;

  constructor(parts: { state: () => TransportState; host: Host; device: VirtioFunction }) {
    const { state, host, device } = parts;
    this.state = state;
    this.host = host;
    this.device = device;
    this.offered = featureWords([...device.features, ...TRANSPORT_FEATURES]);
    this.again = host.alarm(() => this.resumeQueues());
    this.queues = device.queueSizes.map(
      (maxSize, index) =>
        new Virtqueue({
          state: () => this.state().queues[index]!,
          maxSize,
          memory: host.memory,
          accepted: (feature) => this.accepted(feature),
          broken: (fault) => this.broken(index, fault),
        }),
    );
    this.msix = new Msix({
      state: () => this.state().msix,
      vectors: vectorsOf(device.queueSizes),
      bar: 0,
      table: MSIX_TABLE_OFFSET,
      pending: MSIX_PENDING_OFFSET,
      switched: () => this.driveInterrupt(),
      trouble: (what) => host.trouble(what),
    });
    this.pci = this.pciFunction();
  }

  /** The bus gave the device its place. */
  plugged(slot: PciSlot): void {
    this.slot = slot;
    this.msix.plugged(slot);
  }

  /**
   * After reset and restore: drives the interrupt line, sees to queues that were stopped with chains left, and to what the
   * device holds. A device that has stopped keeps that until its reset, restored or not.
   */
  settle(): void {
    this.msix.settle();
    this.driveInterrupt();
    const { resumeAt } = this.state();
    if (resumeAt === null) this.again.cancel();
    else this.again.set(resumeAt);
    if (this.device.isPossible?.() === false) {
      this.device.reset();
      if (this.running()) this.queues[0]!.fail('request');
    } else if (this.running()) this.device.resume?.();
  }

  /** Whether a feature was offered, accepted by the driver, and negotiation has ended. */
  accepted(feature: number): boolean {
    const { status, driverFeaturesLow, driverFeaturesHigh } = this.state();
    if ((status & STATUS_FEATURES_OK) === 0) return false;
    const both = feature < 32 ? driverFeaturesLow & this.offered[0] : driverFeaturesHigh & this.offered[1];
    return (both & (1 << (feature & 31))) !== 0;
  }

  /** Whether the device may use its queues: the driver is ready, and nothing is broken. */
  running(): boolean {
    const ready = STATUS_DRIVER_OK | STATUS_FEATURES_OK;
    return (this.state().status & (ready | STATUS_NEEDS_RESET)) === ready;
  }

  /** Interrupts the driver when it wants to know of what was pushed to `queue`. */
  signal(queue: Virtqueue): void {
    if (!queue.takeInterrupt()) return;
    if (this.msix.enabled) this.msix.notify(queue.state.vector);
    else this.raise(ISR_QUEUE);
  }

  /** The device-specific configuration changed (4.1.4.3.1, 4.1.5.4). */
  configurationChanged(): void {
    this.state().configurationChanged = true;
    if (this.running()) this.tellConfiguration();
  }

  /** The driver broke a rule that the device cannot recover from: it stops until a reset (2.1.2). */
  needsReset(): void {
    const state = this.state();
    if ((state.status & STATUS_NEEDS_RESET) !== 0) return;
    state.status |= STATUS_NEEDS_RESET;
    if ((state.status & STATUS_DRIVER_OK) !== 0) this.tellConfiguration();
  }

  private broken(queue: number, fault: QueueTrouble): void {
    this.host.trouble(`its driver broke virtqueue ${queue} (${FAULT_TEXT[fault]}): it stands still until a reset`);
    this.needsReset();
  }

  /** ISR status has this bit with MSI-X too (4.1.4.5.1). */
  private tellConfiguration(): void {
    this.raise(ISR_CONFIG);
    this.msix.notify(this.state().vector);
  }

  private raise(bit: number): void {
    this.state().isr |= bit;
    this.driveInterrupt();
  }

  private driveInterrupt(): void {
    const { isr, msix } = this.state();
    this.slot?.interrupt(isr !== 0 && !msix.enabled);
  }

  /** Nothing is running and the host side has not let go of the old driver's memory. */
  private resetting(): boolean {
    return this.state().status === 0 && this.device.draining();
  }

  private serve(index: number): void {
    const queue = this.queues[index];
    if (queue === undefined || !this.running() || !queue.state.enabled) return;
    queue.state.pending = this.device.notified(index);
    const state = this.state();
    if (!queue.state.pending || state.resumeAt !== null) return;
    state.resumeAt = this.host.clock.now() + RESUME_AFTER;
    this.again.set(state.resumeAt);
  }

  private resumeQueues(): void {
    this.state().resumeAt = null;
    this.queues.forEach((queue, index) => {
      if (queue.state.pending) this.serve(index);
    });
  }

  private writeStatus(value: number): void {
    const state = this.state();
    if (value === 0) {
      // What belongs to PCI stays, but for what masked vectors had to tell.
      const { window, msix } = state;
      Object.assign(state, transportState(this.device.queueSizes).initial(), { window, msix });
      this.msix.forgetPending();
      this.again.cancel();
      this.device.reset();
      this.driveInterrupt();
      return;
    }
    if (this.resetting()) return;
    const before = state.status;
    // Bits are only ever added (2.1.1), and not DEVICE_NEEDS_RESET by the driver.
    let added = value & ~before & ~STATUS_NEEDS_RESET;
    if ((added & STATUS_FEATURES_OK) !== 0 && !this.acceptable()) added &= ~STATUS_FEATURES_OK;
    if (((before | added) & STATUS_FEATURES_OK) === 0) added &= ~STATUS_DRIVER_OK;
    state.status |= added;
    // Chains may have been made available before DRIVER_OK, when notifications do not count.
    if ((added & STATUS_DRIVER_OK) !== 0) this.queues.forEach((_, index) => this.serve(index));
  }

  /** The driver's choice is a subset of the offer, and it knows that this is no legacy device (2.2.2, 6.2). */
  private acceptable(): boolean {
    const { driverFeaturesLow: low, driverFeaturesHigh: high } = this.state();
    const [, version1] = featureWords([VIRTIO_F_VERSION_1]);
    return (low & ~this.offered[0]) === 0 && (high & ~this.offered[1]) === 0 && (high & version1) !== 0;
  }

  private pciFunction(): PciFunction {
    const { device } = this;
    const bar = { ...this.barRegisters(), size: BAR_SIZE };
    const notify: Region = { offset: NOTIFY_OFFSET, length: NOTIFY_MULTIPLIER * this.queues.length };
    return {
      vendorId: VENDOR_ID,
      deviceId: DEVICE_ID_BASE + device.deviceType,
      subsystemVendorId: VENDOR_ID,
      // 0x40 or higher keeps legacy drivers away (4.1.2.1).
      subsystemId: 0x40 + device.deviceType,
      classCode: device.classCode,
      revision: 1,
      interruptPin: 1,
      bars: [{ space: 'memory', ...bar }],
      capabilities: [
        structureCapability(CAP_COMMON_CFG, COMMON),
        structureCapability(CAP_NOTIFY_CFG, notify, NOTIFY_MULTIPLIER),
        structureCapability(CAP_ISR_CFG, ISR),
        // Linux refuses a device with an empty structure.
        ...(device.configuration.length === 0
          ? []
          : [structureCapability(CAP_DEVICE_CFG, { offset: DEVICE_OFFSET, length: device.configuration.length })]),
        windowCapability(() => this.state().window, bar),
        this.msix.capability,
      ],
      laterCapabilities: 1,
    };
  }

  private barRegisters(): Registers {
    const common = fieldRegisters(
      commonConfiguration({
        state: this.state,
        queues: this.queues,
        vectors: vectorsOf(this.device.queueSizes),
        offered: this.offered,
        packed: () => this.accepted(VIRTIO_F_RING_PACKED),
        readStatus: () => (this.resetting() ? STATUS_NEEDS_RESET : this.state().status),
        writeStatus: (value) => this.writeStatus(value),
      }),
    );
    const { configuration } = this.device;
    const within = (region: Region, offset: number): boolean =>
      offset >= region.offset && offset < region.offset + region.length;
    const specific: Region = { offset: DEVICE_OFFSET, length: configuration.length };
    const notify: Region = { offset: NOTIFY_OFFSET, length: NOTIFY_MULTIPLIER * this.queues.length };
    return {
      read: (offset, width) => {
        if (within(COMMON, offset)) return common.read(offset, width);
        if (within(ISR, offset)) return this.readIsr();
        if (this.msix.covers(offset)) return this.msix.registers.read(offset, width);
        if (!within(specific, offset)) return 0;
        this.configurationRead();
        return configuration.read(offset - DEVICE_OFFSET, width);
      },
      write: (offset, width, value) => {
        // Most of all writes, once a driver is there.
        if (within(notify, offset)) this.serve(Math.floor((offset - NOTIFY_OFFSET) / NOTIFY_MULTIPLIER));
        else if (within(COMMON, offset)) common.write(offset, width, value);
        else if (within(specific, offset)) configuration.write(offset - DEVICE_OFFSET, width, value);
        else if (this.msix.covers(offset)) this.msix.registers.write(offset, width, value);
      },
    };
  }

  /** Reading acknowledges and drops the line (4.1.4.5.1). */
  private readIsr(): number {
    const state = this.state();
    const { isr } = state;
    state.isr = 0;
    this.driveInterrupt();
    return isr;
  }

  private configurationRead(): void {
    const state = this.state();
    if (!state.configurationChanged) return;
    state.configurationChanged = false;
    state.generation = (state.generation + 1) & 0xff;
  }
}

/** Feature bits 0..31 and 32..63 as words. */
export function featureWords(features: readonly number[]): readonly [number, number] {
  let low = 0;
  let high = 0;
  for (const feature of features) {
    if (feature < 32) low |= 1 << feature;
    else high |= 1 << (feature - 32);
  }
  return [low >>> 0, high >>> 0];
}
