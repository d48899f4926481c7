/** The common configuration structure of a virtio PCI device, `struct virtio_pci_common_cfg` (virtio 1.2, 4.1.4.3). */
import { type RegisterField } from './fields.ts';
import { type Virtqueue } from './queue.ts';
import { isQueueSize, isVector, NO_VECTOR } from './queue-state.ts';
import { STATUS_FEATURES_OK, type TransportState } from './transport-state.ts';

export interface CommonConfiguration {
  readonly state: () => TransportState;
  readonly queues: readonly Virtqueue[];
  /** How many MSI-X vectors there are. */
  readonly vectors: number;
  /** Offered feature bits 0..31 and 32..63. */
  readonly offered: readonly [number, number];
  /** Whether packed rings were negotiated. */
  readonly packed: () => boolean;
  /** device_status, which the transport keeps. */
  readonly readStatus: () => number;
  readonly writeStatus: (value: number) => void;
}

/** Its fields. What a driver may not write at this point of its initialization is ignored. */
export function commonConfiguration(parts: CommonConfiguration): RegisterField[] {
  const { state, queues, vectors, offered, packed, readStatus, writeStatus } = parts;
  const selected = (): Virtqueue | undefined => queues[state().queueSelect];
  const negotiating = (): boolean => (state().status & STATUS_FEATURES_OK) === 0;
  /** A vector that there is not is refused by NO_VECTOR (4.1.5.1.2.1). */
  const known = (vector: number): number => (isVector(vector, vectors) ? vector : NO_VECTOR);
  /** One half of an address of the selected queue; fixed once the queue is enabled. */
  const half = (
    offset: number,
    key: 'descLow' | 'descHigh' | 'driverLow' | 'driverHigh' | 'deviceLow' | 'deviceHigh',
  ): RegisterField => ({
    offset,
    width: 4,
    read: () => selected()?.state[key] ?? 0,
    write: (value) => {
      const queue = selected()?.state;
      if (queue?.enabled === false) queue[key] = value;
    },
  });
  return [
    {
      offset: 0x00,
      width: 4,
      read: () => state().deviceFeatureSelect,
      write: (value) => (state().deviceFeatureSelect = value),
    },
    { offset: 0x04, width: 4, read: () => offered[state().deviceFeatureSelect] ?? 0 },
    {
      offset: 0x08,
      width: 4,
      read: () => state().driverFeatureSelect,
      write: (value) => (state().driverFeatureSelect = value),
    },
    {
      offset: 0x0c,
      width: 4,
      read: () => [state().driverFeaturesLow, state().driverFeaturesHigh][state().driverFeatureSelect] ?? 0,
      write: (value) => {
        if (!negotiating()) return;
        if (state().driverFeatureSelect === 0) state().driverFeaturesLow = value;
        else if (state().driverFeatureSelect === 1) state().driverFeaturesHigh = value;
      },
    },
    { offset: 0x10, width: 2, read: () => state().vector, write: (value) => (state().vector = known(value)) },
    { offset: 0x12, width: 2, read: () => queues.length },
    {
      offset: 0x14,
      width: 1,
      read: readStatus,
      write: writeStatus,
    },
    { offset: 0x15, width: 1, read: () => state().generation },
    { offset: 0x16, width: 2, read: () => state().queueSelect, write: (value) => (state().queueSelect = value) },
    {
      offset: 0x18,
      width: 2,
      read: () => selected()?.state.size ?? 0,
      // What the layout cannot have, or is more than offered, is not taken over, and the driver reads the old size.
      write: (value) => {
        const queue = selected();
        if (queue?.state.enabled === false && isQueueSize(value, queue.maxSize, packed())) queue.state.size = value;
      },
    },
    {
      offset: 0x1a,
      width: 2,
      read: () => selected()?.state.vector ?? NO_VECTOR,
      write: (value) => {
        const queue = selected()?.state;
        if (queue !== undefined) queue.vector = known(value);
      },
    },
    {
      offset: 0x1c,
      width: 2,
      read: () => Number(selected()?.state.enabled ?? false),
      // Only a reset disables a queue: drivers MUST NOT write 0 (4.1.4.3.2).
      write: (value) => {
        const queue = selected()?.state;
        if (queue !== undefined && value === 1) queue.enabled = true;
      },
    },
    { offset: 0x1e, width: 2, read: () => (selected() === undefined ? 0 : state().queueSelect) },
    half(0x20, 'descLow'),
    half(0x24, 'descHigh'),
    half(0x28, 'driverLow'),
    half(0x2c, 'driverHigh'),
    half(0x30, 'deviceLow'),
    half(0x34, 'deviceHigh'),
  ];
}
