import { ms } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../../machine/battery.ts';
import { backend } from '../../machine/board.ts';
import { makeCable } from '../cable.ts';
import { nicBackend, type NicBackend } from '../nic-backend.ts';
import { be16, be32, checkPacket, frameCheck, onesSum, putBe16 } from './checksum.ts';
import { e1000 } from './e1000.ts';
import { frameOf, NicGuest, RING, TX_DATA, type Words } from './nic-guest.ts';
import * as R from './registers.ts';

const MAC_A = [0x00, 0x0c, 0x29, 0xaa, 0xbb, 0x01];
const MAC_B = [0x00, 0x0c, 0x29, 0xaa, 0xbb, 0x02];
const BROADCAST = Array<number>(6).fill(0xff);

/** A wire that keeps what is sent and lets the test bring frames. */
function wire() {
  const sent: Uint8Array[] = [];
  let handler: (frame: Uint8Array) => boolean = () => false;
  let told: () => void = () => undefined;
  const self = {
    sent,
    linkUp: true,
    send: (frame: Uint8Array) => void sent.push(frame),
    onReceive: (given: typeof handler) => void (handler = given),
    onLink: (given: typeof told) => void (told = given),
    bring: (frame: Uint8Array) => handler(frame),
    plug(on: boolean) {
      self.linkUp = on;
      told();
    },
  };
  return self satisfies NicBackend;
}
function card(mac = MAC_A) {
  const far = wire();
  return { far, guest: new NicGuest(far, mac) };
}

/** Reads an EEPROM word as drivers do, bit by bit. */
function microwire(guest: NicGuest, word: number): number {
  const [SK, CS, DI, DO] = [1, 2, 4, 8];
  const clock = (bit: number): number => {
    guest.write(R.EECD, CS | (bit !== 0 ? DI : 0));
    guest.write(R.EECD, CS | SK | (bit !== 0 ? DI : 0));
    return (guest.read(R.EECD) & DO) !== 0 ? 1 : 0;
  };
  guest.write(R.EECD, CS);
  for (const bit of [1, 1, 0]) clock(bit);
  for (let i = 5; i >= 0; i--) clock((word >> i) & 1);
  let value = 0;
  for (let i = 0; i < 16; i++) value = (value << 1) | clock(0);
  guest.write(R.EECD, 0);
  return value;
}
const mdic = (guest: NicGuest, register: number, value?: number): number => {
  const operation = value === undefined ? R.MDIC_OP_READ : R.MDIC_OP_WRITE;
  guest.write(R.MDIC, (operation << 26) | (1 << 21) | (register << 16) | (value ?? 0));
  return guest.read(R.MDIC);
};

describe('e1000 identity', () => {
  it('has an EEPROM with address and checksum, by both ways to read it', () => {
    const { guest } = card();
    const words = Array.from({ length: 64 }, (_, i) => microwire(guest, i));

    expect(words.slice(0, 3)).toEqual([0x0c00, 0xaa29, 0x01bb]);
    expect(words.reduce((sum, word) => (sum + word) & 0xffff, 0)).toBe(0xbaba);
    expect(words.slice(0x0d, 0x0f)).toEqual([0x100e, 0x8086]);
    for (const [i, word] of words.entries()) {
      guest.write(R.EERD, (i << 8) | 1);
      expect(guest.read(R.EERD)).toBe(((word << 16) | (i << 8) | 0x10) >>> 0);
    }
    expect([guest.read(R.RECEIVE_ADDRESSES), guest.read(R.RECEIVE_ADDRESSES + 4)]).toEqual([0xaa29_0c00, 0x8000_01bb]);
  });

  it('has a transceiver at address 1 that negotiates', () => {
    const { guest } = card();

    expect(mdic(guest, 2) & 0xffff).toBe(0x0141);
    expect(mdic(guest, 3) & 0xffff).toBe(0x0c20);
    expect(mdic(guest, 1) & 0x24).toBe(0x24);
    expect(guest.read(R.STATUS)).toBe(0x283);
    guest.write(R.IMS, R.CAUSE_LSC);
    mdic(guest, 0, 0x1340);
    expect(guest.read(R.STATUS) & R.STATUS_LINK_UP).toBe(0);
    expect(guest.read(R.ICR)).toBe(R.CAUSE_LSC);
    expect(mdic(guest, 1) & 0x24).toBe(0);
    guest.clock.advance(ms(60));
    expect([guest.interrupt, guest.read(R.ICR)]).toEqual([true, R.CAUSE_LSC]);
    // The link bit tells of the failure once.
    expect([mdic(guest, 1) & 4, mdic(guest, 1) & 4]).toEqual([0, 4]);
    guest.write(R.MDIC, (R.MDIC_OP_READ << 26) | (2 << 21));
    expect(guest.read(R.MDIC) & R.MDIC_ERROR).not.toBe(0);
  });

  it('tells of a cable that is pulled out', () => {
    const { guest, far } = card();
    guest.write(R.IMS, R.CAUSE_LSC);

    far.plug(false);
    expect([guest.interrupt, guest.read(R.STATUS) & 2, guest.read(R.ICR)]).toEqual([true, 0, R.CAUSE_LSC]);
    far.plug(true);
    expect([guest.interrupt, guest.read(R.STATUS) & 2]).toEqual([true, 2]);
    expect([mdic(guest, 1) & 4, mdic(guest, 1) & 4]).toEqual([0, 4]);
    expect(new NicGuest(undefined).read(R.STATUS) & 2).toBe(0);
  });

  it('resets itself by its I/O window', () => {
    const { guest } = card();
    guest.write(R.RDLEN, 0x100);
    guest.write(R.IMS, 0xffff);
    guest.write(R.RECEIVE_ADDRESSES, 0x1234);
    guest.write(R.VET, 0x9100);

    guest.board.portWrite(guest.io, 4, R.VET);
    expect(guest.board.portRead(guest.io + 4, 4)).toBe(0x9100);
    guest.board.portWrite(guest.io, 4, R.CTRL);
    guest.board.portWrite(guest.io + 4, 4, R.CTRL_RST | 0x40);
    expect([guest.read(R.RDLEN), guest.read(R.IMS), guest.read(R.RECEIVE_ADDRESSES), guest.read(R.VET)]).toEqual([
      0, 0, 0xaa29_0c00, 0x8100,
    ]);
    expect(guest.read(R.CTRL) & R.CTRL_RST).toBe(0);
  });
});

describe('e1000 receive', () => {
  it('puts frames into buffers, padded and with their check sequence', () => {
    const { guest, far } = card();
    guest.listen();
    guest.write(R.IMS, R.CAUSE_RXT0);

    expect(far.bring(frameOf(MAC_A, MAC_B, 10))).toBe(true);
    expect([guest.interrupt, guest.read(R.ICR) & R.CAUSE_RXT0]).toEqual([true, R.CAUSE_RXT0]);
    const { bytes, status } = guest.take()!;
    expect([bytes.length, status & 0x07]).toEqual([64, 7]);
    const check = new DataView(bytes.buffer, bytes.byteOffset + 60).getUint32(0, true);
    expect(check).toBe(frameCheck(bytes.subarray(0, 60)));
    guest.listen(R.RCTL_BAM | R.RCTL_SECRC);
    far.bring(frameOf(MAC_A, MAC_B, 100));
    expect(guest.take()!.bytes).toEqual(frameOf(MAC_A, MAC_B, 100));
  });

  it('spreads long frames over buffers', () => {
    const { guest, far } = card();
    // Buffers of 256 bytes.
    guest.listen(R.RCTL_BAM | R.RCTL_SECRC | (3 << 16));

    far.bring(frameOf(MAC_A, MAC_B, 600));
    const pieces = [guest.take()!, guest.take()!, guest.take()!];
    expect(pieces.map(({ bytes, status }) => [bytes.length, status & 3])).toEqual([
      [256, 1],
      [256, 1],
      [102, 3],
    ]);
    expect(guest.take()).toBeUndefined();
    far.bring(frameOf(MAC_A, MAC_B, 1700));
    expect([guest.take(), guest.read(0x40ac)]).toEqual([undefined, 1]);
  });

  it('filters by address, hash and broadcast', () => {
    const { guest, far } = card();
    const group = [0x01, 0x00, 0x5e, 0x00, 0x12, 0x34];
    const passes = (to: number[], control: number): boolean => {
      guest.listen(control);
      far.bring(frameOf(to, MAC_B, 50));
      return guest.take() !== undefined;
    };

    expect(passes(MAC_A, 0)).toBe(true);
    expect(passes(MAC_B, 0)).toBe(false);
    expect(passes(MAC_B, R.RCTL_UPE)).toBe(true);
    expect(passes(BROADCAST, 0)).toBe(false);
    expect(passes(BROADCAST, R.RCTL_BAM)).toBe(true);
    expect(passes(group, 0)).toBe(false);
    expect(passes(group, R.RCTL_MPE)).toBe(true);
    // Hash of 34h:12h, bits 15:4.
    guest.write(R.MTA + 4 * (0x341 >> 5), 1 << (0x341 & 31));
    expect(passes(group, 0)).toBe(true);
    expect(passes(group, 1 << 12)).toBe(false);
    guest.write(R.RECEIVE_ADDRESSES + 8, 0xaa29_0c00);
    guest.write(R.RECEIVE_ADDRESSES + 12, R.RAH_VALID | 0x02bb);
    expect(passes(MAC_B, 0)).toBe(true);
  });

  it('filters and strips VLAN tags', () => {
    const { guest, far } = card();
    const tagged = (vlan: number): Uint8Array => {
      const frame = frameOf(MAC_A, MAC_B, 80);
      frame.set([0x81, 0x00, vlan >> 8, vlan & 0xff], 12);
      return frame;
    };
    guest.write(R.CTRL, R.CTRL_VME);
    guest.write(R.VFTA + 4 * (0x123 >> 5), 1 << (0x123 & 31));
    guest.listen(R.RCTL_VFE | R.RCTL_SECRC);

    far.bring(tagged(0x124));
    expect(guest.take()).toBeUndefined();
    far.bring(tagged(0x123));
    const { bytes, status, tag } = guest.take()!;
    expect([bytes.length, status & 8, tag]).toEqual([90, 8, 0x123]);
  });

  it('keeps frames in its buffer while the ring is full, and then loses them', () => {
    const { guest, far } = card();
    guest.listen();
    const frame = frameOf(MAC_A, MAC_B, 1400);

    for (let i = 0; i < RING - 1; i++) expect(far.bring(frame)).toBe(true);
    let kept = 0;
    while (far.bring(frame)) kept++;
    expect(kept).toBeGreaterThan(30);
    expect(kept).toBeLessThan(36);
    expect(guest.read(R.ICR) & R.CAUSE_RXO).toBe(R.CAUSE_RXO);
    expect(guest.read(0x4010)).toBe(1);
    let taken = 0;
    while (guest.take() !== undefined) taken++;
    expect(taken).toBe(RING - 1 + kept);
  });

  it('says what it found of checksums', () => {
    const { guest, far } = card();
    guest.write(R.RXCSUM, R.RXCSUM_IPOFL | R.RXCSUM_TUOFL);
    guest.listen();
    const good = tcpFrame(100, false);

    far.bring(good);
    expect(guest.take()).toMatchObject({ status: 0x63, errors: 0 });
    good[40] = good[40]! ^ 1;
    far.bring(good);
    expect(guest.take()).toMatchObject({ status: 0x63, errors: 0x20 });
  });

  it('does nothing without the bus', () => {
    const { guest, far } = card();
    guest.listen();
    guest.master(false);

    far.bring(frameOf(MAC_A, MAC_B, 50));
    expect(guest.take()).toBeUndefined();
  });
});

/** An IPv4 TCP frame; with `offload` as a driver leaves it for the card: only the pseudo header summed, length as told. */
function tcpFrame(payload: number, offload: boolean, segmented = false): Uint8Array {
  const frame = new Uint8Array(54 + payload);
  frame.set(MAC_A);
  frame.set(MAC_B, 6);
  frame.set([0x08, 0x00, 0x45], 12);
  putBe16(frame, 16, 40 + payload);
  putBe16(frame, 18, 0x1000);
  frame.set([64, 6], 22);
  frame.set([10, 0, 0, 1, 10, 0, 0, 2], 26);
  frame.set([0x12, 0x34, 0x00, 0x50, 0, 0, 0x10, 0x00, 0, 0, 0, 0, 0x50, 0x19, 0x20, 0x00], 34);
  for (let i = 0; i < payload; i++) frame[54 + i] = (i * 7) & 0xff;
  const pseudo = onesSum(frame, 26, 34, 6 + (segmented ? 0 : 20 + payload));
  if (offload) putBe16(frame, 50, pseudo);
  else {
    putBe16(frame, 24, ~onesSum(frame, 14, 34) & 0xffff);
    putBe16(frame, 50, ~onesSum(frame, 34, frame.length, pseudo) & 0xffff);
  }
  return frame;
}
const context = (command: number, payload = 0, header = 0, mss = 0): Words => [
  14 | (24 << 8) | (33 << 16),
  34 | (50 << 8),
  ((command << 24) | payload) >>> 0,
  (header << 8) | (mss << 16),
];
const dataWords = (at: number, length: number, command: number, options: number): Words => [
  at,
  0,
  ((command << 24) | (1 << 20) | length) >>> 0,
  options << 8,
];

describe('e1000 transmit', () => {
  it('sends legacy descriptors, in one piece or several, and reports', () => {
    const { guest, far } = card();
    guest.startSending();
    guest.write(R.IMS, R.CAUSE_TXDW);

    guest.send(frameOf(MAC_B, MAC_A, 200));
    expect(far.sent).toEqual([frameOf(MAC_B, MAC_A, 200)]);
    expect([guest.status(0), guest.interrupt, guest.read(R.TDH)]).toEqual([1, true, 1]);
    expect(guest.read(R.ICR)).toBe(R.CAUSE_TXDW | R.CAUSE_TXQE);
    guest.post([TX_DATA, 0, 100, 0]);
    expect(far.sent.length).toBe(1);
    guest.post([TX_DATA + 100, 0, 0x0300_0000 | 114, 0]);
    expect(far.sent[1]).toEqual(far.sent[0]);
    expect([guest.status(1), guest.status(2)]).toEqual([0, 0]);
    guest.send(frameOf(MAC_B, MAC_A, 1));
    expect(far.sent[2]!.length).toBe(60);
    expect([guest.read(0x4080), guest.read(0x4080)]).toEqual([3, 0]);
  });

  it('fills in checksums', () => {
    const { guest, far } = card();
    guest.startSending();
    guest.ram.set(tcpFrame(333, true), TX_DATA);

    guest.post(context(0x20 | 3), dataWords(TX_DATA, 387, 0x2b, 3));
    expect(far.sent[0]).toEqual(tcpFrame(333, false));
    // A legacy descriptor sums one field.
    guest.ram.set(tcpFrame(333, true), TX_DATA);
    guest.post([TX_DATA, 0, (0x0f00_0000 | (50 << 16) | 387) >>> 0, 34 << 8]);
    expect(be16(far.sent[1]!, 50)).toBe(be16(far.sent[0]!, 50));
  });

  it('cuts a large TCP packet into segments', () => {
    const { guest, far } = card();
    guest.startSending();
    const large = tcpFrame(5_000, true, true);
    guest.ram.set(large, TX_DATA);

    guest.post(
      context(0x20 | 4 | 3, 5_000, 54, 1_460),
      dataWords(TX_DATA, 54, 0x24, 3),
      dataWords(TX_DATA + 54, 3_000, 0x24, 3),
      dataWords(TX_DATA + 3_054, 2_000, 0x2f, 3),
    );
    expect(far.sent.map((frame) => frame.length)).toEqual([1_514, 1_514, 1_514, 674]);
    const payload = far.sent.flatMap((frame) => [...frame.subarray(54)]);
    expect(Buffer.compare(Buffer.from(payload), Buffer.from(large.subarray(54)))).toBe(0);
    for (const [i, frame] of far.sent.entries()) {
      expect(checkPacket(frame)).toEqual({ ip: true, transport: true });
      expect([be16(frame, 16), be16(frame, 18), be32(frame, 38)]).toEqual([
        frame.length - 14,
        0x1000 + i,
        0x1000 + 1_460 * i,
      ]);
      expect(frame[47]).toBe(i === 3 ? 0x19 : 0x10);
    }
    expect(guest.read(0x40f8)).toBe(1);
  });

  it('inserts VLAN tags', () => {
    const { guest, far } = card();
    guest.write(R.CTRL, R.CTRL_VME);
    guest.startSending();
    guest.ram.set(frameOf(MAC_B, MAC_A, 100), TX_DATA);

    guest.post([TX_DATA, 0, (0x4b00_0000 | 114) >>> 0, 0x0123_0000]);
    expect([...far.sent[0]!.subarray(12, 18)]).toEqual([0x81, 0x00, 0x01, 0x23, 0x88, 0xb5]);
    expect(far.sent[0]!.length).toBe(118);
  });

  it('loops back to itself where told so', () => {
    const { guest, far } = card();
    guest.startSending();
    guest.listen(R.RCTL_LOOPBACK | R.RCTL_SECRC);

    guest.send(frameOf(MAC_A, MAC_A, 99));
    expect(guest.take()!.bytes).toEqual(frameOf(MAC_A, MAC_A, 99));
    expect(far.sent).toEqual([]);
  });
});

describe('e1000 interrupts', () => {
  it('are masked, set by software and cleared by reading or writing', () => {
    const { guest } = card();

    guest.write(R.ICS, 0x85);
    expect(guest.interrupt).toBe(false);
    guest.write(R.IMS, 0x04);
    expect([guest.interrupt, guest.read(R.IMS)]).toEqual([true, 4]);
    guest.write(R.ICR, 0x04);
    expect(guest.interrupt).toBe(false);
    guest.write(R.IMS, 0x01);
    guest.write(R.IMC, 0x05);
    expect([guest.interrupt, guest.read(R.ICR), guest.read(R.ICR)]).toEqual([false, 0x81, 0]);
  });

  it('come no faster than ITR allows', () => {
    const { guest } = card();
    guest.write(R.ITR, 1_000);
    guest.write(R.IMS, 1);
    const rises: number[] = [];
    guest.board.lines.listen((line, level) => line === 11 && level && rises.push(guest.clock.now()));

    for (let i = 0; i < 100; i++) {
      guest.write(R.ICS, 1);
      if (guest.interrupt) guest.read(R.ICR);
      guest.clock.advance(10_000);
    }
    expect(rises.length).toBe(4);
    expect(rises.slice(1).every((at, i) => at - rises[i]! >= 256_000)).toBe(true);
  });
});

describe('e1000 on hostile guests', () => {
  it('works a bounded amount for one doorbell, and goes on later', () => {
    const { guest, far } = card();
    guest.startSending();
    guest.write(R.TDLEN, 0xf_ff80);
    // Segments of one byte out of a megabyte.
    guest.post(context(0x20 | 4 | 3, 0xf_ffff, 60, 1), dataWords(0, 0xf_ffff, 0x2d, 3));
    const first = far.sent.length;

    expect(first).toBeGreaterThan(100);
    expect(first).toBeLessThan(5_000);
    guest.clock.advance(ms(1));
    expect(far.sent.length).toBeLessThan(first * 12);
    expect(far.sent.length).toBeGreaterThan(first);
  });

  it('stops at rings and addresses that make no sense', () => {
    const { guest, far } = card();
    guest.startSending();
    guest.write(R.TDT, 0xffff);
    guest.write(R.TDBAL, 0xfffff000);
    guest.write(R.TDBAH, 0xffffffff);
    guest.write(R.TDT, 5);
    expect([guest.read(R.TDH), far.sent.length]).toEqual([5, 0]);
    guest.listen();
    guest.write(R.RDBAL, 0xfee0_0000);
    expect(far.bring(frameOf(MAC_A, MAC_B, 500))).toBe(true);
    guest.write(R.RDLEN, 0);
    expect(far.bring(frameOf(MAC_A, MAC_B, 500))).toBe(true);
    guest.write(R.RDLEN, 0x80);
    guest.write(R.RDT, 0x1234);
    expect(far.bring(frameOf(MAC_A, MAC_B, 500))).toBe(true);
  });
});

describe('a cable', () => {
  it('carries frames between two machines, in order', () => {
    const cable = makeCable();
    const [a, b] = [new NicGuest(cable.ends[0], MAC_A), new NicGuest(cable.ends[1], MAC_B)];
    for (const guest of [a, b]) {
      guest.listen(R.RCTL_BAM | R.RCTL_SECRC);
      guest.startSending();
    }

    a.send(frameOf(BROADCAST, MAC_A, 60, 1));
    a.send(frameOf(MAC_B, MAC_A, 60, 2));
    b.send(frameOf(MAC_A, MAC_B, 60, 3));
    expect([cable.waiting, b.take()]).toEqual([3, undefined]);
    expect(cable.deliver()).toBe(3);
    expect([b.take()!.bytes[20], b.take()!.bytes[20], a.take()!.bytes[20]]).toEqual([1, 2, 3]);
    expect([a.take(), b.take(), cable.lost]).toEqual([undefined, undefined, 0]);
  });

  it('loses what nobody takes in time, and what is on it when it is pulled', () => {
    const cable = makeCable({ frames: 4 });
    const [a, b] = [new NicGuest(cable.ends[0], MAC_A), new NicGuest(cable.ends[1], MAC_B)];
    a.startSending();
    for (let i = 0; i < 6; i++) a.send(frameOf(MAC_B, MAC_A, 60));
    expect([cable.waiting, cable.lost]).toEqual([4, 2]);
    cable.plug(false);
    expect([cable.waiting, cable.lost, b.read(R.STATUS) & 2]).toEqual([0, 6, 0]);
    a.send(frameOf(MAC_B, MAC_A, 60));
    expect(cable.waiting).toBe(0);
    cable.plug(true);
    expect(b.read(R.STATUS) & 2).toBe(2);
  });
});

deviceBattery(e1000, {
  config: { mac: Uint8Array.from(MAC_A) },
  bench() {
    const far = wire();
    return {
      backends: [backend(nicBackend, far)],
      output: () => far.sent.map((frame) => [...frame]),
    };
  },
  disturb({ parts }, rig) {
    const write = (register: number, value: number): void => parts.pci.bars[0]!.write(register, 4, value);
    rig.board.portWrite(0xcf8, 4, 0x8000_1004);
    rig.board.portWrite(0xcfc, 2, 7);
    rig.ram.set(frameOf(MAC_B, MAC_A, 300), 0x8_0000);
    const descriptors = [...context(0x20 | 4 | 3, 700, 54, 300), ...dataWords(0x8_0000, 354, 0x24, 3)];
    descriptors.forEach((word, i) => new DataView(rig.ram.buffer).setUint32(0x2000 + 4 * i, word, true));
    write(R.TDBAL, 0x2000);
    write(R.TDLEN, 0x100);
    write(R.TDH, 0);
    write(R.TCTL, R.TCTL_EN | R.TCTL_PSP);
    write(R.TDT, 2);
    write(R.ITR, 500);
    write(R.IMS, 0x1f7df);
    write(R.ICS, 4);
    parts.pci.bars[0]!.read(R.ICR, 4);
    write(R.ICS, 8);
    write(R.RCTL, R.RCTL_EN | R.RCTL_LOOPBACK | R.RCTL_UPE);
    write(R.MTA + 8, 0x1234);
    write(R.VFTA + 8, 0x1234);
    write(R.EECD, 6);
    write(R.EECD, 7);
    write(R.EERD, 0x101);
    write(R.MDIC, 0x0420_1340);
    parts.pci.bars[1]!.write(0, 4, 0x38);
  },
  actions: [
    ({ parts }, random) => {
      // Rings at places of the random run, so that descriptors are what happens to lie there.
      const bar = parts.pci.bars[0]!;
      bar.write([R.TDBAL, R.RDBAL][random.next(2)]!, 4, random.next(1 << 20));
      bar.write([R.TDLEN, R.RDLEN][random.next(2)]!, 4, random.next(1 << 12));
      bar.write([R.TDT, R.RDT][random.next(2)]!, 4, random.next(1 << 8));
      bar.write(R.TCTL, 4, random.next(16));
      bar.write(R.RCTL, 4, random.next(2 ** 32));
    },
  ],
});
