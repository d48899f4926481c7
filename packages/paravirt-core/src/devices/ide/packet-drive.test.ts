import { describe, expect, it } from 'vitest';
import type { DeviceOf } from '../../machine/device.ts';
import { MemoryDisk } from '../virtio/memory-disk.ts';
import type { piixIde } from './piix-ide.ts';
import { IdeRig } from './rig.ts';

const BLOCKS = 1024;
const PRIMARY_MASTER = 0;
const rigWith = (plug: 'cdrom' | 'tray', immediate = true): IdeRig =>
  new IdeRig([plug], { sectors: BLOCKS * 4, immediate });
const block = (rig: IdeRig, at: number, count = 1): Buffer =>
  Buffer.from(rig.media[0]!.data.slice(at * 2048, (at + count) * 2048));

/** Sends a packet; returns the status after it. */
function packet(rig: IdeRig, bytes: readonly number[], { limit = 0xfffe, dma = false } = {}): number {
  rig.out(6, 0xa0);
  rig.out(1, dma ? 1 : 0);
  rig.out(4, limit & 0xff);
  rig.out(5, limit >> 8);
  rig.out(7, 0xa0);
  expect([rig.alternate(), rig.in(2)]).toEqual([0x58, 1]);
  rig.pioOut(Uint8Array.from({ length: 12 }, (_, i) => bytes[i] ?? 0));
  return rig.alternate();
}
/** Takes all DRQ blocks; returns the bytes and the size of each block. */
function data(rig: IdeRig): { bytes: Buffer; blocks: number[] } {
  const parts: Uint8Array[] = [];
  const blocks: number[] = [];
  while ((rig.in(7) & 0x88) === 8) {
    expect(rig.in(2)).toBe(2);
    const size = rig.in(4) | (rig.in(5) << 8);
    blocks.push(size);
    parts.push(rig.pioIn(size + (size & 1)).slice(0, size));
  }
  return { bytes: Buffer.concat(parts), blocks };
}
const ask = (rig: IdeRig, bytes: readonly number[]): number[] => {
  packet(rig, bytes);
  return [...data(rig).bytes];
};
/** Key, code and qualifier. */
const sense = (rig: IdeRig): number[] => {
  const bytes = ask(rig, [0x03, 0, 0, 0, 18]);
  return [bytes[2]!, bytes[12]!, bytes[13]!];
};
const parts = (rig: IdeRig) => (rig.device as DeviceOf<typeof piixIde>).parts;

describe('a packet device', () => {
  it('has its signature after power-on, SRST and IDENTIFY DEVICE, which it refuses', () => {
    const rig = rigWith('cdrom');
    const signature = (): number[] => [1, 2, 3, 4, 5, 6, 7].map((r) => rig.in(r));
    expect(signature()).toEqual([1, 1, 1, 0x14, 0xeb, 0xa0, 0]);
    rig.out(4, 0);
    rig.control(4);
    rig.control(0);
    expect(signature()).toEqual([1, 1, 1, 0x14, 0xeb, 0xa0, 0]);
    expect(rig.command(0xec, { device: 0xa0 })).toBe(0x51);
    expect([rig.in(1), rig.in(4), rig.in(5)]).toEqual([4, 0x14, 0xeb]);
  });
  it('identifies itself', () => {
    const rig = rigWith('cdrom');
    expect(rig.command(0xa1, { device: 0xa0 })).toBe(0x58);
    const w = new Uint16Array(rig.pioIn(512).buffer);
    expect([w[0], w[49], rig.in(7)]).toEqual([0x85c0, 0x0b00, 0x50]);
  });
  it('is reset by DEVICE RESET while it is busy, without an interrupt', () => {
    const rig = rigWith('cdrom', false);
    expect(packet(rig, [0x28, 0, 0, 0, 0, 1, 0, 0, 1])).toBe(0xd0);
    rig.out(7, 0x08);
    expect([rig.alternate(), rig.in(4), rig.interrupts[14]]).toEqual([0, 0x14, 0]);
  });
  it('tells by interrupt reason and interrupts where it is', () => {
    const rig = rigWith('cdrom');
    packet(rig, [0x12, 0, 0, 0, 36]);
    expect([rig.interrupts[14], rig.in(2), rig.in(4) | (rig.in(5) << 8)]).toEqual([1, 2, 36]);
    rig.in(7);
    rig.pioIn(36);
    expect([rig.interrupts[14], rig.in(2), rig.in(7)]).toEqual([2, 3, 0x50]);
  });
});

describe('reading blocks', () => {
  it('moves them in DRQ blocks of the byte count limit', () => {
    const rig = rigWith('cdrom');
    packet(rig, [0x28, 0, 0, 0, 0, 16, 0, 0, 3], { limit: 2048 });
    const { bytes, blocks } = data(rig);
    expect(blocks).toEqual([2048, 2048, 2048]);
    expect(bytes.equals(block(rig, 16, 3))).toBe(true);
    packet(rig, [0xa8, 0, 0, 0, 0, 16, 0, 0, 0, 1], { limit: 1001 });
    const odd = data(rig);
    expect(odd.blocks).toEqual([1000, 1000, 48]);
    expect(odd.bytes.equals(block(rig, 16))).toBe(true);
  });
  it('moves them by the bus master', () => {
    const rig = rigWith('cdrom');
    expect(packet(rig, [0x28, 0, 0, 0, 0, 100, 0, 0, 20], { dma: true })).toBe(0x58);
    rig.startDma([
      [0x1_0000, 0x4000],
      [0x2_0000, 0x6000],
    ]);
    expect([rig.in(7), rig.in(2), rig.busMasterStatus, rig.interrupts[14]]).toEqual([0x50, 3, 4, 1]);
    expect(Buffer.from(rig.ram.slice(0x2_0000, 0x2_6000)).equals(block(rig, 108, 12))).toBe(true);
  });
  it('answers by the bus master too', () => {
    const rig = rigWith('cdrom');
    packet(rig, [0x25], { dma: true });
    rig.startDma([[0x8000, 8]]);
    expect([...rig.ram.slice(0x8000, 0x8008)]).toEqual([0, 0, 3, 0xff, 0, 0, 8, 0]);
    expect([rig.in(7), rig.in(2)]).toEqual([0x50, 3]);
  });
  it('reads user data by READ CD, nothing without flags, and refuses raw sectors', () => {
    const rig = rigWith('cdrom');
    packet(rig, [0xbe, 0, 0, 0, 0, 5, 0, 0, 2, 0x10]);
    expect(data(rig).bytes.equals(block(rig, 5, 2))).toBe(true);
    expect(packet(rig, [0xbe, 0, 0, 0, 0, 5, 0, 0, 2, 0])).toBe(0x50);
    expect(packet(rig, [0xbe, 0, 0, 0, 0, 5, 0, 0, 2, 0xf8])).toBe(0x51);
    expect(sense(rig)).toEqual([5, 0x24, 0]);
  });
  it('says what lies outside of the disc, and what cannot be read', () => {
    const rig = rigWith('cdrom');
    expect(packet(rig, [0x28, 0, 0, 0, 4, 0, 0, 0, 1])).toBe(0x51);
    expect([rig.in(1), sense(rig), sense(rig)]).toEqual([0x54, [5, 0x21, 0], [0, 0, 0]]);
    expect(packet(rig, [0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff])).toBe(0x51);
    const slow = rigWith('cdrom', false);
    packet(slow, [0x28, 0, 0, 0, 0, 1, 0, 0, 1]);
    slow.media[0]!.complete(slow.media[0]!.pending[0]!, false);
    expect([slow.in(7), slow.in(1), sense(slow)]).toEqual([0x51, 0x34, [3, 0x11, 0]]);
  });
});

describe('what the drive says', () => {
  it('of itself, the disc and its table of contents', () => {
    const rig = rigWith('cdrom');
    expect(ask(rig, [0x12, 0, 0, 0, 5])).toEqual([5, 0x80, 0, 0x21, 31]);
    expect(ask(rig, [0x25])).toEqual([0, 0, 3, 0xff, 0, 0, 8, 0]);
    const lba = [0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 4, 0];
    expect(ask(rig, [0x43, 0, 0, 0, 0, 0, 0, 1, 0])).toEqual(lba);
    // 1024 + 150 frames: 15 seconds, 49 frames.
    expect(ask(rig, [0x43, 2, 0, 0, 0, 0, 0xaa, 1, 0])).toEqual([0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 15, 49]);
    expect(ask(rig, [0x43, 0, 1, 0, 0, 0, 0, 0, 12])).toEqual([0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    expect(ask(rig, [0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40])).toEqual([0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0]);
    expect(ask(rig, [0x43, 0, 2, 0, 0, 0, 0, 1, 0])).toHaveLength(48);
    expect(packet(rig, [0x43, 0, 0, 0, 0, 0, 2, 1, 0])).toBe(0x51);
  });
  it('of modes, features, events and mechanism', () => {
    const rig = rigWith('cdrom');
    expect(ask(rig, [0x5a, 0, 0x01, 0, 0, 0, 0, 0, 255])).toEqual([0, 14, 1, 0, 0, 0, 0, 0, 1, 6, 0, 5, 0, 0, 0, 0]);
    expect(ask(rig, [0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255])).toHaveLength(28);
    expect(ask(rig, [0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255])).toHaveLength(8 + 8 + 16 + 20);
    expect(ask(rig, [0x5a, 0, 0x41, 0, 0, 0, 0, 0, 255]).slice(8)).toEqual([1, 6, 0, 0, 0, 0, 0, 0]);
    expect(packet(rig, [0x5a, 0, 0xc1, 0, 0, 0, 0, 0, 255])).toBe(0x51);
    expect(sense(rig)).toEqual([5, 0x39, 0]);
    expect(ask(rig, [0x46, 2, 0, 0x1e, 0, 0, 0, 1, 0])).toEqual([0, 0, 0, 12, 0, 0, 0, 8, 0, 0x1e, 9, 4, 0, 0, 0, 0]);
    expect(ask(rig, [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8])).toEqual([0, 6, 4, 0x10, 0, 2, 0, 0]);
    expect(ask(rig, [0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8])).toEqual([0, 0, 0, 0, 0, 1, 0, 0]);
    expect(ask(rig, [0x51, 0, 0, 0, 0, 0, 0, 0, 34])).toHaveLength(34);
    expect(ask(rig, [0x42, 2, 0x40, 1, 0, 0, 0, 0, 16])).toHaveLength(16);
    expect(packet(rig, [0xff])).toBe(0x51);
    expect(sense(rig)).toEqual([5, 0x20, 0]);
  });
});

describe('the tray', () => {
  it('is empty', () => {
    const rig = rigWith('tray');
    for (const code of [0x00, 0x25, 0x28, 0x43, 0xbe]) {
      expect(packet(rig, [code, 0, 0, 0, 0, 0, 0, 0, 1])).toBe(0x51);
      expect(sense(rig)).toEqual([2, 0x3a, 1]);
    }
    expect(ask(rig, [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8])).toEqual([0, 6, 4, 0x10, 0, 0, 0, 0]);
  });
  it('opens unless it is locked, and tells of the medium when it closes', () => {
    const rig = rigWith('cdrom');
    packet(rig, [0x1e, 0, 0, 0, 1]);
    expect(packet(rig, [0x1b, 0, 0, 0, 2])).toBe(0x51);
    expect(sense(rig)).toEqual([5, 0x53, 2]);
    packet(rig, [0x1e, 0, 0, 0, 0]);
    expect(packet(rig, [0x1b, 0, 0, 0, 2])).toBe(0x50);
    packet(rig, [0x00]);
    expect(sense(rig)).toEqual([2, 0x3a, 2]);
    packet(rig, [0x1b, 0, 0, 0, 3]);
    expect(packet(rig, [0x00])).toBe(0x51);
    expect([sense(rig), packet(rig, [0x00])]).toEqual([[6, 0x28, 0], 0x50]);
  });
  it('takes another disc from the host', () => {
    const rig = rigWith('cdrom', false);
    packet(rig, [0x28, 0, 0, 0, 0, 1, 0, 0, 1]);
    const memory = { view: (a: number, l: number) => rig.board.ioView(a, l) };
    const other = new MemoryDisk({ memory, sectors: 40, readOnly: true, immediate: true });
    other.data.fill(0x77);
    expect(parts(rig).insert(PRIMARY_MASTER, other)).toBe(true);
    expect([rig.in(7), sense(rig)]).toEqual([0x51, [6, 0x28, 0]]);
    expect(ask(rig, [0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8])).toEqual([0, 6, 4, 0x10, 2, 2, 0, 0]);
    expect(packet(rig, [0x00])).toBe(0x51);
    expect(ask(rig, [0x25])).toEqual([0, 0, 0, 9, 0, 0, 8, 0]);
    packet(rig, [0x28, 0, 0, 0, 0, 1, 0, 0, 1]);
    // The old disc's read is still on its way: the new one waits for it.
    expect(rig.alternate()).toBe(0xd0);
    rig.media[0]!.completeAll();
    expect(data(rig).bytes.every((b) => b === 0x77)).toBe(true);
    expect(parts(rig).insert(PRIMARY_MASTER, undefined)).toBe(true);
    packet(rig, [0x00]);
    expect(sense(rig)).toEqual([2, 0x3a, 1]);
    expect(parts(rig).insert(1, undefined)).toBe(false);
  });
});
