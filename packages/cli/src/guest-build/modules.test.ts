import { expect, test } from 'vitest';
import { moduleLoadOrder } from './modules.ts';

// As depmod writes it: what has to be loaded first stands last.
const MODULES_DEP = `kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
kernel/fs/jbd2/jbd2.ko:
kernel/fs/mbcache.ko:
kernel/lib/crc16.ko:
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/char/hw_random/virtio-rng.ko.xz: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
`;

test('a module comes after all that it needs, and nothing comes twice', () => {
  expect(moduleLoadOrder(MODULES_DEP, ['virtio_blk', 'virtio_ring', 'ext4'])).toEqual([
    'kernel/drivers/virtio/virtio.ko',
    'kernel/drivers/virtio/virtio_ring.ko',
    'kernel/drivers/block/virtio_blk.ko',
    'kernel/fs/jbd2/jbd2.ko',
    'kernel/fs/mbcache.ko',
    'kernel/lib/crc16.ko',
    'kernel/fs/ext4/ext4.ko',
  ]);
});

test('dashes and underscores are the same, and compressed modules are modules', () => {
  expect(moduleLoadOrder(MODULES_DEP, ['virtio_rng']).at(-1)).toBe('kernel/drivers/char/hw_random/virtio-rng.ko.xz');
});

test('a module that the kernel has not is named', () => {
  expect(() => moduleLoadOrder(MODULES_DEP, ['nfs'])).toThrow(/no module nfs/);
});
