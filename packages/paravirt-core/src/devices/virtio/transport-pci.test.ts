import { describe, expect, it } from 'vitest';
import { BlockGuest } from './block-guest.ts';
import { ACKNOWLEDGE, COMMON, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET } from './guest-driver.ts';
import { VIRTIO_F_EVENT_IDX } from './queue-state.ts';
import { VIRTIO_F_VERSION_1 } from './transport-pci.ts';
import { VIRTIO_BLK_T_IN } from './block-request.ts';

const COMMON_CFG = 1;
const ISR_CFG = 3;
const PCI_CFG = 5;

describe('the structures of a virtio PCI device', () => {
  it('are what Linux 6.1 asks for before it drives a modern device', () => {
    const { driver } = new BlockGuest();
    const barSize = 0x1000;

    expect(driver.structures.map((s) => s.type)).toEqual([1, 2, 3, 4, 5]);
    for (const { type, bar, offset, length } of driver.structures.filter((s) => s.type !== PCI_CFG)) {
      expect(bar).toBe(0);
      expect(offset + length).toBeLessThanOrEqual(barSize);
      expect(offset % (type === ISR_CFG ? 1 : 4)).toBe(0);
    }
    expect(driver.structure(COMMON_CFG).length).toBe(56);
    expect(driver.configRead(driver.structure(2).at + 2, 1)).toBe(20);
    // queue_notify_off * notify_off_multiplier + 2 <= length, for the last of four queues.
    expect(driver.structure(2).length).toBeGreaterThanOrEqual(3 * 4 + 2);
  });

  it('answer odd widths by bytes and ignore writes that are no whole field', () => {
    const { driver } = new BlockGuest();

    driver.write(COMMON_CFG, COMMON.queueSelect, 1, 1);
    driver.write(COMMON_CFG, COMMON.driverFeature, 2, 0xffff);

    expect(driver.read(COMMON_CFG, COMMON.queueSelect, 2)).toBe(0);
    expect(driver.read(COMMON_CFG, COMMON.driverFeature, 4)).toBe(0);
    expect(driver.read(COMMON_CFG, 0x10, 4)).toBe(0x0004_ffff);
    expect(driver.read(COMMON_CFG, COMMON.queueSize, 1)).toBe(0);
    expect(driver.read(COMMON_CFG, COMMON.queueSize + 1, 1)).toBe(1);
  });

  it('know no queue beyond the last', () => {
    const { driver } = new BlockGuest();

    driver.write(COMMON_CFG, COMMON.queueSelect, 2, 4);
    driver.write(COMMON_CFG, COMMON.queueEnable, 2, 1);

    expect([COMMON.queueSize, COMMON.queueEnable].map((r) => driver.read(COMMON_CFG, r, 2))).toEqual([0, 0]);
  });
});

describe('negotiation', () => {
  it.each([
    ['a subset with VERSION_1', [VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX], true],
    ['no VERSION_1', [VIRTIO_F_EVENT_IDX], false],
    ['a bit never offered', [VIRTIO_F_VERSION_1, 3], false],
    ['a high bit never offered', [VIRTIO_F_VERSION_1, 35], false],
  ])('with %s: %s', (_what, features, taken) => {
    const { driver } = new BlockGuest();

    expect(driver.negotiate(features)).toBe(taken);
  });

  it('does not start a device whose features were not agreed on', () => {
    const { driver } = new BlockGuest();
    driver.negotiate([]);

    driver.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;

    expect(driver.status).toBe(ACKNOWLEDGE | DRIVER);
  });

  it('keeps features, queue addresses and status bits as agreed', () => {
    const { driver } = new BlockGuest();
    driver.bringUp([VIRTIO_F_VERSION_1]);

    driver.write(COMMON_CFG, COMMON.driverFeature, 4, 0);
    driver.write(COMMON_CFG, COMMON.queueDesc, 4, 0x9000);
    driver.write(COMMON_CFG, COMMON.queueSize, 2, 4);
    driver.write(COMMON_CFG, COMMON.queueEnable, 2, 0);
    driver.status = ACKNOWLEDGE | NEEDS_RESET;

    expect(driver.read(COMMON_CFG, COMMON.driverFeature, 4)).toBe(1);
    expect(driver.read(COMMON_CFG, COMMON.queueDesc, 4)).toBe(0x1000);
    expect(driver.read(COMMON_CFG, COMMON.queueSize, 2)).toBe(16);
    expect(driver.read(COMMON_CFG, COMMON.queueEnable, 2)).toBe(1);
    expect(driver.status).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
  });

  it('takes no queue size that is not a power of two up to the offer', () => {
    const { driver } = new BlockGuest();
    const sizes = [0, 3, 512, 64].map((size) => {
      driver.write(COMMON_CFG, COMMON.queueSize, 2, size);
      return driver.read(COMMON_CFG, COMMON.queueSize, 2);
    });

    expect(sizes).toEqual([256, 256, 256, 64]);
  });

  it('returns everything to the start on reset', () => {
    const fresh = new BlockGuest();
    const used = new BlockGuest({ immediate: true });
    used.driver.bringUp([VIRTIO_F_VERSION_1]);
    used.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    used.driver.kick();

    used.driver.status = 0;

    expect(used.rig.device.save()).toEqual(fresh.rig.device.save());
    expect(used.rig.interrupt).toBe(false);
  });
});

describe('notifications', () => {
  it('do not count before DRIVER_OK; chains made available early are taken then', () => {
    const guest = new BlockGuest();
    guest.driver.negotiate([VIRTIO_F_VERSION_1]);
    guest.driver.queue(16, 0x1000);
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();
    const early = guest.disk.pending.length;

    guest.driver.start();

    expect([early, guest.disk.pending.length]).toEqual([0, 1]);
  });

  it('are served a bounded piece at a time, and the rest soon after', () => {
    // Answered at once, so that the ring can offer the same chain again and again.
    const guest = new BlockGuest();
    guest.driver.bringUp([VIRTIO_F_VERSION_1]);
    const head = guest.request(0, 99);
    for (let i = 1; i < 16; i++) guest.driver.expose(head);
    guest.driver.kick();
    const first = guest.driver.collect().length;
    const pending = guest.rig.clock.alarms.next();
    guest.driver.expose(head);
    const saved = structuredClone(guest.rig.device.save());

    guest.rig.clock.advance(2_000);

    expect([first, guest.driver.collect().length]).toEqual([16, 1]);
    expect(pending).toBe(1_000);
    const copy = new BlockGuest({ ram: guest.rig.ram.slice() });
    copy.rig.device.restore(saved);
    expect(copy.rig.clock.alarms.next()).toBe(1_000);
  });
});

describe('the PCI configuration window', () => {
  const setUp = (guest: BlockGuest, offset: number, length: number, bar = 0): number => {
    const { at } = guest.driver.structure(PCI_CFG);
    guest.driver.configWrite(at + 4, 1, bar);
    guest.driver.configWrite(at + 8, 4, offset);
    guest.driver.configWrite(at + 12, 4, length);
    return at + 16;
  };

  it('reads and writes the structures', () => {
    const guest = new BlockGuest();
    const { offset } = guest.driver.structure(COMMON_CFG);

    guest.driver.configWrite(setUp(guest, offset + COMMON.queueSelect, 2), 2, 0x1234);
    const capacity = guest.driver.configRead(setUp(guest, guest.driver.structure(4).offset, 4), 4);

    expect(guest.driver.read(COMMON_CFG, COMMON.queueSelect, 2)).toBe(0x1234);
    expect(capacity).toBe(64);
    expect(guest.driver.configRead(guest.driver.structure(PCI_CFG).at, 4) >>> 16).toBe(0x0514);
  });

  it.each([
    ['another register', 0, 4, 1],
    ['an odd length', 0, 3, 0],
    ['a misaligned offset', 2, 4, 0],
    ['an offset beyond the end', 0x1000, 4, 0],
    ['a huge offset', 0xffff_fffc, 4, 0],
  ])('does nothing for %s', (_what, offset, length, bar) => {
    const guest = new BlockGuest();
    const data = setUp(guest, offset, length, bar);
    const before = guest.driver.read(COMMON_CFG, COMMON.deviceFeatureSelect, 4);

    guest.driver.configWrite(data, 4, 1);

    expect(guest.driver.configRead(data, 4)).toBe(0);
    expect(guest.driver.read(COMMON_CFG, COMMON.deviceFeatureSelect, 4)).toBe(before);
  });
});
