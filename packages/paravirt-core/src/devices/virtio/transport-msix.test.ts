/** MSI-X of virtio devices, up to a real local APIC. */
import { type Fields } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../machine/battery.ts';
import { type DeviceDef, type Saved } from '../../machine/device.ts';
import { devices } from '../index.ts';
import * as R from '../lapic-registers.ts';
import { lapic } from '../lapic.ts';
import { BlockGuest } from './block-guest.ts';
import { VIRTIO_BLK_T_IN } from './block-request.ts';
import { COMMON, GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { CONTROL_QUEUE, virtioNet } from './net.ts';
import { NO_VECTOR, VIRTIO_F_EVENT_IDX } from './queue-state.ts';
import { Rig, SLOT } from './rig.ts';
import { ISR_CONFIG, ISR_QUEUE, VIRTIO_F_VERSION_1 } from './transport-pci.ts';

const QUEUES = 4;
/** Vectors of the processor: of the configuration, of queue n. */
const ON_CONFIG = 0x30;
const ON_QUEUE = (index: number): number => 0x41 + index;

/** A disk whose driver has a vector for everything, and a processor that takes no interrupt until it is asked to. */
class MsixGuest extends BlockGuest {
  constructor(options: ConstructorParameters<typeof BlockGuest>[0] = {}) {
    super(options);
    this.rig.board.add(lapic, { id: 0 });
    this.rig.board.reset();
    this.rig.board.memoryWrite(R.LAPIC_BASE + R.APIC_SVR, 4, 0x1ff);
  }

  start(features: readonly number[] = [VIRTIO_F_VERSION_1], masked = false): this {
    const { driver } = this;
    driver.negotiate(features);
    driver.useMsix(true, masked);
    driver.setMessage(0, { data: ON_CONFIG });
    driver.setConfigVector(0);
    for (let index = 0, next = 0x1000; index < QUEUES; index++) {
      driver.setMessage(index + 1, { data: ON_QUEUE(index) });
      driver.setQueueVector(index, index + 1);
      next = (driver.queue(16, next, index).end + 15) & ~15;
    }
    driver.start();
    return this;
  }

  /** The vectors that the processor is interrupted by now, each ended at once. */
  taken(): number[] {
    const { board } = this.rig;
    const vectors: number[] = [];
    while (board.interruptRequested) {
      vectors.push(board.acknowledge());
      board.memoryWrite(R.LAPIC_BASE + R.APIC_EOI, 4, 0);
    }
    return vectors;
  }

  read(slot: number, queue = 0): void {
    this.request(slot, VIRTIO_BLK_T_IN, { room: 512, queue });
    this.driver.kick(queue);
  }
}

describe('interrupts by MSI-X', () => {
  it('offer a vector for each queue and one for the configuration', () => {
    const { driver } = new BlockGuest();

    const { vectors, table, pending } = driver.msix();

    expect(vectors).toBe(QUEUES + 1);
    expect(table & 7).toBe(0);
    expect(table).toBeGreaterThanOrEqual(driver.structure(4).offset + driver.structure(4).length);
    expect(table + 16 * vectors).toBeLessThanOrEqual(pending);
    expect(pending + 8).toBeLessThanOrEqual(driver.structure(2).offset);
  });

  it('come by the vector of the queue, with no line and no bit of ISR status', () => {
    const guest = new MsixGuest({ immediate: true }).start();

    guest.read(0, 2);
    guest.read(1, 0);

    expect(guest.taken()).toEqual([ON_QUEUE(2), ON_QUEUE(0)]);
    expect([guest.rig.interrupts, guest.driver.isr]).toEqual([0, 0]);
  });

  it('need two accesses of the guest for a request: the notification and the end of the interrupt', () => {
    const guest = new MsixGuest({ immediate: true }).start();
    const { board } = guest.rig;
    const notification = guest.driver.configRead(0x10, 4) + guest.driver.structure(2).offset;
    let accesses = 0;
    const { memory } = board;
    const [read, write] = [memory.read.bind(memory), memory.write.bind(memory)];
    memory.read = (...access) => (accesses++, read(...access));
    memory.write = (...access) => (accesses++, write(...access));

    for (let i = 0; i < 10; i++) {
      guest.request(0, VIRTIO_BLK_T_IN, { room: 512 });
      board.memoryWrite(notification, 2, 0);
      expect(guest.taken()).toEqual([ON_QUEUE(0)]);
      expect(guest.driver.collect()).toHaveLength(1);
    }

    expect(accesses).toBe(20);
  });

  it('are suppressed by event indexes as others are', () => {
    const guest = new MsixGuest({ immediate: true }).start([VIRTIO_F_VERSION_1, VIRTIO_F_EVENT_IDX]);
    guest.driver.usedEvent = 1;

    guest.read(0);
    const first = guest.taken();
    guest.read(1);

    expect([first, guest.taken()]).toEqual([[], [ON_QUEUE(0)]]);
  });

  it('tell of the configuration by its vector, and ISR status says so too', () => {
    const guest = new MsixGuest().start();

    guest.driver.expose(0x7fff);
    guest.driver.kick();

    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(guest.taken()).toEqual([ON_CONFIG]);
    expect([guest.rig.interrupts, guest.driver.isr]).toEqual([0, ISR_CONFIG]);
  });

  it('refuse a vector that there is not, and then do not come', () => {
    const guest = new MsixGuest({ immediate: true }).start();
    const { driver } = guest;

    const answers = [
      driver.setQueueVector(0, QUEUES + 1),
      driver.setConfigVector(0xfffe),
      driver.setQueueVector(1, QUEUES),
      driver.setConfigVector(1),
    ];
    guest.read(0);

    expect(answers).toEqual([NO_VECTOR, NO_VECTOR, QUEUES, 1]);
    expect(guest.taken()).toEqual([]);
    expect(driver.collect()).toHaveLength(1);
    driver.write(1, COMMON.queueSelect, 2, QUEUES);
    driver.write(1, COMMON.queueVector, 2, 0);
    expect(driver.read(1, COMMON.queueVector, 2)).toBe(NO_VECTOR);
  });

  it('share a vector when the driver has it so', () => {
    const guest = new MsixGuest({ immediate: true }).start();
    for (let index = 0; index < QUEUES; index++) guest.driver.setQueueVector(index, 3);

    guest.read(0, 1);
    const first = guest.taken();
    guest.read(1, 3);

    expect([first, guest.taken()]).toEqual([[ON_QUEUE(2)], [ON_QUEUE(2)]]);
  });

  it('wait for a masked vector', () => {
    const guest = new MsixGuest({ immediate: true }).start();
    guest.driver.maskVector(1, true);

    guest.read(0);
    guest.read(1);
    const [masked, pending] = [guest.taken(), guest.driver.pendingVectors];
    guest.driver.maskVector(1, false);

    expect([masked, pending]).toEqual([[], 0b10]);
    expect([guest.taken(), guest.driver.pendingVectors]).toEqual([[ON_QUEUE(0)], 0]);
  });

  it('are lines again while MSI-X is off', () => {
    const guest = new MsixGuest({ immediate: true }).start();

    guest.driver.useMsix(false);
    guest.read(0);

    expect([guest.rig.interrupt, guest.taken()]).toEqual([true, []]);
    guest.driver.useMsix(true);
    expect(guest.rig.interrupt).toBe(false);
    guest.driver.useMsix(false);
    expect([guest.rig.interrupt, guest.driver.isr, guest.rig.interrupt]).toEqual([true, ISR_QUEUE, false]);
  });

  it('end with a reset of the device, which leaves the table to the bus', () => {
    const guest = new MsixGuest({ immediate: true }).start([VIRTIO_F_VERSION_1], true);
    guest.read(0);
    const before = guest.driver.pendingVectors;

    guest.driver.status = 0;
    guest.driver.useMsix(true);

    expect([before, guest.driver.pendingVectors, guest.taken()]).toEqual([0b10, 0, []]);
    expect(guest.driver.read(1, COMMON.configVector, 2)).toBe(NO_VECTOR);
    guest.driver.write(1, COMMON.queueSelect, 2, 0);
    expect(guest.driver.read(1, COMMON.queueVector, 2)).toBe(NO_VECTOR);
    guest.driver.setConfigVector(0);
    guest.driver.bringUp([VIRTIO_F_VERSION_1]);
    guest.driver.setQueueVector(0, 1);
    guest.read(0);
    expect(guest.taken()).toEqual([ON_QUEUE(0)]);
  });

  it('come after a restore in the middle of a request, masked or not', () => {
    const guest = new MsixGuest().start();
    guest.driver.maskVector(2, true);
    guest.read(0, 0);
    guest.read(1, 1);
    guest.disk.complete(guest.disk.pending[1]!);
    const saved = structuredClone(guest.rig.board.save());
    const copy = new MsixGuest({ ram: guest.rig.ram.slice() });
    copy.rig.board.restore(saved);
    expect(copy.rig.board.save()).toEqual(saved);

    copy.disk.completeAll();
    const first = copy.taken();
    copy.driver.maskVector(2, false);

    expect([first, copy.taken()]).toEqual([[ON_QUEUE(0)], [ON_QUEUE(1)]]);
  });

  it('come of what completes within the restore', () => {
    const guest = new MsixGuest().start();
    guest.read(0);
    const saved = structuredClone(guest.rig.board.save());
    const copy = new MsixGuest({ ram: guest.rig.ram.slice(), immediate: true });

    copy.rig.board.restore(saved);

    expect(copy.taken()).toEqual([ON_QUEUE(0)]);
  });
});

/** Every virtio device, as a board with nothing else has it. */
const virtio = devices
  .filter(([name]) => name.startsWith('virtio-'))
  .map(([name, def]) => [name, def as unknown as DeviceDef<object, Fields>] as const);
const alone = (def: DeviceDef<object, Fields>): Rig =>
  new Rig({ ram: new Uint8Array(1 << 20), def, config: def.config.example as object });
describe.each(virtio)('MSI-X of %s', (_name, def) => {
  const make = (): Rig => alone(def);

  it('has a vector more than the device has queues', () => {
    const driver = new GuestDriver(make(), SLOT);

    expect(driver.msix().vectors).toBe(driver.read(1, COMMON.numQueues, 2) + 1);
  });

  it.each(['vector', 'queue'] as const)('refuses a state with a vector that there is not: %s', (where) => {
    const rig = make();
    const saved = structuredClone(rig.device.save()) as Saved & { state: { transport: OldTransport } };
    const { transport } = saved.state;
    if (where === 'vector') transport.vector = transport.queues.length + 1;
    else transport.queues[0]!.vector = 0xfffe;

    expect(() => rig.device.restore(saved)).toThrow(/is none of/);
  });
});

/** Those that were there before virtio devices had MSI-X. */
describe.each(virtio.filter(([, { version }]) => version > 1))('MSI-X of %s', (_name, def) => {
  const make = (): Rig => alone(def);
  // Network cards have got a control queue since.
  const isNet = def.kind === virtioNet.kind,
    before = isNet ? 1 : def.version - 1;

  it('is switched off in a state of before, and everything else as it was', () => {
    const rig = make();
    new GuestDriver(rig, SLOT).bringUp([VIRTIO_F_VERSION_1]);
    const saved = rig.device.save();
    const { transport, ...rest } = structuredClone(saved.state) as { transport: OldTransport };
    const { msix: _msix, vector: _vector, ...old } = transport;
    const { filter: _filter, ...others } = rest as { filter?: unknown };
    const queues = old.queues.slice(0, isNet ? CONTROL_QUEUE : undefined).map(({ vector: _none, ...queue }) => queue);
    const copy = make();

    copy.device.restore({ ...saved, version: before, state: { transport: { ...old, queues }, ...others } });

    expect(copy.device.save()).toEqual(saved);
  });

  it.each([
    ['no state', null],
    ['no transport', { transport: 7 }],
    ['no queues', { transport: { queues: 'hostile' } }],
    ['a queue that is none', { transport: { queues: [null] } }],
  ])('refuses as a state of before: %s', (_what, state) => {
    const rig = make();

    expect(() => rig.device.restore({ kind: def.kind, version: before, state })).toThrow(
      expect.objectContaining({ code: 'state.invalid' }),
    );
  });
});
interface OldTransport {
  vector?: number;
  msix?: unknown;
  queues: { vector?: number }[];
}

describe('hostile drivers of MSI-X', () => {
  it.each([1, 2, 3, 4, 5, 6])('break nothing, and what they are told agrees with what is there, seed %i', (seed) => {
    const random = seededRandom(seed);
    const guest = new MsixGuest({ immediate: random.next(2) === 0 });
    const { driver, rig } = guest;
    const anyData = (): number => (random.next(4) === 0 ? random.next(2 ** 32) : 0x20 + random.next(0xd0));
    const anyAddress = (): number =>
      random.next(5) === 0 ? random.next(2 ** 32) : 0xfee0_0000 + (random.next(4) << (random.next(2) * 12));
    const life = (): void => guest.disk.completeAll();
    guest.start();
    let heard = 0;
    for (let step = 0; step < 3_000; step++) {
      const vector = random.next(QUEUES + 1);
      switch (random.next(9)) {
        case 0:
          driver.useMsix(random.next(5) > 0, random.next(5) === 0);
          break;
        case 1:
          driver.setMessage(vector, { address: anyAddress(), data: anyData(), masked: random.next(3) === 0 });
          break;
        case 2:
          driver.maskVector(vector, random.next(2) === 0);
          break;
        case 3: {
          const wanted = random.next(4) === 0 ? random.next(0x1_0000) : vector;
          const given = random.next(2) === 0 ? driver.setConfigVector(wanted) : driver.setQueueVector(random.next(QUEUES), wanted); // prettier-ignore
          expect(given).toBe(wanted <= QUEUES ? wanted : NO_VECTOR);
          break;
        }
        case 4:
          driver.configWrite(0x98 + random.next(12), 1, random.next(256));
          break;
        case 5:
          heard += guest.taken().length;
          break;
        case 6:
          if (random.next(10) === 0) rig.board.restore(structuredClone(rig.board.save()));
          break;
        case 7:
          if (random.next(60) > 0) break;
          life();
          guest.start();
          break;
        default:
          if (driver.queues.length === QUEUES) guest.read(random.next(8), random.next(QUEUES));
          if (random.next(2) === 0) life();
          for (let queue = 0; queue < QUEUES; queue++) driver.collect(queue);
      }
    }
    expect(heard).toBeGreaterThan(20);
    expect(rig.troubles.length).toBeGreaterThan(0);
    expect(new Set(rig.troubles.map((text) => /MSI-X|virtqueue/.test(text)))).toEqual(new Set([true]));
    // And a driver that means it gets on with the device afterwards.
    life();
    guest.start();
    guest.taken();
    guest.read(0, 1);
    life();
    expect([guest.taken(), guest.statusOf(0)]).toEqual([[ON_QUEUE(1)], 0]);
  });
});
