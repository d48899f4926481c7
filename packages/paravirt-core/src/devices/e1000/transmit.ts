/**
 * The transmit side (82540EM software developer's manual, 3.3 to 3.6): legacy, context and data descriptors. It works a bounded
 * amount per call: a ring or a segment size that a hostile guest made up keeps nobody busy for long.
 */
import { bool, nested, pod, u32, type StateOf } from '@tomei/kit';
import type { GuestMemory } from '../../machine/device.ts';
import {
  append,
  endPacket,
  finish,
  MAX_PACKET,
  MIN_FRAME,
  nextSegment,
  packetState,
  room,
  segmentLimit,
  type Packet,
} from './packet.ts';
import { DESCRIPTOR_BYTES } from './registers.ts';

/** Command bits, in the descriptor's third word. */
const COMMAND_SHIFT = 24;
const CMD_EOP = 1 << 0;
const CMD_IFCS = 1 << 1;
/** IC in a legacy descriptor, TSE in the others. */
const CMD_CHECKSUM = 1 << 2;
const CMD_SEGMENT = 1 << 2;
const CMD_REPORT = 1 << 3;
const CMD_EXTENDED = 1 << 5;
const CMD_VLAN = 1 << 6;
const TYPE_SHIFT = 20;
const TYPE_CONTEXT = 0;
const LENGTH_MASK = 0xf_ffff;
const POPTS_IP = 1 << 8;
const POPTS_TRANSPORT = 1 << 9;
const CONTEXT_TCP = 1 << 0;
const CONTEXT_IPV4 = 1 << 1;
const STATUS_DONE = 1 << 0;

/** What one call may do, in bytes; each frame and descriptor counts for some more. */
const WORK = 512 << 10;
const OVERHEAD = 256;

export const transmitState = pod({
  packet: nested(packetState),
  /** How much of the descriptor at the head is done. */
  offset: u32(),
  /** The tail was moved and not everything is done. */
  busy: bool(),
});
export type Transmit = StateOf<typeof transmitState>;

/** The ring as the registers describe it. */
export interface Ring {
  readonly base: number;
  readonly count: number;
  readonly head: number;
  readonly tail: number;
}

export interface Transmitter {
  readonly memory: GuestMemory;
  readonly ring: () => Ring;
  readonly setHead: (head: number) => void;
  /** The type that marks VLAN tags, and whether tags are inserted. */
  readonly vlan: () => { readonly ethertype: number; readonly on: boolean };
  readonly padded: () => boolean;
  /** A frame goes out, without check sequence. */
  readonly send: (frame: Uint8Array) => void;
  readonly segmentedContext: () => void;
}

export interface TransmitResult {
  /** A descriptor that asked for it was marked done. */
  readonly reported: boolean;
  /** Nothing is left. */
  readonly empty: boolean;
}

interface Descriptor {
  readonly at: number;
  readonly address: number;
  readonly words: readonly [number, number, number, number];
  readonly command: number;
}

/** Works through the ring from head to tail, as far as one call goes. `state` is looked up anew at each call. */
export function transmit(t: Transmit, machine: Transmitter): TransmitResult {
  let budget = WORK;
  let reported = false;
  let ring = machine.ring();
  // A tail outside the ring would never be reached.
  while (ring.count > 0 && ring.tail < ring.count && ring.head !== ring.tail) {
    if (budget <= 0) return { reported, empty: false };
    const head = ring.head < ring.count ? ring.head : 0;
    const descriptor = fetch(machine.memory, ring.base + head * DESCRIPTOR_BYTES);
    const extended = (descriptor.command & CMD_EXTENDED) !== 0;
    let used = OVERHEAD;
    let finished = true;
    if (extended && ((descriptor.words[2] >>> TYPE_SHIFT) & 15) === TYPE_CONTEXT)
      readContext(t.packet, descriptor, machine);
    else ({ used, finished } = gather(t, descriptor, extended, machine, budget));
    budget -= used;
    if (!finished) continue;
    t.offset = 0;
    if ((descriptor.command & CMD_REPORT) !== 0) {
      reported = true;
      const status = descriptor.at + 12;
      if (machine.memory.contains(status, 1)) {
        machine.memory.write8(status, machine.memory.read8(status) | STATUS_DONE);
      }
    }
    machine.setHead((head + 1) % ring.count);
    ring = machine.ring();
  }
  return { reported, empty: true };
}

/** What lies outside RAM reads as zeros: a descriptor of no bytes that ends no packet. */
function fetch(memory: GuestMemory, at: number): Descriptor {
  const there = memory.contains(at, DESCRIPTOR_BYTES);
  const word = (i: number): number => (there ? memory.read32(at + 4 * i) : 0);
  const words = [word(0), word(1), word(2), word(3)] as const;
  return { at, words, address: words[1] * 2 ** 32 + words[0], command: words[2] >>> COMMAND_SHIFT };
}

function readContext(p: Packet, { words, command }: Descriptor, machine: Transmitter): void {
  const context = (command & CMD_SEGMENT) !== 0 ? p.segmentation : p.plain;
  const [first, second, third, fourth] = words;
  context.ipStart = first & 0xff;
  context.ipOffset = (first >>> 8) & 0xff;
  context.ipEnd = first >>> 16;
  context.transportStart = second & 0xff;
  context.transportOffset = (second >>> 8) & 0xff;
  context.transportEnd = second >>> 16;
  context.payload = third & LENGTH_MASK;
  context.tcp = (command & CONTEXT_TCP) !== 0;
  context.ipv4 = (command & CONTEXT_IPV4) !== 0;
  context.headerLength = (fourth >>> 8) & 0xff;
  context.segmentSize = fourth >>> 16;
  if (context === p.segmentation) machine.segmentedContext();
}

/** Takes up what a data descriptor says of its packet, at the packet's first byte. */
function begin(p: Packet, { words, command }: Descriptor, extended: boolean, vlanOn: boolean): void {
  p.segmented = extended && (command & CMD_SEGMENT) !== 0;
  p.insertIp = extended && (words[3] & POPTS_IP) !== 0;
  p.insertTransport = extended && (words[3] & POPTS_TRANSPORT) !== 0;
  const legacy = !extended && (command & CMD_CHECKSUM) !== 0;
  p.legacyStart = legacy ? (words[3] >>> 8) & 0xff : 0;
  p.legacyOffset = legacy ? (words[2] >>> 16) & 0xff : 0;
  p.vlan = vlanOn && (command & CMD_VLAN) !== 0;
  p.tag = words[3] >>> 16;
}

/** Moves a descriptor's bytes into the packet and sends what is complete. */
function gather(
  t: Transmit,
  descriptor: Descriptor,
  extended: boolean,
  machine: Transmitter,
  budget: number,
): { used: number; finished: boolean } {
  const p = t.packet;
  const { command, words } = descriptor;
  const vlan = machine.vlan();
  const ends = (command & CMD_EOP) !== 0;
  if (p.data.length === 0 && p.segments === 0) begin(p, descriptor, extended, vlan.on);
  if (ends) {
    // The tag and the wish for a check sequence stand in the last descriptor.
    p.vlan = vlan.on && (command & CMD_VLAN) !== 0;
    p.tag = words[3] >>> 16;
    p.ownCheck = (command & CMD_IFCS) === 0;
  }
  const length = words[2] & (extended ? LENGTH_MASK : 0xffff);
  let used = OVERHEAD;
  while (t.offset < length) {
    if (used >= budget) return { used, finished: false };
    if (room(p) === 0) {
      if (segmentLimit(p) === 0) {
        // Longer than any packet: the rest goes nowhere.
        p.tooLong = true;
        break;
      }
      used += sendFrame(p, machine, vlan.ethertype);
      nextSegment(p);
    }
    const size = Math.min(length - t.offset, room(p));
    append(p, readBytes(machine.memory, descriptor.address + t.offset, size));
    t.offset += size;
    used += size;
  }
  if (ends) {
    if (!p.tooLong && p.data.length > 0) used += sendFrame(p, machine, vlan.ethertype);
    endPacket(p);
  }
  return { used, finished: true };
}

function sendFrame(p: Packet, machine: Transmitter, ethertype: number): number {
  const frame = finish(p, ethertype);
  if (frame.length >= 14 && frame.length <= MAX_PACKET + 4) machine.send(machine.padded() ? padded(frame) : frame);
  return frame.length + OVERHEAD;
}

export function padded(frame: Uint8Array): Uint8Array {
  if (frame.length >= MIN_FRAME) return frame;
  const longer = new Uint8Array(MIN_FRAME);
  longer.set(frame);
  return longer;
}

/** Bytes outside RAM read as ones, as an access that nobody answers. */
function readBytes(memory: GuestMemory, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (memory.contains(address, length)) memory.read(address, bytes);
  else bytes.fill(0xff);
  return bytes;
}
