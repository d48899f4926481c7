import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { CONSOLE_PORTS, consoleEnd, type ConsolePort } from './console-backend.ts';
import {
  CONTROL,
  CONTROL_BYTES,
  CONTROL_RECEIVE,
  CONTROL_TRANSMIT,
  VIRTIO_CONSOLE_F_MULTIPORT,
  receiveQueueOf,
  transmitQueueOf,
  virtioConsole,
} from './console.ts';
import { GuestDriver, NEEDS_RESET } from './guest-driver.ts';
import { LAYOUTS } from './layouts.ts';
import { Rig, SLOT } from './rig.ts';

const QUEUES = 2 * CONSOLE_PORTS + 2;
const DATA = 0x4_0000;
const CONTROL_BUFFERS = 0x2_0000;

/** The host's end of a port, with as much room as the test gives it. */
class Port implements ConsolePort {
  readonly name?: string;
  isOpen = false;
  room = 1 << 20;
  heard = '';
  change: () => void = () => undefined;
  constructor(name?: string) {
    if (name !== undefined) this.name = name;
  }
  write(bytes: Uint8Array): void {
    this.room -= bytes.length;
    this.heard += Buffer.from(bytes).toString('latin1');
  }
  onChange(handler: () => void): void {
    this.change = handler;
  }
  open(): void {
    this.isOpen = true;
    this.change();
  }
}

function guestWith(ram: Uint8Array = new Uint8Array(1 << 20)) {
  const ports = [new Port(), new Port('org.example.agent')];
  const rig = new Rig({ ram, def: virtioConsole, config: {}, backends: () => [backend(consoleEnd, { ports })] });
  return { ports, rig, driver: new GuestDriver(rig, SLOT) };
}
type Guest = ReturnType<typeof guestWith>;

function control({ rig, driver }: Guest, port: number, event: number, value: number): void {
  rig.memory.write32(DATA, port);
  rig.memory.write16(DATA + 4, event);
  rig.memory.write16(DATA + 6, value);
  driver.add([{ address: DATA, length: CONTROL_BYTES }], undefined, CONTROL_TRANSMIT);
  driver.kick(CONTROL_TRANSMIT);
  driver.collect(CONTROL_TRANSMIT);
}
/** Buffers for what the device tells, and what is in them then. */
function listen({ driver }: Guest, count: number): void {
  for (let i = 0; i < count; i++) {
    driver.add([{ address: CONTROL_BUFFERS + 0x100 * i, length: 0x100, writable: true }], undefined, CONTROL_RECEIVE);
  }
  driver.kick(CONTROL_RECEIVE);
}
function told({ rig, driver }: Guest, from = 0): string[] {
  return driver.collect(CONTROL_RECEIVE).map(({ length }, i) => {
    const at = CONTROL_BUFFERS + 0x100 * (from + i);
    const event = Object.entries(CONTROL).find(([, value]) => value === rig.memory.read16(at + 4))![0];
    const name = Buffer.from(rig.ram.subarray(at + CONTROL_BYTES, at + length)).toString();
    return `${rig.memory.read32(at)} ${event} ${rig.memory.read16(at + 6)}${name === '' ? '' : ` ${name}`}`;
  });
}
function send({ rig, driver }: Guest, port: number, text: string, at = DATA + 0x1000): void {
  rig.ram.set(Buffer.from(text, 'latin1'), at);
  driver.add([{ address: at, length: text.length }], undefined, transmitQueueOf(port));
  driver.kick(transmitQueueOf(port));
}

deviceBattery(virtioConsole, {
  config: {},
  bench() {
    const ports = [new Port(), new Port('org.example.agent')];
    for (const port of ports) port.isOpen = true;
    return { backends: [backend(consoleEnd, { ports })], output: () => ports.flatMap(({ heard }) => [...heard]) };
  },
  actions: [(device, random) => device.parts.typed(random.next(5), new Uint8Array(1 + random.next(20)))],
  disturb(_device, rig) {
    const driver = new GuestDriver(rig, 2);
    driver.bringUp([...LAYOUTS[3]![1], VIRTIO_CONSOLE_F_MULTIPORT], 16, 0x1000, QUEUES);
    const guest = { rig: { memory: rig.board.ram, ram: rig.ram }, driver } as unknown as Guest;
    listen(guest, 4);
    control(guest, 0, CONTROL.deviceReady, 1);
    control(guest, 1, CONTROL.portReady, 1);
    control(guest, 1, CONTROL.portOpen, 1);
    send(guest, 1, 'words');
  },
});

describe.each(LAYOUTS)('virtio-console, %s', (_layout, features) => {
  const started = (): Guest => {
    const guest = guestWith();
    guest.driver.bringUp([...features, VIRTIO_CONSOLE_F_MULTIPORT], 16, 0x1000, QUEUES);
    return guest;
  };
  /** With both ports known to the driver, and the second open in the guest. */
  const talking = (): Guest => {
    const guest = started();
    listen(guest, 8);
    control(guest, 0, CONTROL.deviceReady, 1);
    for (const port of [0, 1]) control(guest, port, CONTROL.portReady, 1);
    control(guest, 1, CONTROL.portOpen, 1);
    for (const port of guest.ports) port.open();
    return guest;
  };

  it('announces ports, names them, and says whether somebody listens', () => {
    const guest = started();
    control(guest, 0, CONTROL.deviceReady, 1);
    listen(guest, 8);
    const announced = told(guest);
    for (const port of [0, 1]) control(guest, port, CONTROL.portReady, 1);
    guest.ports[1]!.open();
    guest.ports[1]!.isOpen = false;
    guest.ports[1]!.change();

    expect(announced).toEqual(['0 deviceAdd 1', '1 deviceAdd 1']);
    expect(told(guest, 2)).toEqual([
      '0 consolePort 1',
      '1 portName 1 org.example.agent',
      '1 portOpen 1',
      '1 portOpen 0',
    ]);
  });

  it('passes bytes on both ways', () => {
    const guest = talking();
    send(guest, 0, 'to the terminal');
    send(guest, 1, 'to the agent');
    const buffers = [0, 1].map((i) =>
      guest.driver.add([{ address: DATA + 0x2000 * (i + 2), length: 5, writable: true }], undefined, receiveQueueOf(1)),
    );

    const taken = guest.rig.device.parts.typed(1, Buffer.from('hello you there'));

    expect(guest.ports.map(({ heard }) => heard)).toEqual(['to the terminal', 'to the agent']);
    expect(guest.driver.collect(transmitQueueOf(1))).toHaveLength(1);
    expect(taken).toBe(10);
    expect(guest.driver.collect(receiveQueueOf(1))).toEqual(buffers.map((id) => ({ id, length: 5 })));
    expect(Buffer.from(guest.rig.ram.subarray(DATA + 0x6000, DATA + 0x6005)).toString()).toBe(' you ');
  });

  it('holds what the host cannot take yet, over a save too, and goes on when there is room', () => {
    const guest = talking();
    guest.ports[1]!.room = 3;
    send(guest, 1, 'a longer word');
    const early = guest.driver.collect(transmitQueueOf(1));
    const saved = structuredClone(guest.rig.device.save());
    const copy = guestWith(guest.rig.ram);
    copy.ports[1]!.isOpen = true;
    copy.ports[1]!.room = 0;

    copy.rig.device.restore(saved);
    copy.ports[1]!.room = 100;
    copy.ports[1]!.change();

    expect([guest.ports[1]!.heard, copy.ports[1]!.heard]).toEqual(['a l', 'onger word']);
    expect([early.length, guest.driver.collect(transmitQueueOf(1)).length]).toEqual([0, 1]);
  });

  it('keeps bytes for a port at the host until a program has it open', () => {
    const guest = talking();
    guest.driver.add([{ address: DATA + 0x4000, length: 8, writable: true }], undefined, receiveQueueOf(1));
    control(guest, 1, CONTROL.portOpen, 0);
    const closed = guest.rig.device.parts.typed(1, Buffer.from('early'));
    control(guest, 1, CONTROL.portOpen, 1);

    expect([closed, guest.rig.device.parts.typed(1, Buffer.from('late'))]).toEqual([0, 4]);
  });

  it('loses what is written where nobody listens, and to ports that are none', () => {
    const guest = started();
    send(guest, 1, 'into the void');
    send(guest, 3, 'nobody', DATA + 0x1800);

    expect(guest.driver.collect(transmitQueueOf(1))).toHaveLength(1);
    expect(guest.driver.collect(transmitQueueOf(3))).toHaveLength(1);
    expect(guest.ports[1]!.heard).toBe('');
  });

  it.each<[string, (guest: Guest) => void]>([
    [
      'a control message that is too short',
      ({ driver }) => {
        driver.add([{ address: DATA, length: 7 }], undefined, CONTROL_TRANSMIT);
        driver.kick(CONTROL_TRANSMIT);
      },
    ],
    [
      'questions without end and no buffers for answers',
      (guest) => {
        for (let i = 0; i < 33; i++) control(guest, 0, CONTROL.deviceReady, 1);
      },
    ],
    [
      'a buffer that is too small for an answer',
      (guest) => {
        guest.driver.add([{ address: DATA, length: 4, writable: true }], undefined, CONTROL_RECEIVE);
        control(guest, 0, CONTROL.deviceReady, 1);
      },
    ],
  ])('stops at %s', (_what, disturb) => {
    // prettier-ignore
    const guest = started();

    disturb(guest);

    expect(guest.driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    expect(guest.rig.troubles).toHaveLength(1);
  });

  it('is one port without MULTIPORT', () => {
    const guest = guestWith();
    guest.driver.bringUp(features, 16, 0x1000, 2);
    guest.ports[0]!.open();
    guest.driver.add([{ address: DATA, length: 8, writable: true }]);
    send(guest, 0, 'old driver');

    expect(guest.rig.device.parts.typed(0, Buffer.from('hi'))).toBe(2);
    expect(guest.ports[0]!.heard).toBe('old driver');
  });
});
