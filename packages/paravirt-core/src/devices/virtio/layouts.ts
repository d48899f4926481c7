/** For tests: the features with which a driver gets each layout of a virtqueue, with and without event indexes. */
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED } from './queue-state.ts';
import { VIRTIO_F_VERSION_1 } from './transport-pci.ts';

export const LAYOUTS: readonly (readonly [name: string, features: readonly number[]])[] = [
  ['split', [VIRTIO_F_VERSION_1]],
  ['split with event indexes', [VIRTIO_F_VERSION_1, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX]],
  ['packed', [VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED]],
  ['packed with event indexes', [VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX]],
];
