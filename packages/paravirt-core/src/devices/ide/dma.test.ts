import { describe, expect, it } from 'vitest';
import { IdeRig } from './rig.ts';

const sector = (rig: IdeRig, at: number, count = 1): Uint8Array =>
  rig.media[0]!.data.slice(at * 512, (at + count) * 512);
const BM_ACTIVE = 1,
  BM_ERROR = 2,
  BM_INTERRUPT = 4;

describe('the bus master', () => {
  it('reads into scattered memory and interrupts', () => {
    const rig = new IdeRig(['disk']);
    expect(rig.command(0xc8, { lba: 7, count: 3 })).toBe(0x58);
    rig.startDma([
      [0x8000, 1000],
      [0x9002, 500],
      [0xa000, 36],
    ]);
    expect([rig.in(7), rig.interrupts[14], rig.busMasterStatus]).toEqual([0x50, 1, BM_INTERRUPT]);
    const got = Buffer.concat([
      rig.ram.slice(0x8000, 0x8000 + 1000),
      rig.ram.slice(0x9002, 0x9002 + 500),
      rig.ram.slice(0xa000, 0xa024),
    ]);
    expect(got.equals(Buffer.from(sector(rig, 7, 3)))).toBe(true);
    expect(rig.written.some((w) => w.address === 0x9002 && w.length === 500)).toBe(true);
    rig.board.portWrite(rig.busMaster + 2, 1, BM_INTERRUPT);
    expect(rig.busMasterStatus).toBe(0);
  });

  it('moves when it was started before the command', () => {
    const rig = new IdeRig(['disk']);
    rig.startDma([[0x8000, 512]]);
    expect(rig.busMasterStatus).toBe(BM_ACTIVE);
    rig.command(0xc8, { lba: 2 });
    expect([rig.in(7), rig.busMasterStatus]).toEqual([0x50, BM_INTERRUPT]);
  });

  it('writes out of memory', () => {
    const rig = new IdeRig(['disk']);
    for (let i = 0; i < 65_536; i++) rig.ram[0x2_0000 + i] = (i * 5) & 0xff;
    rig.commandExtended(0x35, 1024, 128);
    rig.startDma([[0x2_0000, 0]], false);
    expect(rig.in(7)).toBe(0x50);
    expect(Buffer.from(sector(rig, 1024, 128)).equals(Buffer.from(rig.ram.slice(0x2_0000, 0x3_0000)))).toBe(true);
  });

  it('waits for a slow disk with BSY and stays active', () => {
    const rig = new IdeRig(['disk'], { immediate: false });
    rig.command(0xc8);
    rig.startDma([[0x8000, 512]]);
    expect([rig.in(7), rig.busMasterStatus, rig.interrupts[14]]).toEqual([0xd0, BM_ACTIVE, 0]);
    rig.media[0]!.completeAll();
    expect([rig.in(7), rig.busMasterStatus, rig.interrupts[14]]).toEqual([0x50, BM_INTERRUPT, 1]);
  });

  it('stays active where the table is longer than the command', () => {
    const rig = new IdeRig(['disk']);
    rig.command(0xc8);
    rig.startDma([[0x8000, 1024]]);
    expect(rig.busMasterStatus).toBe(BM_ACTIVE | BM_INTERRUPT);
  });

  it('stops without an interrupt where the table is shorter, and goes on with a new one', () => {
    const rig = new IdeRig(['disk']);
    rig.command(0xc8, { lba: 3, count: 3 });
    rig.startDma([[0x8000, 1024]]);
    expect([rig.alternate(), rig.busMasterStatus, rig.interrupts[14]]).toEqual([0x58, 0, 0]);
    rig.board.portWrite(rig.busMaster, 1, 0);
    rig.startDma([[0x9000, 512]]);
    expect([rig.alternate(), rig.busMasterStatus]).toEqual([0x50, BM_INTERRUPT]);
    expect(rig.ram.slice(0x9000, 0x9200)).toEqual(sector(rig, 5));
  });

  it.each([0xffff_fff0, 0x10_0000, 0x0f_fffc])('aborts where its table is at %i, which is no memory', (table) => {
    const rig = new IdeRig(['disk']);
    rig.command(0xc8);
    rig.board.portWrite(rig.busMaster + 4, 4, table);
    rig.board.portWrite(rig.busMaster, 1, 9);
    expect([rig.busMasterStatus, rig.alternate()]).toEqual([BM_ERROR, 0x58]);
  });

  it('aborts where the function may not be a master', () => {
    const rig = new IdeRig(['disk']);
    rig.configWrite(4, 2, 1);
    rig.command(0xc8);
    rig.startDma([[0x8000, 512]]);
    expect(rig.busMasterStatus).toBe(BM_ERROR);
  });

  it('reads past memory into nothing and writes from there all ones', () => {
    const rig = new IdeRig(['disk']);
    rig.command(0xc8, { lba: 8, count: 2 });
    rig.startDma([
      [0xf_ff00, 512],
      [0x8000, 512],
    ]);
    expect(rig.alternate()).toBe(0x50);
    expect(rig.ram.slice(0x8000, 0x8200)).toEqual(sector(rig, 9));
    rig.command(0xca, { lba: 8 });
    rig.startDma([[0xfee0_0000, 512]], false);
    expect(sector(rig, 8).every((b) => b === 0xff)).toBe(true);
  });

  it('follows a table of the smallest pieces', () => {
    const rig = new IdeRig(['disk']);
    rig.command(0xc8, { lba: 1, count: 16 });
    rig.startDma(
      Array.from({ length: 4096 }, (_, i) => [0x2_0000 + 4 * i, 2] as const),
      true,
      0x1_0000,
    );
    expect(rig.alternate()).toBe(0x50);
    const got = Uint8Array.from({ length: 8192 }, (_, i) => rig.ram[0x2_0000 + 4 * (i >> 1) + (i & 1)]!);
    expect(Buffer.from(got).equals(Buffer.from(sector(rig, 1, 16)))).toBe(true);
  });

  it('reports a failing disk', () => {
    const rig = new IdeRig(['disk'], { immediate: false });
    rig.command(0xca, { lba: 50 });
    rig.startDma([[0x8000, 512]], false);
    const disk = rig.media[0]!;
    disk.complete(disk.pending[0]!, false);
    expect([rig.in(7), rig.in(1), rig.interrupts[14]]).toEqual([0x71, 0x04, 1]);
  });
});
