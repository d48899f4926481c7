import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { LAYOUTS } from './layouts.ts';
import { CAP_DEVICE_CFG } from './pci-window.ts';
import { Rig, SLOT } from './rig.ts';
import { vsockBackend, type VsockBackend } from './vsock-backend.ts';
import { VSOCK_HEADER_BYTES, VSOCK_OP, decodeVsockHeader, encodeVsockPacket } from './vsock-packet.ts';
import { EVENT_QUEUE, RECEIVE_QUEUE, TRANSMIT_QUEUE, virtioVsock } from './vsock.ts';

const CID = 0x1234_5678;
const PACKET = 0x8000;
const ROOM = 0xa000;
const QUEUES = 3;

/** Is done with packets when the test wants. */
class HostEnd implements VsockBackend {
  readonly cid = CID;
  readonly packets: (readonly [number, Uint8Array])[] = [];
  resets = 0;
  done: (id: number) => void = () => undefined;
  submit(id: number, packet: Uint8Array): void {
    this.packets.push([id, packet]);
  }
  reset(): void {
    this.resets++;
  }
  onDone(handler: (id: number) => void): void {
    this.done = handler;
  }
}
function guestWith(ram: Uint8Array = new Uint8Array(1 << 20)) {
  const end = new HostEnd();
  const rig = new Rig({ ram, def: virtioVsock, config: {}, backends: () => [backend(vsockBackend, end)] });
  return { end, rig, driver: new GuestDriver(rig, SLOT) };
}
type Guest = ReturnType<typeof guestWith>;

const packetOf = (text: string, op: number = VSOCK_OP.rw): Uint8Array => {
  const ends = { sourceCid: CID, targetCid: 2, sourcePort: 1025, targetPort: 80 };
  return encodeVsockPacket({ ...ends, type: 1, op, flags: 3, bufAlloc: 65_536, fwdCnt: 9 }, Buffer.from(text));
};
function send({ rig, driver }: Guest, packet: Uint8Array, length = packet.length): number {
  rig.ram.set(packet, PACKET);
  const [header, rest] = [Math.min(VSOCK_HEADER_BYTES, length), length - VSOCK_HEADER_BYTES];
  const data = rest > 0 ? [{ address: PACKET + header, length: rest }] : [];
  const id = driver.add([{ address: PACKET, length: header }, ...data], undefined, TRANSMIT_QUEUE);
  driver.kick(TRANSMIT_QUEUE);
  return id;
}
/** Buffers for the device one behind the other. */
function offer({ driver }: Guest, queue: number, ...lengths: readonly number[]): void {
  let at = ROOM;
  for (const length of lengths) {
    driver.add([{ address: at, length, writable: true }], undefined, queue);
    at += length;
  }
  driver.kick(queue);
}
const isStopped = ({ driver }: Guest): boolean => (driver.status & NEEDS_RESET) !== 0;

deviceBattery(virtioVsock, {
  config: {},
  bench() {
    const end = new HostEnd();
    return { backends: [backend(vsockBackend, end)], output: () => end.packets };
  },
  actions: [
    (device, random) => device.parts.receive(packetOf('x'.repeat(random.next(300)))),
    (device) => void device.parts.disconnected(),
  ],
  disturb(device, rig) {
    const driver = new GuestDriver(rig, 2);
    driver.bringUp(LAYOUTS[3]![1], 16, 0x1000, QUEUES);
    // A header whose length is that of its chain.
    rig.ram[PACKET + 24] = 20;
    driver.add([{ address: PACKET, length: 64 }], undefined, TRANSMIT_QUEUE);
    driver.kick(TRANSMIT_QUEUE);
    device.parts.disconnected();
  },
});

describe.each(LAYOUTS)('virtio-vsock, %s', (_layout, features) => {
  const running = (): Guest => {
    const guest = guestWith();
    guest.driver.bringUp(features, 16, 0x1000, QUEUES);
    guest.end.resets = 0;
    return guest;
  };

  it('says who the guest is', () => {
    const { driver } = running();
    expect([0, 4].map((offset) => driver.read(CAP_DEVICE_CFG, offset, 4))).toEqual([CID, 0]);
  });
  it('hands packets over, and gives them back when they are done with, in whatever order', () => {
    const guest = running();
    const [first, second] = [send(guest, packetOf('one')), send(guest, packetOf('two', VSOCK_OP.request))];
    const [[one, bytes], [two]] = guest.end.packets as [[number, Uint8Array], [number, Uint8Array]];
    expect(bytes).toEqual(packetOf('one'));
    expect(guest.driver.collect(TRANSMIT_QUEUE)).toEqual([]);

    guest.end.done(two);
    guest.end.done(one);

    expect(guest.driver.collect(TRANSMIT_QUEUE).map(({ id }) => id)).toEqual([second, first]);
    expect(guest.rig.interrupt).toBe(true);
  });
  it('takes no more of a chain than the packet has', () => {
    const guest = running();
    send(guest, packetOf('short'), 200);
    expect(guest.end.packets[0]![1]).toEqual(packetOf('short'));
  });
  it('cuts what comes by the buffers that there are, and says how much found room', () => {
    const guest = running();
    const { receive } = guest.rig.device.parts;
    const packet = packetOf('0123456789');
    expect(receive(packet)).toBeUndefined();
    offer(guest, RECEIVE_QUEUE, VSOCK_HEADER_BYTES + 4, VSOCK_HEADER_BYTES + 3);
    expect(receive(packet)).toBe(7);
    expect(guest.driver.collect(RECEIVE_QUEUE).map(({ length }) => length)).toEqual([48, 47]);
    const second = guest.rig.ram.slice(ROOM + 48, ROOM + 48 + 47);
    expect(decodeVsockHeader(second)).toEqual({ ...decodeVsockHeader(packet), length: 3 });
    expect(Buffer.from(second.subarray(44)).toString()).toBe('456');

    offer(guest, RECEIVE_QUEUE, VSOCK_HEADER_BYTES, 500);
    expect(receive(packetOf('', VSOCK_OP.rst))).toBe(0);
    expect(receive(packet)).toBe(10);
  });
  it('tells the driver that connections are gone as soon as it has room for that, once', () => {
    const guest = running();
    guest.rig.device.parts.disconnected();
    guest.rig.ram.fill(9, ROOM, ROOM + 8);
    offer(guest, EVENT_QUEUE, 4, 4);
    expect(guest.driver.collect(EVENT_QUEUE).map(({ length }) => length)).toEqual([4]);
    expect([...guest.rig.ram.subarray(ROOM, ROOM + 5)]).toEqual([0, 0, 0, 0, 9]);
    guest.rig.device.parts.disconnected();
    expect(guest.driver.collect(EVENT_QUEUE)).toHaveLength(1);
  });
  it('tells the host’s end of a reset, and nothing comes back after it', () => {
    const guest = running();
    send(guest, packetOf('one'));
    guest.driver.status = 0;
    expect(guest.end.resets).toBe(1);
    guest.driver.bringUp(features, 16, 0x1000, QUEUES);
    guest.end.done(guest.end.packets[0]![0]);
    expect(guest.driver.collect(TRANSMIT_QUEUE)).toEqual([]);
  });
  it('hands over again what was on its way when it was saved', () => {
    const guest = running();
    const id = send(guest, packetOf('one'));
    const copy = guestWith(guest.rig.ram);
    copy.rig.device.restore(structuredClone(guest.rig.device.save()));
    expect(copy.end.packets.map(([, bytes]) => bytes)).toEqual([packetOf('one')]);
    copy.end.done(copy.end.packets[0]![0]);
    expect(guest.driver.collect(TRANSMIT_QUEUE)).toEqual([{ id, length: 0 }]);
  });

  it.each<[string, (guest: Guest) => void]>([
    ['half a header', (guest) => void send(guest, packetOf('').subarray(0, 43))],
    ['a packet longer than its chain', (guest) => void send(guest, packetOf('0123456789'), 50)],
    [
      'a packet longer than any',
      (guest) => {
        const packet = new Uint8Array(44 + 65_537);
        new DataView(packet.buffer).setUint32(24, 65_537, true);
        send(guest, packet);
      },
    ],
    [
      'no room for a header',
      (guest) => {
        offer(guest, RECEIVE_QUEUE, 43);
        expect(guest.rig.device.parts.receive(packetOf('', VSOCK_OP.rst))).toBeUndefined();
      },
    ],
    [
      'no room for a byte behind it',
      (guest) => {
        offer(guest, RECEIVE_QUEUE, 44);
        expect(guest.rig.device.parts.receive(packetOf('x'))).toBeUndefined();
      },
    ],
    [
      'no room for an event',
      (guest) => {
        guest.rig.device.parts.disconnected();
        offer(guest, EVENT_QUEUE, 3);
      },
    ],
  ])('stops at %s', (_what, act) => {
    const guest = running();
    act(guest);
    expect(isStopped(guest)).toBe(true);
    expect(guest.end.packets).toEqual([]);
  });
});
