/**
 * Drivers for the board in chaos that mean it, up to a point: they put their device where it can work and start something with
 * tables that are right, or nearly. What they leave behind, chaos goes on with.
 */
import type { Random } from '../machine/battery-rig.ts';
import type { Board } from '../machine/board.ts';
import type { Width } from '../machine/device.ts';
import { GuestDriver } from './virtio/guest-driver.ts';

/** Places of the devices that have a driver here. */
export const SLOTS = {
  isa: 1,
  video: 2,
  virtio: 3,
  network: 4,
  balloon: 5,
  console: 6,
  input: 7,
  virtioNet: 8,
  rng: 9,
  gpu: 10,
  share: 11,
  vsock: 12,
} as const;
const VIRTIO_SLOTS = [
  SLOTS.balloon,
  SLOTS.console,
  SLOTS.input,
  SLOTS.virtioNet,
  SLOTS.rng,
  SLOTS.gpu,
  SLOTS.share,
  SLOTS.vsock,
];
const IDE_FUNCTION = 1;
const BUS_MASTER = 0xc200;
const NETWORK_BASE = 0xe710_0000;
const VIRTIO_BASE = 0xe700_0000;

/** What drivers work on: the board, its RAM, chance. */
export interface Bench {
  readonly board: Board;
  readonly ram: Uint8Array;
  readonly random: Random;
}

function configure({ board }: Bench, slot: number, fn: number, offset: number, width: Width, value: number): void {
  board.portWrite(0xcf8, 4, 0x8000_0000 + slot * 0x800 + fn * 0x100 + (offset & 0xfc));
  board.portWrite(0xcfc + (offset & 3), width, value);
}
const put = ({ board }: Bench, at: number, ...values: readonly number[]): void =>
  values.forEach((value, i) => board.ram.write32(at + 4 * i, value >>> 0));
/** Somewhere in RAM, aligned, with room for `bytes`. */
const somewhere = ({ ram, random }: Bench, bytes: number): number => random.next((ram.length - bytes) >> 7) << 7;
const chance = ({ random }: Bench, of: number): boolean => random.next(of) === 0;
const pick = <T>({ random }: Bench, items: readonly T[]): T => items[random.next(items.length)]!;

/** Rings of sixteen descriptors for the network card. */
function network(bench: Bench): void {
  const { board, random } = bench;
  configure(bench, SLOTS.network, 0, 0x10, 4, NETWORK_BASE);
  configure(bench, SLOTS.network, 0, 4, 2, 7);
  const write = (register: number, value: number): void => board.memoryWrite(NETWORK_BASE + register, 4, value >>> 0);
  if (chance(bench, 3)) write(0, 1 << 26);
  write(0x00d0, 0xff);
  const receiveRing = somewhere(bench, 256);
  for (let i = 0; i < 16; i++) put(bench, receiveRing + 16 * i, somewhere(bench, 4096), 0, 0, 0);
  write(0x2800, receiveRing);
  write(0x2808, 256);
  write(0x2810, 0);
  write(0x2818, random.next(16));
  // Loopback now and then: what is sent is received.
  write(0x0100, 2 | (random.next(2 ** 16) << 2) | (chance(bench, 2) ? 0x40 : 0) | 0x18);
  const sendRing = somewhere(bench, 256);
  for (let i = 0; i < 16; i++) {
    const address = chance(bench, 30) ? random.next(2 ** 32) : somewhere(bench, 4096);
    const length = 1 + random.next(chance(bench, 10) ? 20_000 : 1_500);
    const kind = random.next(4);
    const command = pick(bench, [0x01, 0x0b, 0x09, 0x4f, 0x00, 0x0d]);
    if (kind === 0) put(bench, sendRing + 16 * i, address, 0, (command << 24) | length, random.next(2 ** 16));
    else if (kind === 1) {
      const segment = (40 + random.next(60)) * 256 + (1 + random.next(1_500)) * 65_536;
      const first = 14 | (24 << 8) | (33 << 16);
      put(
        bench,
        sendRing + 16 * i,
        first,
        34 | (50 << 8),
        ((0x20 | random.next(16)) << 24) | random.next(2 ** 17),
        segment,
      );
    } else
      put(bench, sendRing + 16 * i, address, 0, ((0x20 | command) << 24) | (1 << 20) | length, random.next(4) << 8);
  }
  write(0x3800, sendRing);
  write(0x3808, 256);
  write(0x3810, random.next(4));
  write(0x0400, 0x0a);
  write(0x3818, random.next(16));
}

const DISK_COMMANDS = [
  0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xec, 0xef, 0x40, 0xe7, 0x91,
];
const PACKET_COMMANDS = [
  0x00, 0x03, 0x12, 0x1b, 0x1e, 0x23, 0x25, 0x28, 0x2b, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x52, 0x5a, 0xa8, 0xad, 0xbe,
];

/** A command to one of the drives, by PIO or with a table for the bus master. */
function ide(bench: Bench): void {
  const { board, random } = bench;
  configure(bench, SLOTS.isa, IDE_FUNCTION, 0x40, 4, 0x8000_8000);
  configure(bench, SLOTS.isa, IDE_FUNCTION, 0x20, 4, BUS_MASTER);
  configure(bench, SLOTS.isa, IDE_FUNCTION, 4, 2, 5);
  const second = chance(bench, 2);
  const base = second ? 0x170 : 0x1f0;
  const master = BUS_MASTER + (second ? 8 : 0);
  const out = (register: number, value: number): void => board.portWrite(base + register, 1, value);
  if (chance(bench, 4)) {
    board.portWrite(base + 0x206, 1, 4);
    board.portWrite(base + 0x206, 1, 0);
  }
  const table = somewhere(bench, 256);
  for (let i = 0; i < 8; i++) {
    const address = chance(bench, 20) ? random.next(2 ** 32) : somewhere(bench, 8192);
    put(bench, table + 8 * i, address, (random.next(8192) & ~1) | (i === 7 || chance(bench, 4) ? 0x8000_0000 : 0));
  }
  board.portWrite(master + 4, 4, table);
  out(6, 0xe0 | (chance(bench, 8) ? 0x10 : 0));
  const packet = second && !chance(bench, 4);
  out(1, packet ? random.next(2) : random.next(256));
  out(2, 1 + random.next(8));
  out(3, random.next(256));
  out(4, packet ? random.next(256) : random.next(8));
  out(5, packet ? random.next(256) : 0);
  out(7, packet ? 0xa0 : pick(bench, DISK_COMMANDS));
  if (packet) {
    const bytes = [
      pick(bench, PACKET_COMMANDS),
      ...Array.from({ length: 11 }, () => (chance(bench, 2) ? 0 : random.next(16))),
    ];
    for (let i = 0; i < 12; i += 2) board.portWrite(base, 2, bytes[i]! | (bytes[i + 1]! << 8));
  }
  if (chance(bench, 2)) board.portWrite(master, 1, pick(bench, [1, 9]));
  else {
    const words = random.next(600);
    const writes = chance(bench, 2);
    for (let i = 0; i < words; i++) {
      if (writes) board.portWrite(base, 2, i);
      else board.portRead(base, 2);
    }
  }
}

/** Interrupts of a virtio device by MSI-X, mostly to vectors that there are. */
function messages(bench: Bench, driver: GuestDriver): void {
  const { random } = bench;
  driver.useMsix(!chance(bench, 4), chance(bench, 8));
  for (let vector = 0; vector < driver.msix().vectors; vector++) {
    const address = chance(bench, 10) ? random.next(2 ** 32) : 0xfee0_0000 + 4 * random.next(4);
    const data = chance(bench, 6) ? random.next(2 ** 16) : 0x20 + random.next(0xd0);
    driver.setMessage(vector, { address, data, masked: chance(bench, 4) });
  }
  driver.setConfigVector(random.next(4));
  for (let queue = 0; queue < 3; queue++) driver.setQueueVector(queue, random.next(5));
}

/** Chains for the virtio disk, a little wrong at times. */
function virtio(bench: Bench): void {
  const { random } = bench;
  configure(bench, SLOTS.virtio, 0, 0x10, 4, VIRTIO_BASE);
  configure(bench, SLOTS.virtio, 0, 4, 2, 6);
  const driver = new GuestDriver(bench, SLOTS.virtio);
  // Something else may have been put in front of it.
  driver.status = 0;
  if (driver.status !== 0 || !driver.negotiate([32])) return;
  driver.queue(16, somewhere(bench, 2048));
  if (chance(bench, 2)) messages(bench, driver);
  driver.start();
  for (let i = 0; i < 4; i++) {
    const header = somewhere(bench, 16);
    put(bench, header, pick(bench, [0, 1, 4, 8, 11, 13, random.next(64)]), 0, random.next(3_000), 0);
    const data = chance(bench, 20) ? random.next(2 ** 32) : somewhere(bench, 16_384);
    driver.add([
      { address: header, length: chance(bench, 10) ? random.next(64) : 16 },
      { address: data, length: 512 * (1 + random.next(16)), writable: chance(bench, 2) },
      { address: somewhere(bench, 1), length: 1, writable: !chance(bench, 10) },
    ]);
  }
  driver.kick();
}

/** Chains of any kind for one of the other virtio devices. */
function virtioOther(bench: Bench): void {
  const { random } = bench;
  const slot = pick(bench, VIRTIO_SLOTS);
  configure(bench, slot, 0, 0x10, 4, VIRTIO_BASE + slot * 0x1_0000);
  configure(bench, slot, 0, 4, 2, 6);
  const driver = new GuestDriver(bench, slot);
  driver.status = 0;
  if (driver.status !== 0 || !driver.negotiate([32])) return;
  driver.queue(16, somewhere(bench, 2048));
  if (chance(bench, 2)) messages(bench, driver);
  driver.start();
  for (let i = 1 + random.next(6); i > 0; i--) {
    const address = chance(bench, 20) ? random.next(2 ** 32) : somewhere(bench, 4096);
    const one = { address, length: random.next(4096), writable: chance(bench, 2) };
    // A request of a share has a message, and room for its answer.
    const room = { address: somewhere(bench, 4096), length: 1 + random.next(4096), writable: true };
    driver.add(slot === SLOTS.share ? [one, room] : [one]);
  }
  driver.kick();
}

/** An image for the virtio GPU to show, and commands that are right, or nearly. */
function gpu(bench: Bench): void {
  const { board, random } = bench;
  configure(bench, SLOTS.gpu, 0, 0x10, 4, VIRTIO_BASE + SLOTS.gpu * 0x1_0000);
  configure(bench, SLOTS.gpu, 0, 4, 2, 6);
  const driver = new GuestDriver(bench, SLOTS.gpu);
  if (chance(bench, 2) || driver.status !== 0xf) {
    driver.status = 0;
    if (driver.status !== 0 || !driver.negotiate([32])) return;
    driver.queue(64, somewhere(bench, 4096));
    driver.queue(16, somewhere(bench, 2048), 1);
    driver.start();
  }
  const send = (queue: number, type: number, ...words: readonly number[]): void => {
    const at = somewhere(bench, 4096);
    put(bench, at, type, random.next(2), 7, 0, 0, 0, ...words);
    const [command, answer] = [
      24 + 4 * words.length,
      { address: somewhere(bench, 2048), length: 2048, writable: true },
    ];
    driver.add([{ address: at, length: command }, ...(queue === 0 ? [answer] : [])], undefined, queue);
    driver.kick(queue);
  };
  const odd = (value: number): number => (chance(bench, 12) ? random.next(2 ** 32) : value);
  const id = 1 + random.next(3);
  const [width, height] = chance(bench, 3) ? [64, 64] : [1 + random.next(300), 1 + random.next(300)];
  if (driver.queues.length < 2) return;
  send(0, 0x101, id, pick(bench, [1, 2, 3, 4, 67, 68, 121, 134, 5]), odd(width), odd(height));
  const entries = Array.from({ length: 1 + random.next(6) }, () => [
    odd(somewhere(bench, 65_536)),
    0,
    odd(4096 * (1 + random.next(16))),
    0,
  ]);
  send(0, 0x106, id, odd(entries.length), ...entries.flat());
  send(0, 0x105, 0, 0, odd(width), odd(height), odd(0), 0, id, 0);
  send(0, 0x103, 0, 0, odd(width), odd(height), chance(bench, 20) ? 1 : 0, odd(id));
  send(0, 0x104, 0, 0, width, height, id, 0);
  send(1, pick(bench, [0x300, 0x301]), 0, random.next(400) - 50, random.next(400) - 50, 0, id, 0, 0, 0);
  send(0, pick(bench, [0x100, 0x102, 0x107, 0x108, 0x10a, random.next(0x400)]), odd(chance(bench, 2) ? 0 : id), 0);
  board.portRead(0xcfc, 4);
}

/** A floppy command with its channel of the DMA controller. */
function floppy(bench: Bench): void {
  const { board, random } = bench;
  const out = (port: number, ...values: readonly number[]): void => values.forEach((v) => board.portWrite(port, 1, v));
  const address = somewhere(bench, 4096);
  out(0x0a, 6);
  out(0x0c, 0);
  out(0x0b, pick(bench, [0x46, 0x4a, 0x56]));
  out(0x04, address & 0xff, (address >> 8) & 0xff);
  out(0x81, address >> 16);
  out(0x05, 0xff, random.next(16));
  out(0x0a, 2);
  if (chance(bench, 3)) out(0x3f2, 0);
  out(0x3f2, 0x1c);
  const commands: readonly (readonly number[])[] = [
    [0x03, 0xdf, 0x02],
    [0x07, 0],
    [0x08],
    [0x0f, 0, random.next(90)],
    [0xe6, 0, random.next(80), 0, 1 + random.next(18), 2, 18, 0x1b, 0xff],
    [0xc5, 0, random.next(80), 0, 1 + random.next(18), 2, 18, 0x1b, 0xff],
    [0x4a, 0],
    [0x4d, 0, 2, 18, 0x54, 0xf6],
    [0x10],
    [0x13, 0, 0x57, 0],
  ];
  for (const byte of pick(bench, commands)) out(0x3f5, chance(bench, 40) ? random.next(256) : byte);
  for (let i = random.next(10); i > 0; i--) board.portRead(0x3f5, 1);
}

/** Timers at speeds that somebody could want, with interrupts let through. */
function timers(bench: Bench): void {
  const { board, random } = bench;
  const out = (port: number, ...values: readonly number[]): void => values.forEach((v) => board.portWrite(port, 1, v));
  const write = (address: number, value: number): void => board.memoryWrite(address, 4, value >>> 0);
  out(0x43, 0x34);
  out(0x40, random.next(256), random.next(8));
  out(0x70, 0x0b);
  out(0x71, 2 | pick(bench, [0x40, 0x10, 0x20, 0x70]));
  out(0x70, 0x0a);
  out(0x71, 0x20 | (3 + random.next(13)));
  out(0x70, 0x0c);
  board.portRead(0x71, 1);
  write(0xfee0_00f0, 0x1ff);
  write(0xfee0_0320, 0x2_0000 | (0x20 + random.next(200)));
  write(0xfee0_0380, 1 + random.next(1_000_000));
  write(0xfed0_0100, 0x14c | (pick(bench, [0, 20, 21]) << 9));
  write(0xfed0_0108, random.next(100_000));
  write(0xfed0_0108, 1 + random.next(100_000));
  write(0xfed0_0010, 1 + random.next(3));
}

const DRIVERS = [network, network, ide, ide, virtio, virtioOther, gpu, floppy, timers];

/** One of the drivers does its work. */
export const drive = (bench: Bench): void => pick(bench, DRIVERS)(bench);
