import { describe, expect, it } from 'vitest';
import { deviceBattery, seededRandom } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { makeCable } from '../cable.ts';
import { checkPacket } from '../e1000/checksum.ts';
import { nicBackend, type NicBackend } from '../nic-backend.ts';
import type { Offload } from '../offload.ts';
import { GuestDriver, NEEDS_RESET, type Buffer } from './guest-driver.ts';
import { LAYOUTS } from './layouts.ts';
import {
  MAC as ADDRESSES,
  MOST_ADDRESSES,
  RX,
  VIRTIO_NET_F_CTRL_MAC_ADDR,
  VIRTIO_NET_F_CTRL_RX,
  VIRTIO_NET_F_CTRL_VQ,
} from './net-control.ts';
import {
  CONTROL_QUEUE,
  HDR_F_DATA_VALID,
  HDR_F_NEEDS_CSUM,
  HEADER_BYTES,
  RECEIVE_QUEUE,
  TRANSMIT_QUEUE,
  VIRTIO_NET_F_CSUM,
  VIRTIO_NET_F_GUEST_CSUM,
  VIRTIO_NET_F_GUEST_TSO4,
  VIRTIO_NET_F_GUEST_TSO6,
  VIRTIO_NET_F_HOST_TSO4,
  VIRTIO_NET_F_HOST_TSO6,
  VIRTIO_NET_F_MAC,
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_NET_F_STATUS,
  GSO,
  virtioNet,
} from './net.ts';
import { Rig, SLOT } from './rig.ts';

const MAC = Uint8Array.of(0, 0x0c, 0x29, 0xaa, 0xbb, 0xcc);
const OFFERED = [
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
];
const DATA = 0x2_0000;

/** What a card sent, and a way to give it frames. */
class Wire implements NicBackend {
  readonly sent: Uint8Array[] = [];
  /** What was left to do with each of them. */
  readonly left: (Offload | undefined)[] = [];
  linkUp = true;
  takesOffloads = false;
  give: (frame: Uint8Array) => boolean = () => false;
  giveUncut: (frame: Uint8Array, offload: Offload) => boolean | undefined = () => undefined;
  changed: () => void = () => undefined;
  send(frame: Uint8Array, offload?: Offload): void {
    this.sent.push(frame);
    this.left.push(offload);
  }
  onReceive(handler: (frame: Uint8Array) => boolean): void {
    this.give = handler;
  }
  onOffloaded(handler: typeof this.giveUncut): void {
    this.giveUncut = handler;
  }
  onLink(handler: () => void): void {
    this.changed = handler;
  }
}
function guestWith(wire: NicBackend) {
  const ram = new Uint8Array(1 << 20);
  const rig = new Rig({ ram, def: virtioNet, config: { mac: MAC }, backends: () => [backend(nicBackend, wire)] });
  return { rig, driver: new GuestDriver(rig, SLOT) };
}
type Guest = ReturnType<typeof guestWith>;
type Started = Guest & { wire: Wire };
function startedWith(features: readonly number[]): Started {
  const wire = new Wire();
  const guest = guestWith(wire);
  guest.driver.bringUp(features, 16, 0x1000, 3);
  return { ...guest, wire };
}

/** Puts a frame with its header at `at` and makes it available. */
function send(
  { rig, driver }: Guest,
  frame: Uint8Array,
  header: readonly [at: number, value: number][] = [],
  at = DATA,
): number {
  rig.ram.fill(0, at, at + HEADER_BYTES);
  for (const [offset, value] of header) rig.ram[at + offset] = value;
  rig.ram.set(frame, at + HEADER_BYTES);
  return driver.add([{ address: at, length: HEADER_BYTES + frame.length }], undefined, TRANSMIT_QUEUE);
}
const frameOf = (length: number, salt = 1): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 13 + salt) & 0xff);
const room = (address: number, length: number): Buffer => ({ address, length, writable: true });

/** An IPv4 datagram of UDP from a card's driver: the checksum field has the sum of the pseudo header, as the card wants it. */
function udpFrame(payload: Uint8Array): { frame: Uint8Array; start: number } {
  const frame = new Uint8Array(14 + 20 + 8 + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x0800);
  frame.set([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 14);
  view.setUint16(16, 28 + payload.length);
  let ip = 0;
  for (let i = 14; i < 34; i += 2) ip += view.getUint16(i);
  ip = (ip & 0xffff) + (ip >> 16);
  view.setUint16(24, ~ip & 0xffff);
  view.setUint16(38, 8 + payload.length);
  let pseudo = 17 + 8 + payload.length;
  for (let i = 26; i < 34; i += 2) pseudo += view.getUint16(i);
  pseudo = (pseudo & 0xffff) + (pseudo >> 16);
  view.setUint16(40, pseudo);
  frame.set(payload, 42);
  return { frame, start: 34 };
}

deviceBattery(virtioNet, {
  config: { mac: MAC },
  bench() {
    const wire = new Wire();
    return { backends: [backend(nicBackend, wire)], output: () => wire.sent.map((frame) => [...frame]) };
  },
  disturb(_device, rig) {
    const driver = new GuestDriver(rig, 2);
    driver.bringUp([...LAYOUTS[3]![1], ...OFFERED], 16, 0x1000, 2);
    driver.add([room(DATA + 0x1000, 2048)], undefined, RECEIVE_QUEUE);
    rig.ram.set(frameOf(100), DATA + HEADER_BYTES);
    driver.add([{ address: DATA, length: HEADER_BYTES + 100 }], undefined, TRANSMIT_QUEUE);
    driver.kick(TRANSMIT_QUEUE);
  },
});

describe('virtio-net configuration', () => {
  it('shows address and link', () => {
    const wire = new Wire();
    const { rig, driver } = guestWith(wire);
    driver.bringUp([...LAYOUTS[0]![1], VIRTIO_NET_F_STATUS], 16, 0x1000, 2);
    const up = driver.read(4, 6, 2);

    wire.linkUp = false;
    wire.changed();

    expect([0, 1, 2, 3, 4, 5].map((i) => driver.read(4, i, 1))).toEqual([...MAC]);
    expect([up, driver.read(4, 6, 2)]).toEqual([1, 0]);
    expect(driver.isr).toBe(2);
    expect(rig.interrupt).toBe(false);
  });
});

/** Sends a command in one piece; what its `ack` is afterwards. */
function tell({ rig, driver }: Guest, ...bytes: readonly number[]): number {
  const ack = DATA + 0x4000;
  rig.ram.set(bytes, DATA);
  rig.ram[ack] = 0xee;
  driver.add([{ address: DATA, length: bytes.length }, room(ack, 1)], undefined, CONTROL_QUEUE);
  driver.kick(CONTROL_QUEUE);
  expect(driver.collect(CONTROL_QUEUE)).toHaveLength(1);
  return rig.ram[ack]!;
}
const OTHER = [0x02, 1, 2, 3, 4, 5],
  GROUP = [0x33, 0x33, 0, 0, 0, 1],
  BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/** Which frames a card hears: to itself, to another, to a group, to all. */
function heard({ driver, wire }: Started): boolean[] {
  const frames = [[...MAC], OTHER, GROUP, BROADCAST].map((to) => Uint8Array.from([...to, ...frameOf(54)]));
  frames.forEach((_, i) => driver.add([room(DATA + 0x8000 + i * 2048, 2048)], undefined, RECEIVE_QUEUE));
  const taken = frames.map((frame) => {
    expect(wire.give(frame)).toBe(true);
    return driver.collect(RECEIVE_QUEUE).length > 0;
  });
  // The rest of the room is used up, by what everybody hears.
  for (const isTaken of taken) if (!isTaken) wire.give(frames.at(-1)!);
  driver.collect(RECEIVE_QUEUE);
  return taken;
}
const word = (n: number): number[] => [n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, n >>> 24];
const table = (single: readonly number[][], groups: readonly number[][]): number[] => [
  ...[ADDRESSES.class, ADDRESSES.table],
  ...[single, groups].flatMap((each) => [...word(each.length), ...each.flat()]),
];
const PROMISCUOUS = [RX.class, RX.promiscuous],
  ALL_GROUPS = [RX.class, RX.allMulticast];
const OK = 0,
  ERROR = 1;

it('virtio-net of a snapshot from before the control queue hears everything', () => {
  const { rig } = guestWith(new Wire());
  const { version, state, ...rest } = structuredClone(rig.device.save()) as unknown as {
    version: number;
    state: { transport: { queues: unknown[]; msix: { entries: unknown[] } }; filter?: unknown };
  };
  delete state.filter;
  state.transport.queues.pop();
  state.transport.msix.entries.pop();
  rig.device.restore({ ...rest, version: version - 1, state } as never);

  expect(rig.device.save()).toMatchObject({ version, state: { filter: { promiscuous: true, given: [] } } });
});

describe.each(LAYOUTS)('virtio-net, %s', (_layout, features) => {
  it('hears everything until its driver says what it wants, and after a reset', () => {
    const guest = startedWith([...features, ...OFFERED]);
    expect(heard(guest)).toEqual([true, true, true, true]);
    expect(tell(guest, ...PROMISCUOUS, 0)).toBe(OK);
    expect(heard(guest)).toEqual([true, false, false, true]);
    expect(tell(guest, ...ALL_GROUPS, 1)).toBe(OK);
    expect(heard(guest)).toEqual([true, false, true, true]);
    expect([tell(guest, ...ALL_GROUPS, 0), tell(guest, ...table([OTHER], [GROUP]))]).toEqual([OK, OK]);
    expect(heard(guest)).toEqual([true, true, true, true]);
    expect(tell(guest, ...table([], [BROADCAST]))).toBe(OK);
    expect(heard(guest)).toEqual([true, false, false, true]);
    const saved = guest.rig.device.save();
    guest.rig.device.restore(saved);
    expect(heard(guest)).toEqual([true, false, false, true]);

    guest.driver.bringUp([...features, ...OFFERED], 16, 0x1000, 3);
    expect(heard(guest)).toEqual([true, true, true, true]);
  });
  it('hears all of a kind where its driver names more than it looks at', () => {
    const guest = startedWith([...features, ...OFFERED]);
    const many = Array.from({ length: MOST_ADDRESSES + 1 }, (_, i) => [2, 0, 0, 0, 0, i]);
    tell(guest, ...PROMISCUOUS, 0);
    expect(tell(guest, ...table(many, []))).toBe(OK);
    expect(heard(guest)).toEqual([true, true, false, true]);
    expect(tell(guest, ...table([], many))).toBe(OK);
    expect(heard(guest)).toEqual([true, false, true, true]);
  });
  it('takes another address, shows it, and has its own one again after a reset', () => {
    const guest = startedWith([...features, ...OFFERED]),
      shown = (): number[] => [0, 1, 2, 3, 4, 5].map((i) => guest.driver.read(4, i, 1));
    tell(guest, ...PROMISCUOUS, 0);
    expect(tell(guest, ADDRESSES.class, ADDRESSES.address, ...OTHER)).toBe(OK);
    expect([shown(), heard(guest)]).toEqual([OTHER, [false, true, false, true]]);
    const other = guestWith(new Wire());
    other.rig.ram.set(guest.rig.ram);
    other.rig.device.restore(guest.rig.device.save());
    expect(other.rig.device.save()).toEqual(guest.rig.device.save());
    expect(tell(guest, ADDRESSES.class, ADDRESSES.address, ...GROUP)).toBe(ERROR);
    expect(shown()).toEqual(OTHER);

    guest.driver.bringUp([...features, ...OFFERED], 16, 0x1000, 3);
    expect(shown()).toEqual([...MAC]);
  });
  it.each<[string, number[]]>([
    ['nothing', [0]],
    ['a class that is none', [9, 0, 0]],
    ['a class that was not offered', [2, 0, 1, 0]],
    ['a command that is none', [RX.class, 2, 1]],
    ['a mode without a value', PROMISCUOUS],
    ['a mode with two', [...PROMISCUOUS, 0, 0]],
    ['a value that is none', [...PROMISCUOUS, 2]],
    ['a table that is cut short', table([OTHER], [GROUP]).slice(0, -1)],
    ['a table with something behind it', [...table([OTHER], []), 0]],
    ['one table where there are two', table([OTHER], []).slice(0, -4)],
    ['a table of more than there is', [ADDRESSES.class, ADDRESSES.table, ...word(0xffff_ffff), ...word(0)]],
    ['a short address', [ADDRESSES.class, ADDRESSES.address, 2, 0, 0, 0, 0]],
  ])('says no to %s, and changes nothing', (_what, bytes) => {
    const guest = startedWith([...features, ...OFFERED]);
    tell(guest, ...PROMISCUOUS, 0);
    expect(tell(guest, ...bytes)).toBe(ERROR);
    expect(heard(guest)).toEqual([true, false, false, true]);
  });
  it('says no to commands that were not negotiated, and stops where there is no room for the answer', () => {
    const guest = startedWith([...features, VIRTIO_NET_F_CTRL_VQ]);
    expect([tell(guest, ...PROMISCUOUS, 0), tell(guest, ...table([], []))]).toEqual([ERROR, ERROR]);
    expect(tell(guest, ADDRESSES.class, ADDRESSES.address, ...OTHER)).toBe(ERROR);
    guest.driver.add([{ address: DATA, length: 3 }], undefined, CONTROL_QUEUE);
    guest.driver.kick(CONTROL_QUEUE);
    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
  });

  const started = (more: readonly number[] = OFFERED): Started => startedWith([...features, ...more]);

  it('sends frames, in whatever pieces they are', () => {
    const guest = started();
    const frame = frameOf(1514);
    const whole = send(guest, frame);
    guest.rig.ram.set(frame, DATA + 0x1000 + HEADER_BYTES);
    const cut = guest.driver.add(
      [
        { address: DATA + 0x1000, length: 5 },
        { address: DATA + 0x1005, length: 30 },
        { address: DATA + 0x1023, length: HEADER_BYTES + 1514 - 35 },
      ],
      undefined,
      TRANSMIT_QUEUE,
    );
    guest.driver.kick(TRANSMIT_QUEUE);

    expect(guest.wire.sent).toEqual([frame, frame]);
    expect(guest.driver.collect(TRANSMIT_QUEUE).map(({ id }) => id)).toEqual([whole, cut]);
  });

  it('completes the checksum that the driver left to it', () => {
    const guest = started();
    const { frame, start } = udpFrame(frameOf(77));
    send(guest, frame, [
      [0, HDR_F_NEEDS_CSUM],
      [6, start],
      [8, 6],
    ]);
    guest.driver.kick(TRANSMIT_QUEUE);

    expect(guest.wire.sent.map(checkPacket)).toEqual([{ ip: true, transport: true }]);
    expect(checkPacket(frame)).toEqual({ ip: true, transport: false });
  });

  it.each<[string, number, [number, number][]]>([
    ['shorter than an Ethernet header', 13, []],
    ['longer than any', 16_289, []],
    ['that is to be segmented', 100, [[1, 1]]],
    ['with a checksum beyond its end', 100, [[0, HDR_F_NEEDS_CSUM], [6, 99], [8, 0]]], // prettier-ignore
  ])('loses a frame %s, and goes on', (_what, length, header) => {
    const guest = started();
    send(guest, frameOf(length), header);
    send(guest, frameOf(60, 2), [], DATA + 0x8000);
    guest.driver.kick(TRANSMIT_QUEUE);

    expect(guest.wire.sent).toEqual([frameOf(60, 2)]);
    expect(guest.driver.collect(TRANSMIT_QUEUE)).toHaveLength(2);
    expect(guest.driver.status & NEEDS_RESET).toBe(0);
  });

  it('receives into one buffer, and says that the checksum was right', () => {
    const { rig, driver, wire } = started();
    const { frame } = udpFrame(frameOf(20));
    const header: [number, number][] = [[0, HDR_F_NEEDS_CSUM], [6, 34], [8, 6]]; // prettier-ignore
    send({ rig, driver }, frame, header);
    driver.kick(TRANSMIT_QUEUE);
    const ids = [0, 1].map((i) => driver.add([room(DATA + 0x1000 * (i + 1), 2048)]));

    const taken = [wire.give(wire.sent[0]!), wire.give(frame)];

    expect(taken).toEqual([true, true]);
    expect(driver.collect()).toEqual(ids.map((id) => ({ id, length: HEADER_BYTES + frame.length })));
    expect([...rig.ram.slice(DATA + 0x1000, DATA + 0x1000 + HEADER_BYTES)]).toEqual([
      ...[HDR_F_DATA_VALID, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
    ]);
    expect(rig.ram[DATA + 0x2000]).toBe(0);
    expect(rig.ram.slice(DATA + 0x2000 + HEADER_BYTES).subarray(0, frame.length)).toEqual(frame);
    expect(rig.interrupt).toBe(true);
  });

  it('merges buffers for a long frame, and keeps what is too little for it', () => {
    const { rig, driver, wire } = started();
    const frame = frameOf(1000);
    const ids = [0, 1].map((i) => driver.add([room(DATA + 0x1000 * i, 400)]));
    const early = wire.give(frame);
    rig.device.restore(structuredClone(rig.device.save()));
    ids.push(driver.add([room(DATA + 0x2000, 100), room(DATA + 0x3000, 900)]));

    const late = wire.give(frame);

    expect([early, late]).toEqual([false, true]);
    expect(driver.collect()).toEqual([400, 400, 212].map((length, i) => ({ id: ids[i], length })));
    const parts = [
      rig.ram.slice(DATA, DATA + 400),
      rig.ram.slice(DATA + 0x1000, DATA + 0x1000 + 400),
      rig.ram.slice(DATA + 0x2000, DATA + 0x2000 + 100),
      rig.ram.slice(DATA + 0x3000, DATA + 0x3000 + 112),
    ];
    const bytes = Buffer.concat(parts);
    expect(bytes.readUInt16LE(10)).toBe(3);
    expect(bytes.subarray(HEADER_BYTES)).toEqual(Buffer.from(frame));
  });

  it('has no room without buffers, before it is started, and after a reset', () => {
    const { driver, wire } = started();
    const without = wire.give(frameOf(60));
    driver.add([room(DATA, 2048)]);

    driver.status = 0;

    expect([without, wire.give(frameOf(60))]).toEqual([false, false]);
  });

  it('stops at receive buffers that are too small without merging', () => {
    const { rig, driver, wire } = started([VIRTIO_NET_F_MAC]);
    driver.add([room(DATA, 100)]);

    expect([wire.give(frameOf(60)), wire.give(frameOf(1514))]).toEqual([true, false]);
    driver.add([room(DATA, 100)]);
    wire.give(frameOf(1514));
    expect(driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(rig.troubles).toHaveLength(1);
  });
});

/** A TCP packet over IPv4 or IPv6 without options: what a driver leaves to the card is left out. */
function tcpFrame(version: 4 | 6, payload: number): { frame: Uint8Array; offload: Offload } {
  const tcp = version === 4 ? 34 : 54,
    frame = new Uint8Array(tcp + 20 + payload).fill(7, tcp + 20);
  frame.set(version === 4 ? [0x08, 0, 0x45] : [0x86, 0xdd, 0x60], 12);
  const length = version === 4 ? frame.length - 14 : frame.length - tcp;
  frame.set([length >> 8, length & 255], version === 4 ? 16 : 18);
  frame[version === 4 ? 23 : 20] = 6;
  frame[tcp + 12] = 0x50;
  return { frame, offload: { checksumStart: tcp, checksumAt: tcp + 16, segmentSize: 1000 } };
}
const TSO = [VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6];
const headerOf = (type: number, { checksumStart, segmentSize = 0 }: Offload): [number, number][] => [
  ...([[0, HDR_F_NEEDS_CSUM], [1, type], [4, segmentSize & 255], [5, segmentSize >> 8]] as const).map(([a, b]): [number, number] => [a, b]), // prettier-ignore
  [6, checksumStart],
  [8, 16],
];

describe('packets of TCP that are longer than a frame', () => {
  const started = (more: readonly number[] = OFFERED): Started => startedWith([...LAYOUTS[0]![1], ...more]);
  it.each([
    [4, GSO.tcp4],
    [6, GSO.tcp6],
  ] as const)('of IPv%i leave whole where the wire takes that, and cut where it does not', (version, type) => {
    const guest = started();
    const { frame, offload } = tcpFrame(version, 40_000);
    const sends = (): void => {
      send(guest, frame, headerOf(type, offload));
      guest.driver.kick(TRANSMIT_QUEUE);
    };
    guest.wire.takesOffloads = true;
    sends();
    expect([guest.wire.sent, guest.wire.left]).toEqual([[frame], [offload]]);
    guest.wire.takesOffloads = false;
    sends();
    expect(guest.wire.sent).toHaveLength(1 + 40);
    if (version === 4)
      expect(new Set(guest.wire.sent.slice(1).map((each) => checkPacket(each).transport))).toEqual(new Set([true]));
  });
  it.each<[string, number[], (frame: Uint8Array) => void, [number, number][]]>([
    ['without the feature', OFFERED.filter((feature) => !TSO.includes(feature)), () => undefined, []],
    ['of another version than it says', OFFERED, () => undefined, [[1, GSO.tcp6]]],
    ['of UDP', OFFERED, (frame) => void (frame[23] = 17), []],
    ['in pieces too small', OFFERED, () => undefined, [[4, 47], [5, 0]]], // prettier-ignore
    ['without a checksum to do', OFFERED, () => undefined, [[0, 0]]],
  ])('are lost %s, and the card goes on', (_what, features, change, header) => {
    const guest = started(features);
    const { frame, offload } = tcpFrame(4, 5000);
    change(frame);
    send(guest, frame, [...headerOf(GSO.tcp4, offload), ...header]);
    send(guest, frameOf(60, 2), [], DATA + 0x8000);
    guest.driver.kick(TRANSMIT_QUEUE);

    expect(guest.wire.sent).toEqual([frameOf(60, 2)]);
    expect(guest.driver.status & NEEDS_RESET).toBe(0);
  });
  it('come to the driver as they were sent, if it can take them', () => {
    const { rig, driver, wire } = started();
    const { frame, offload } = tcpFrame(4, 5000);
    const ids = [0, 1, 2].map((i) => driver.add([room(0x3_0000 + 0x1000 * i, 2048)]));
    expect(wire.giveUncut(frame, offload)).toBe(true);
    expect(driver.collect().map(({ id }) => id)).toEqual(ids);
    expect([...rig.ram.subarray(0x3_0000, 0x3_0000 + HEADER_BYTES)]).toEqual([
      ...[HDR_F_NEEDS_CSUM, GSO.tcp4, 54, 0, 1000 & 255, 1000 >> 8, 34, 0, 16, 0, 3, 0],
    ]);
    expect(wire.giveUncut(frame, offload)).toBe(false);

    const other = started([VIRTIO_NET_F_MAC, VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_F_MRG_RXBUF]);
    other.driver.add([room(0x3_0000, 8192)]);
    expect(other.wire.giveUncut(frame, offload)).toBeUndefined();
    expect(other.wire.giveUncut(tcpFrame(4, 100).frame, { checksumStart: 34, checksumAt: 50 })).toBe(true);
  });
});

describe('two cards on one cable', () => {
  it.each(LAYOUTS)('exchange frames of any length in any order of buffers, %s', (_layout, features) => {
    const random = seededRandom(20_061);
    const cable = makeCable();
    const guests = cable.ends.map((end) => guestWith(end));
    for (const { driver } of guests) driver.bringUp([...features, ...OFFERED], 16, 0x1000, 2);
    for (let round = 0; round < 200; round++) {
      const [from, to] = round % 2 === 0 ? [guests[0]!, guests[1]!] : [guests[1]!, guests[0]!];
      const frame = frameOf(14 + random.next(3000), round);
      const buffers: [at: number, length: number][] = [];
      let size = 0;
      while (size < HEADER_BYTES + frame.length) {
        const length = 300 + random.next(2000);
        const at = 0x4_0000 + 0x1000 * buffers.length;
        to.driver.add([room(at, length)], undefined, RECEIVE_QUEUE);
        buffers.push([at, length]);
        size += length;
      }
      send(from, frame);
      from.driver.kick(TRANSMIT_QUEUE);
      if (random.next(5) === 0) to.rig.device.restore(structuredClone(to.rig.device.save()));
      cable.deliver();

      const used = to.driver.collect(RECEIVE_QUEUE);
      const got = Buffer.concat(
        used.map(({ length }, i) => to.rig.ram.subarray(buffers[i]![0], buffers[i]![0] + length)),
      );
      expect(got.subarray(HEADER_BYTES)).toEqual(Buffer.from(frame));
      expect(from.driver.collect(TRANSMIT_QUEUE)).toHaveLength(1);
    }
  });
});
