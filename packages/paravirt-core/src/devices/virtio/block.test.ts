import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { RamWindow } from '../../machine/guest-memory.ts';
import { blockBackend } from './block-backend.ts';
import { MemoryDisk } from './memory-disk.ts';
import { BlockGuest, UNTOUCHED, pattern } from './block-guest.ts';
import {
  VIRTIO_BLK_F_BLK_SIZE,
  VIRTIO_BLK_F_DISCARD,
  VIRTIO_BLK_F_FLUSH,
  VIRTIO_BLK_F_MQ,
  VIRTIO_BLK_F_RO,
  VIRTIO_BLK_F_SEG_MAX,
  VIRTIO_BLK_F_WRITE_ZEROES,
} from './block-configuration.ts';
import {
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_OK,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES,
} from './block-request.ts';
import { virtioBlock } from './block.ts';
import { ACKNOWLEDGE, COMMON, GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_PACKED } from './queue-state.ts';
import { Rig, SLOT } from './rig.ts';
import { VIRTIO_F_VERSION_1 } from './transport-pci.ts';

const FEATURES = [VIRTIO_F_VERSION_1, VIRTIO_BLK_F_FLUSH];

const started = (options: ConstructorParameters<typeof BlockGuest>[0] = {}, features = FEATURES): BlockGuest => {
  const guest = new BlockGuest(options);
  guest.driver.bringUp(features);
  return guest;
};

/** One `struct virtio_blk_discard_write_zeroes`. */
const range = (sector: number, count: number, flags = 0): Uint8Array => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, count, true);
  view.setUint32(12, flags, true);
  return bytes;
};

deviceBattery(virtioBlock, {
  config: {},
  bench() {
    let disk: MemoryDisk | undefined;
    return {
      // The board's RAM is not known here, so the twin works on memory of its own: what it moves is not looked at.
      backends: [
        backend(
          blockBackend,
          (disk = new MemoryDisk({ memory: new RamWindow(new Uint8Array(1 << 20)), sectors: 64, immediate: true })),
        ),
      ],
      output: () => disk!.submitted.map(({ kind, sector, count, segments }) => ({ kind, sector, count, segments })),
    };
  },
  disturb(_device, rig) {
    // The board gives the first device slot 2. Bus and driver know nothing of what came before, so this can be done
    // twice.
    const driver = new GuestDriver(rig, 2);
    driver.bringUp([...FEATURES, VIRTIO_F_EVENT_IDX]);
    driver.write(1, COMMON.deviceFeatureSelect, 4, 1);
    driver.configWrite(driver.structure(5).at + 12, 4, 4);
    for (const first of [0x8000, 0x9000]) {
      rig.ram[first] = VIRTIO_BLK_T_OUT;
      driver.add([
        { address: first, length: 528 },
        { address: first + 0x800, length: 1, writable: true },
      ]);
      driver.kick();
    }
  },
});

describe('virtio-block configuration', () => {
  it('offers what a writable disk can do', () => {
    const guest = new BlockGuest();

    expect(guest.driver.offered()).toEqual([
      VIRTIO_BLK_F_SEG_MAX,
      VIRTIO_BLK_F_BLK_SIZE,
      VIRTIO_BLK_F_FLUSH,
      VIRTIO_BLK_F_MQ,
      VIRTIO_BLK_F_DISCARD,
      VIRTIO_BLK_F_WRITE_ZEROES,
      VIRTIO_F_INDIRECT_DESC,
      VIRTIO_F_EVENT_IDX,
      VIRTIO_F_VERSION_1,
      VIRTIO_F_RING_PACKED,
    ]);
  });

  it('offers read-only and no command that changes a read-only disk', () => {
    const offered = new BlockGuest({ readOnly: true }).driver.offered();

    expect(offered).toContain(VIRTIO_BLK_F_RO);
    expect(offered).not.toContain(VIRTIO_BLK_F_DISCARD);
    expect(offered).not.toContain(VIRTIO_BLK_F_WRITE_ZEROES);
  });

  it('shows capacity, segment limit and block size', () => {
    const { driver } = new BlockGuest({ sectors: 64 });

    const shown = [0, 4, 12, 20].map((offset) => driver.read(4, offset, 4));

    expect(shown).toEqual([64, 0, 254, 512]);
  });

  it('is a block device of revision 1 on the bus', () => {
    const { driver } = new BlockGuest();

    const header = [
      driver.configRead(0, 4),
      driver.configRead(8, 4),
      driver.configRead(0x2c, 4),
      driver.configRead(0x3d, 1),
    ];

    expect(header).toEqual([0x1042_1af4, 0x0100_0001, 0x0042_1af4, 1]);
  });
});

describe('virtio-block requests', () => {
  it('writes, then reads the same bytes back, and reports the written ranges', () => {
    const guest = started({ immediate: true });
    const bytes = pattern(3 * 512, 1);
    guest.request(0, VIRTIO_BLK_T_OUT, { sector: 5, out: bytes });
    guest.request(1, VIRTIO_BLK_T_IN, { sector: 5, room: bytes.length });

    guest.driver.kick();

    expect(guest.driver.collect().map((u) => u.length)).toEqual([1, bytes.length + 1]);
    expect([guest.statusOf(0), guest.statusOf(1)]).toEqual([VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK]);
    expect(guest.dataOf(1, bytes.length)).toEqual(bytes);
    expect(guest.disk.data.slice(5 * 512, 8 * 512)).toEqual(bytes);
    expect(guest.rig.written).toContainEqual({ address: guest.dataAddress(1), length: bytes.length });
  });

  it('takes requests through indirect tables', () => {
    const guest = started({ immediate: true }, [...FEATURES, VIRTIO_F_INDIRECT_DESC]);
    const bytes = pattern(1024, 9);
    guest.request(0, VIRTIO_BLK_T_OUT, { sector: 1, out: bytes, indirect: true });
    guest.request(1, VIRTIO_BLK_T_IN, { sector: 1, room: 1024, indirect: true });

    guest.driver.kick();

    expect(guest.driver.collect()).toHaveLength(2);
    expect(guest.dataOf(1, 1024)).toEqual(bytes);
  });

  it('makes no assumption about how header, data and status are cut', () => {
    const guest = started({ immediate: true, data: pattern(64 * 512, 3) });
    const { memory, ram } = guest.rig;
    ram.fill(0, 0x8000, 0x9000);
    memory.write32(0x8000 + 8, 2);
    guest.driver.add([
      { address: 0x8000, length: 3 },
      { address: 0x8003, length: 13 },
      { address: 0x8100, length: 0 },
      { address: 0x8200, length: 100, writable: true },
      { address: 0x8400, length: 413, writable: true },
    ]);

    guest.driver.kick();

    expect(guest.driver.collect()[0]!.length).toBe(513);
    const read = [...ram.slice(0x8200, 0x8200 + 100), ...ram.slice(0x8400, 0x8400 + 412)];
    expect(read).toEqual([...guest.disk.data.slice(2 * 512, 3 * 512)]);
    expect(ram[0x8400 + 412]).toBe(VIRTIO_BLK_S_OK);
  });

  it('gives the serial number, padded with NUL', () => {
    const guest = started({ immediate: true });
    guest.request(0, VIRTIO_BLK_T_GET_ID, { room: 20 });

    guest.driver.kick();

    expect(guest.driver.collect()[0]!.length).toBe(21);
    expect(Buffer.from(guest.dataOf(0, 20)).toString('latin1')).toBe('memory-disk'.padEnd(20, '\0'));
  });

  it('zeroes ranges and discards them', () => {
    const guest = started({ immediate: true, data: new Uint8Array(64 * 512).fill(0xff) });
    guest.request(0, VIRTIO_BLK_T_WRITE_ZEROES, { out: range(3, 2, 1) });
    guest.request(1, VIRTIO_BLK_T_DISCARD, { out: range(10, 4) });

    guest.driver.kick();

    expect([guest.statusOf(0), guest.statusOf(1)]).toEqual([VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK]);
    expect(guest.disk.submitted.map(({ kind, sector, count, unmap }) => ({ kind, sector, count, unmap }))).toEqual([
      { kind: 'write-zeroes', sector: 3, count: 2, unmap: true },
      { kind: 'discard', sector: 10, count: 4, unmap: false },
    ]);
    expect(guest.disk.data[3 * 512]).toBe(0);
    expect(guest.disk.data[5 * 512]).toBe(0xff);
  });

  it.each([
    ['an unknown type', VIRTIO_BLK_S_UNSUPP, 99, {}],
    ['a SCSI command', VIRTIO_BLK_S_UNSUPP, 2, {}],
    ['a read beyond the end', VIRTIO_BLK_S_IOERR, VIRTIO_BLK_T_IN, { sector: 63, room: 1024 }],
    ['a read from an absurd sector', VIRTIO_BLK_S_IOERR, VIRTIO_BLK_T_IN, { sector: 2 ** 63, room: 512 }],
    ['a read of half a sector', VIRTIO_BLK_S_IOERR, VIRTIO_BLK_T_IN, { room: 256 }],
    ['a write beyond the end', VIRTIO_BLK_S_IOERR, VIRTIO_BLK_T_OUT, { sector: 64, out: new Uint8Array(512) }],
    ['a discard with unmap', VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_DISCARD, { out: range(0, 1, 1) }],
    ['zeroes with unknown flags', VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_WRITE_ZEROES, { out: range(0, 1, 2) }],
    ['zeroes beyond the end', VIRTIO_BLK_S_IOERR, VIRTIO_BLK_T_WRITE_ZEROES, { out: range(60, 5) }],
    ['zeroes without a range', VIRTIO_BLK_S_IOERR, VIRTIO_BLK_T_WRITE_ZEROES, {}],
    ['a cut range', VIRTIO_BLK_S_IOERR, VIRTIO_BLK_T_DISCARD, { out: new Uint8Array(15) }],
    ['more ranges than allowed', VIRTIO_BLK_S_IOERR, VIRTIO_BLK_T_DISCARD, { out: new Uint8Array(32) }],
  ] as const)('answers %s with status %i and leaves the disk alone', (_what, status, type, options) => {
    const guest = started({ immediate: true, data: pattern(64 * 512, 4) });
    guest.request(0, type, options);

    guest.driver.kick();

    expect(guest.driver.collect()).toHaveLength(1);
    expect(guest.statusOf(0)).toBe(status);
    expect(guest.disk.submitted).toEqual([]);
  });

  it.each([
    ['a write', VIRTIO_BLK_T_OUT, new Uint8Array(512), VIRTIO_BLK_S_IOERR],
    ['a discard', VIRTIO_BLK_T_DISCARD, range(0, 1), VIRTIO_BLK_S_UNSUPP],
    ['zeroes', VIRTIO_BLK_T_WRITE_ZEROES, range(0, 1), VIRTIO_BLK_S_IOERR],
  ] as const)('refuses %s on a read-only disk', (_what, type, out, status) => {
    const guest = started({ immediate: true, readOnly: true });
    guest.request(0, type, { out });

    guest.driver.kick();

    expect(guest.statusOf(0)).toBe(status);
    expect(guest.disk.submitted).toEqual([]);
  });

  it('reports a failure of the backend, and no bytes read', () => {
    const guest = started();
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();

    guest.disk.complete(guest.disk.pending[0]!, false);

    expect(guest.driver.collect()).toEqual([{ id: expect.any(Number), length: 0 }]);
    expect(guest.statusOf(0)).toBe(VIRTIO_BLK_S_IOERR);
  });

  it('stops at a request without a whole header, and says so', () => {
    const guest = started();
    guest.driver.add([
      { address: 0x8000, length: 15 },
      { address: 0x8100, length: 1, writable: true },
    ]);

    guest.driver.kick();

    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(guest.rig.troubles).toEqual([
      'virtio-block: its driver broke virtqueue 0 (a request that makes no sense): it stands still until a reset',
    ]);
    expect(guest.rig.interrupt).toBe(true);
    expect(guest.driver.isr).toBe(2);
    expect(guest.driver.collect()).toEqual([]);
  });

  it('is an empty disk without a backend', () => {
    const rig = new Rig({ ram: new Uint8Array(1 << 16), def: virtioBlock, config: {} });

    const driver = new GuestDriver(rig, SLOT);

    expect([driver.read(4, 0, 4), driver.read(4, 4, 4)]).toEqual([0, 0]);
  });
});

describe('virtio-block with several queues', () => {
  it.each([
    ['split', []],
    ['packed', [VIRTIO_F_RING_PACKED]],
  ])('gives each request back by the queue that it came by, %s', (_layout, more) => {
    const guest = new BlockGuest({ data: pattern(64 * 512, 2) });
    guest.driver.bringUp([...FEATURES, VIRTIO_BLK_F_MQ, ...more], 16, 0x1000, 4);
    const ids = [0, 1, 2, 3].map((queue) => {
      const id = guest.request(queue, VIRTIO_BLK_T_IN, { sector: 3 * queue, room: 512, queue });
      guest.driver.kick(queue);
      return id;
    });
    const saved = structuredClone(guest.rig.device.save());
    guest.rig.device.restore(saved);
    while (guest.disk.pending.length > 0) guest.disk.complete(guest.disk.pending.at(-1)!);

    const used = [0, 1, 2, 3].map((queue) => guest.driver.collect(queue));

    expect(used).toEqual(ids.map((id) => [{ id, length: 513 }]));
    for (const queue of [0, 1, 2, 3]) {
      expect(guest.dataOf(queue, 512)).toEqual(guest.disk.data.slice(3 * queue * 512, (3 * queue + 1) * 512));
    }
    expect(guest.driver.read(4, 34, 2)).toBe(4);
  });

  it('goes on from a state of version 1, which had one queue', () => {
    const guest = started({ data: pattern(64 * 512, 7) });
    const head = guest.request(0, VIRTIO_BLK_T_IN, { sector: 9, room: 512 });
    guest.driver.kick();
    const { kind, state } = structuredClone(guest.rig.device.save());
    const { transport, inFlight } = state as {
      transport: { queues: unknown[] };
      inFlight: { queue?: number; id?: number; slots?: number }[];
    };
    const old = {
      transport: { ...transport, queues: transport.queues.slice(0, 1) },
      inFlight: inFlight.map(({ queue: _queue, id, slots: _slots, ...request }) => ({ ...request, head: id })),
    };
    const copy = new BlockGuest({ data: guest.disk.data.slice(), ram: guest.rig.ram.slice() });

    copy.rig.device.restore({ kind, version: 1, state: old });
    copy.disk.completeAll();

    expect(copy.rig.memory.read32(guest.driver.used + 4)).toBe(head);
    expect(copy.dataOf(0, 512)).toEqual(guest.disk.data.slice(9 * 512, 10 * 512));
    expect(() => copy.rig.device.restore({ kind, version: 1, state: null })).toThrow(/not an object/);
  });
});

describe('virtio-block in flight', () => {
  it('completes out of order', () => {
    const guest = started({ data: pattern(64 * 512, 2) });
    const heads = [0, 1, 2].map((slot) => guest.request(slot, VIRTIO_BLK_T_IN, { sector: slot, room: 512 }));
    guest.driver.kick();
    const [first, second, third] = [...guest.disk.pending];

    guest.disk.complete(third!);
    guest.disk.complete(first!);
    const early = guest.driver.collect();
    guest.disk.complete(second!);
    const late = guest.driver.collect();

    expect(early.map((u) => u.id)).toEqual([heads[2], heads[0]]);
    expect(late.map((u) => u.id)).toEqual([heads[1]]);
    expect(guest.dataOf(1, 512)).toEqual(guest.disk.data.slice(512, 1024));
  });

  it('makes writes stable by a flush when the driver negotiated it, and only then', () => {
    const guest = started();
    guest.request(0, VIRTIO_BLK_T_OUT, { out: pattern(512, 5) });
    guest.driver.kick();
    guest.disk.completeAll();
    const beforeFlush = guest.disk.stable[1];
    guest.request(1, VIRTIO_BLK_T_FLUSH);

    guest.driver.kick();
    guest.disk.completeAll();

    expect(beforeFlush).toBe(0);
    expect(guest.disk.stable.slice(0, 512)).toEqual(pattern(512, 5));
    expect(guest.statusOf(1)).toBe(VIRTIO_BLK_S_OK);
  });

  it('flushes each write before completing it for a driver that cannot flush', () => {
    const guest = started({}, [VIRTIO_F_VERSION_1]);
    guest.request(0, VIRTIO_BLK_T_OUT, { out: pattern(512, 6) });
    guest.driver.kick();
    guest.disk.complete(guest.disk.pending[0]!);
    const usedAfterWrite = guest.driver.collect();

    guest.disk.complete(guest.disk.pending[0]!);

    expect(usedAfterWrite).toEqual([]);
    expect(guest.driver.collect()).toHaveLength(1);
    expect(guest.disk.stable.slice(0, 512)).toEqual(pattern(512, 6));
  });

  it('ignores completions it did not ask for', () => {
    const guest = started();
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();
    const [request] = [...guest.disk.pending];
    guest.disk.complete(request!);

    guest.disk.complete(request!);
    guest.disk.complete({ ...request!, id: 12345 });

    expect(guest.driver.collect()).toHaveLength(1);
  });

  it('serves more requests than the ring has entries, round after round', () => {
    const guest = started({ data: pattern(64 * 512, 8) });

    for (let round = 0; round < 100; round++) {
      for (const slot of [0, 1, 2, 3]) guest.request(slot, VIRTIO_BLK_T_IN, { sector: (round + slot) % 64, room: 512 });
      guest.driver.kick();
      guest.disk.complete(guest.disk.pending.at(-1)!);
      guest.disk.completeAll();
      expect(guest.driver.collect()).toHaveLength(4);
    }

    expect(guest.disk.submitted).toHaveLength(400);
    expect(guest.driver.status & NEEDS_RESET).toBe(0);
  });

  it('stops when a driver offers chains again that it has not got back', () => {
    const guest = started();
    const head = guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    for (let i = 1; i < 17; i++) {
      guest.driver.expose(head);
      guest.driver.kick();
    }

    expect(guest.disk.pending).toHaveLength(16);
    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
  });
});

describe('virtio-block interrupts', () => {
  it('interrupts once for each acknowledged batch, and drops the line when ISR is read', () => {
    const guest = started();
    for (const slot of [0, 1]) guest.request(slot, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();
    guest.disk.completeAll();
    const raised = guest.rig.interrupt;

    const isr = guest.driver.isr;

    expect(raised).toBe(true);
    expect(isr).toBe(1);
    expect(guest.rig.interrupt).toBe(false);
    expect(guest.driver.isr).toBe(0);
    expect(guest.rig.interrupts).toBe(1);
  });

  it('does not interrupt a driver that asked for none by the flag', () => {
    const guest = started();
    guest.rig.memory.write16(guest.driver.avail, 1);
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();

    guest.disk.completeAll();

    expect(guest.driver.collect()).toHaveLength(1);
    expect(guest.rig.interrupts).toBe(0);
  });

  it('interrupts exactly for the entry that used_event names', () => {
    const guest = started({}, [...FEATURES, VIRTIO_F_EVENT_IDX]);
    guest.driver.usedEvent = 2;
    const levels: boolean[] = [];
    for (const slot of [0, 1, 2, 3]) guest.request(slot, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();

    while (guest.disk.pending.length > 0) {
      guest.disk.complete(guest.disk.pending[0]!);
      levels.push(guest.rig.interrupt);
      void guest.driver.isr;
    }

    expect(levels).toEqual([false, false, true, false]);
  });

  it('says by avail_event that it wants the next notification', () => {
    const guest = started({}, [...FEATURES, VIRTIO_F_EVENT_IDX]);
    for (const slot of [0, 1, 2]) guest.request(slot, VIRTIO_BLK_T_IN, { room: 512 });

    guest.driver.kick();

    expect(guest.driver.availEvent).toBe(3);
  });
});

describe('virtio-block reset', () => {
  it('shows a reset as under way until what was in flight has ended, and gives nothing back', () => {
    const guest = started({ data: new Uint8Array(64 * 512).fill(0x55) });
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.request(1, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();

    guest.driver.status = 0;
    const during = [guest.driver.status];
    guest.driver.status = ACKNOWLEDGE;
    during.push(guest.driver.status);
    guest.rig.written.length = 0;
    guest.disk.complete(guest.disk.pending[0]!);
    during.push(guest.driver.status);
    guest.disk.complete(guest.disk.pending[0]!);

    expect(during).toEqual([NEEDS_RESET, NEEDS_RESET, NEEDS_RESET]);
    expect(guest.driver.status).toBe(0);
    expect(guest.statusOf(0)).toBe(UNTOUCHED);
    expect(guest.rig.interrupt).toBe(false);
    // The late reads did write guest memory, and said so: nothing there is taken for what it was.
    expect(guest.rig.written).toEqual([0, 1].map((slot) => ({ address: guest.dataAddress(slot), length: 512 })));
    guest.driver.bringUp(FEATURES);
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();
    guest.disk.completeAll();
    expect(guest.statusOf(0)).toBe(VIRTIO_BLK_S_OK);
  });

  it('recovers from a broken ring', () => {
    const guest = started({ immediate: true });
    guest.driver.expose(999);
    guest.driver.kick();
    const broken = guest.driver.status;

    guest.driver.bringUp(FEATURES);
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();

    expect(broken & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(guest.statusOf(0)).toBe(VIRTIO_BLK_S_OK);
  });

  it('keeps completions from before a reset of the machine apart from the requests after it', () => {
    const guest = started();
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();

    guest.rig.device.reset();
    const during = guest.driver.status;
    guest.disk.completeAll();

    expect(during).toBe(NEEDS_RESET);
    expect(guest.driver.status).toBe(0);
    expect(guest.statusOf(0)).toBe(UNTOUCHED);
  });
});

describe('virtio-block saved in flight', () => {
  it('submits what was in flight again, in another machine over the same RAM', () => {
    const guest = started({ data: pattern(64 * 512, 7) });
    const heads = [0, 1].map((slot) => guest.request(slot, VIRTIO_BLK_T_IN, { sector: slot + 4, room: 512 }));
    guest.request(2, VIRTIO_BLK_T_OUT, { sector: 20, out: pattern(512, 77) });
    guest.driver.kick();
    guest.disk.complete(guest.disk.pending[0]!);
    const saved = structuredClone(guest.rig.device.save());
    const copy = new BlockGuest({ data: guest.disk.data.slice(), ram: guest.rig.ram.slice() });

    copy.rig.device.restore(saved);
    copy.disk.completeAll();

    expect(copy.disk.submitted.map((r) => r.kind)).toEqual(['read', 'write']);
    expect(copy.rig.memory.read16(guest.driver.used + 2)).toBe(3);
    expect(copy.rig.memory.read32(guest.driver.used + 4)).toBe(heads[0]);
    expect(copy.dataOf(1, 512)).toEqual(guest.disk.data.slice(5 * 512, 6 * 512));
    expect(copy.disk.data.slice(20 * 512, 21 * 512)).toEqual(pattern(512, 77));
    expect(copy.rig.interrupt).toBe(true);
  });

  it('goes on in the same machine when an older state is restored over requests in flight', () => {
    const guest = started();
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();
    const saved = structuredClone(guest.rig.device.save());
    const [before] = [...guest.disk.pending];

    guest.rig.device.restore(saved);
    guest.disk.complete(before!);
    const early = guest.driver.collect();
    guest.disk.completeAll();

    expect(early).toEqual([]);
    expect(guest.driver.collect()).toHaveLength(1);
  });

  it('saves and restores to the same state', () => {
    const guest = started();
    guest.request(0, VIRTIO_BLK_T_OUT, { out: pattern(1024, 3) });
    guest.driver.kick();
    const saved = structuredClone(guest.rig.device.save());
    const copy = new BlockGuest({ ram: guest.rig.ram.slice() });

    copy.rig.device.restore(saved);

    expect(copy.rig.device.save()).toEqual(saved);
  });

  it.each([
    ['a buffer outside RAM', { segments: [{ address: 2 ** 32, length: 512 }] }],
    ['a length that does not fit the sectors', { count: 2 }],
    ['sectors beyond the end', { sector: 64 }],
    ['a status byte outside RAM', { statusAddress: 2 ** 40 }],
  ])('refuses to touch anything for a saved request with %s', (_what, change) => {
    const guest = started();
    guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
    guest.driver.kick();
    const saved = structuredClone(guest.rig.device.save()) as { state: { inFlight: object[] } } & ReturnType<
      typeof guest.rig.device.save
    >;
    Object.assign(saved.state.inFlight[0]!, change);
    const copy = new BlockGuest({ ram: guest.rig.ram.slice() });

    copy.rig.device.restore(saved);

    expect(copy.disk.submitted).toEqual([]);
    expect(copy.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
  });
});
