/** Sectors through a data port where time is work: blocks of words at once are the same run as words one by one. */
import { beforeAll, expect, it } from 'vitest';
import { MemoryDisk } from '../devices/virtio/memory-disk.ts';
import { ensureNumerics } from '../numerics/build.ts';
import { InstructionClock } from './clocks.ts';
import { Machine } from './machine.ts';

const BIOS_BYTES = 128 << 10;
const SECTORS = 24;
const out = (port: number, value: number): number[] => [0xba, port & 0xff, port >> 8, 0xb0, value, 0xee];
/** PCI configuration of the IDE function, 0:1.1: MOV EAX,80000900h+register; MOV DX,0CF8h; OUT DX,EAX; and a byte of it. */
const configure = (register: number, value: number): number[] => [
  ...[0x66, 0xb8, register & 0xfc, 0x09, 0, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef],
  ...out(0xcfc + (register & 3), value),
];
/** Reads sectors to 0:1000h by REP INSW, while the PIT's counter 0 ends every 60 ticks, and leaves its count behind each at 0:800h. */
const PROGRAM = [
  ...[0x31, 0xc0, 0x8e, 0xc0, 0x8e, 0xd8, 0xfc, 0xbf, 0x00, 0x10, 0xbe, 0x00, 0x08], // ES = DS = 0, DI = 1000h, SI = 800h
  ...[...configure(4, 1), ...configure(0x41, 0x80)], // I/O space, and the primary channel's ports (PIIX3, IDETIM)
  ...[...out(0x43, 0x34), ...out(0x40, 60), ...out(0x40, 0)],
  ...[
    ...out(0x1f6, 0xe0),
    ...out(0x1f2, SECTORS),
    ...out(0x1f3, 0),
    ...out(0x1f4, 0),
    ...out(0x1f5, 0),
    ...out(0x1f7, 0x20),
  ],
  ...[0xbb, SECTORS, 0], // MOV BX
  // Until DRQ; REP INSW; the count; the next sector.
  ...[0xba, 0xf7, 0x01, 0xec, 0xa8, 0x08, 0x74, 0xfb, 0xba, 0xf0, 0x01, 0xb9, 0x00, 0x01, 0xf3, 0x6d],
  ...[...out(0x43, 0), 0xe4, 0x40, 0x88, 0x04, 0x46, 0xe4, 0x40, 0x46, 0x4b, 0x75, 0xff - 32],
  ...[0xe6, 0xf4, 0xf4],
];
class SingleWords extends InstructionClock {
  override touchesBefore(): number {
    return 0;
  }
}

function run(slice: number, clock: InstructionClock) {
  const bios = new Uint8Array(BIOS_BYTES);
  bios.set(PROGRAM, 0x1_f000);
  bios.set([0xea, 0x00, 0xf0, 0x00, 0xf0], 0x1_fff0);
  const data = Uint8Array.from({ length: SECTORS * 512 }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  const memory = { view: (address: number, length: number): Uint8Array => machine.board.ioView(address, length) };
  const disk = new MemoryDisk({ memory, sectors: SECTORS, data, readOnly: false, immediate: true, id: 'disk' });
  const machine: Machine = new Machine(
    { ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: 0, commandLine: '', firmware: { bios }, debugExit: true },
    { serial: [], disks: [], ide: [{ kind: 'disk', disk }] },
    clock,
  );
  let blocks = 0;
  const { ports } = machine.board,
    readBlock = ports.readBlock.bind(ports);
  ports.readBlock = (port, width, into) => {
    blocks++;
    return readBlock(port, width, into);
  };
  machine.powerOn();
  let end = machine.runSlice(slice);
  for (let n = 0; n < 1e6 && end.kind === 'running'; n++) end = machine.runSlice(slice);
  const ram = machine.memoryAreas()[0]!.bytes;
  expect(end).toMatchObject({ kind: 'stopped', why: 'exit' });
  expect(Buffer.compare(ram.slice(0x1000, 0x1000 + data.length), data)).toBe(0);
  const { work, instructions } = machine.processor;
  return { blocks, outcome: { work, instructions, time: clock.now(), counts: ram.slice(0x800, 0x800 + 2 * SECTORS) } };
}

beforeAll(() => ensureNumerics());

it.each([3, 20])('an instruction takes %i ns: the same time, whatever the slices', (perInstruction) => {
  const single = run(50_000, new SingleWords(perInstruction));
  expect(single.blocks).toBe(0);
  expect(new Set(single.outcome.counts).size).toBeGreaterThan(5);
  for (const slice of [1, 97, 50_000]) {
    const { blocks, outcome } = run(slice, new InstructionClock(perInstruction));

    expect(outcome).toEqual(single.outcome);
    if (slice > 1) expect(blocks).toBeGreaterThan(SECTORS);
  }
});
