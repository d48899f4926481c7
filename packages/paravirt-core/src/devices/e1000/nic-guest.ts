/** A board with a network card and the least of a driver, for tests. */
import { ManualClock } from '@tomei/kit';
import { backend, Board } from '../../machine/board.ts';
import { nicBackend, type NicBackend } from '../nic-backend.ts';
import { e1000 } from './e1000.ts';
import * as R from './registers.ts';

export const RING = 16;
const RX_RING = 0x1000;
const TX_RING = 0x2000;
const RX_BUFFERS = 0x1_0000;
export const TX_DATA = 0x8_0000;
const RAM_BYTES = 1 << 20;

/** What a descriptor of the transmit ring is to say: its four words. */
export type Words = readonly [number, number, number, number];

export class NicGuest {
  readonly clock = new ManualClock();
  readonly ram = new Uint8Array(RAM_BYTES);
  readonly data = new DataView(this.ram.buffer);
  readonly board: Board;
  readonly bar: number;
  readonly io: number;
  private readonly base = 0x8000_1000;
  private received = 0;

  constructor(wire: NicBackend | undefined, mac = [0x00, 0x0c, 0x29, 1, 2, 3]) {
    this.board = new Board({ ram: this.ram, clock: this.clock, alarms: this.clock.alarms });
    this.board.add(
      e1000,
      { mac: Uint8Array.from(mac) },
      { slot: 2, backends: wire === undefined ? [] : [backend(nicBackend, wire)] },
    );
    this.board.reset();
    this.bar = (this.config(0x10) & ~15) >>> 0;
    this.io = this.config(0x14) & ~3;
    this.master(true);
  }

  config(offset: number): number {
    this.board.portWrite(0xcf8, 4, this.base + offset);
    return this.board.portRead(0xcfc, 4);
  }
  master(on: boolean): void {
    this.board.portWrite(0xcf8, 4, this.base + 4);
    this.board.portWrite(0xcfc, 2, on ? 7 : 3);
  }
  read(register: number): number {
    return this.board.memoryRead(this.bar + register, 4);
  }
  write(register: number, value: number): void {
    this.board.memoryWrite(this.bar + register, 4, value >>> 0);
  }
  /** Whether the interrupt line of slot 2 is up. */
  get interrupt(): boolean {
    return this.board.lines.level(11);
  }

  /** Gives all but one descriptor of the receive ring to the card. */
  listen(control = R.RCTL_BAM): void {
    for (let i = 0; i < RING; i++) {
      this.data.setUint32(RX_RING + 16 * i, RX_BUFFERS + 0x800 * i, true);
      this.data.setUint32(RX_RING + 16 * i + 4, 0, true);
      this.data.setBigUint64(RX_RING + 16 * i + 8, 0n, true);
    }
    this.received = 0;
    this.write(R.RDBAL, RX_RING);
    this.write(R.RDLEN, RING * 16);
    this.write(R.RDH, 0);
    this.write(R.RDT, RING - 1);
    this.write(R.RCTL, R.RCTL_EN | control);
  }
  /** The next received piece, or undefined; its descriptor goes back to the card. */
  take(): { bytes: Uint8Array; status: number; errors: number; tag: number } | undefined {
    const at = RX_RING + 16 * this.received;
    const status = this.ram[at + 12]!;
    if ((status & 1) === 0) return undefined;
    const from = RX_BUFFERS + 0x800 * this.received;
    const bytes = this.ram.slice(from, from + this.data.getUint16(at + 8, true));
    const taken = { bytes, status, errors: this.ram[at + 13]!, tag: this.data.getUint16(at + 14, true) };
    this.ram[at + 12] = 0;
    this.write(R.RDT, this.received);
    this.received = (this.received + 1) % RING;
    return taken;
  }

  startSending(): void {
    this.write(R.TDBAL, TX_RING);
    this.write(R.TDLEN, RING * 16);
    this.write(R.TDH, 0);
    this.write(R.TDT, 0);
    this.write(R.TCTL, R.TCTL_EN | R.TCTL_PSP);
  }
  /** Puts descriptors into the ring and rings the bell once. */
  post(...descriptors: readonly Words[]): void {
    let tail = this.read(R.TDT);
    for (const words of descriptors) {
      words.forEach((word, i) => this.data.setUint32(TX_RING + 16 * tail + 4 * i, word, true));
      tail = (tail + 1) % RING;
    }
    this.write(R.TDT, tail);
  }
  /** Sends one frame by one legacy descriptor that reports. */
  send(frame: Uint8Array): void {
    this.ram.set(frame, TX_DATA);
    this.post([TX_DATA, 0, 0x0b00_0000 | frame.length, 0]);
  }
  status(index: number): number {
    return this.ram[TX_RING + 16 * index + 12]!;
  }
}

/** An Ethernet frame of the test's own type with `length` bytes of payload. */
export function frameOf(to: readonly number[], from: readonly number[], length: number, fill = 0x40): Uint8Array {
  const frame = new Uint8Array(14 + length).fill(fill);
  frame.set(to);
  frame.set(from, 6);
  frame.set([0x88, 0xb5], 12);
  return frame;
}
