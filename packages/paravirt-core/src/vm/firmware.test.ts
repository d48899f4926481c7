/** A machine that starts in its BIOS: reset vector, shadow memory, resets. The BIOS of these tests is a page of code of our own. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureNumerics } from '../numerics/build.ts';
import { InstructionClock } from './clocks.ts';
import { Machine } from './machine.ts';

const BIOS_BYTES = 128 << 10;
const CODE = 0xf000;
/** MOV AL,value; OUT 0F4h,AL; HLT */
const exit = (value: number): number[] => [0xb0, value, 0xe6, 0xf4, 0xf4];
/** MOV EAX,80000000h+register; MOV DX,0CF8h; OUT DX,EAX; MOV DX,port; MOV AL,value; OUT DX,AL */
const configure = (register: number, value: number): number[] => [
  ...[0x66, 0xb8, register & 0xfc, 0, 0, 0x80],
  ...[0xba, 0xf8, 0x0c, 0x66, 0xef],
  ...[0xba, 0xfc + (register & 3), 0x0c, 0xb0, value, 0xee],
];
const word = (n: number): number[] => [n & 0xff, n >>> 8];
/** MOV AX,segment; MOV DS,AX */
const dataSegment = (segment: number): number[] => [0xb8, ...word(segment), 0x8e, 0xd8];
/** MOV BYTE [offset],value */
const store = (offset: number, value: number): number[] => [0xc6, 0x06, ...word(offset), value];
/** MOV AL,[offset]; MOV DX,3F8h; OUT DX,AL */
const report = (offset: number): number[] => [0xa0, ...word(offset), 0xba, 0xf8, 0x03, 0xee];

/** A BIOS whose reset vector jumps to F000:F000, where `code` lies; the byte at F000:0 is 'R', at E000:0 'E'. */
function bios(...code: number[]): Uint8Array {
  const image = new Uint8Array(BIOS_BYTES);
  image[0] = 0x45;
  image[0x1_0000] = 0x52;
  image.set(code, 0x1_0000 + CODE);
  image.set([0xea, ...word(CODE), 0x00, 0xf0], 0x1_fff0);
  return image;
}
function run(image: Uint8Array) {
  const written: number[] = [];
  const machine = new Machine(
    {
      ramBytes: 8 << 20,
      videoMemoryBytes: 1 << 20,
      epoch: 0,
      commandLine: '',
      firmware: { bios: image },
      debugExit: true,
    },
    { serial: [{ write: (byte) => void written.push(byte) }], disks: [] },
    new InstructionClock(),
  );
  machine.powerOn();
  let end = machine.runSlice();
  for (let n = 0; n < 1000 && end.kind !== 'stopped'; n++) end = machine.runSlice();
  return { machine, end, text: String.fromCharCode(...written) };
}

beforeAll(() => ensureNumerics());

describe('a machine with firmware', () => {
  it('starts at the reset vector, and sees the last 128 KiB of its BIOS below 1 MiB', () => {
    const { end, text } = run(
      bios(
        ...dataSegment(0xf000),
        ...report(0),
        ...dataSegment(0xe000),
        ...report(0),
        ...dataSegment(0xc000),
        ...report(0),
        ...exit(1),
      ),
    );

    expect(end).toEqual({ kind: 'stopped', why: 'exit', status: 3 });
    expect(text).toBe('RE\xff');
  });

  it('drops writes to the BIOS, until the shadow registers send them to RAM, which reads see once they say so', () => {
    const { text } = run(
      bios(
        ...dataSegment(0xe000),
        ...store(0, 0x31),
        ...report(0),
        // E0000: writes go to RAM, reads still come from the ROM.
        ...configure(0x5e, 0x22),
        ...store(0, 0x32),
        ...report(0),
        // Reads and writes: RAM.
        ...configure(0x5e, 0x33),
        ...report(0),
        ...store(0, 0x33),
        ...report(0),
        // Reads alone.
        ...configure(0x5e, 0x11),
        ...store(0, 0x34),
        ...report(0),
        // The ROM again.
        ...configure(0x5e, 0),
        ...report(0),
        ...exit(0),
      ),
    );

    expect(text).toBe('EE233E');
  });

  it('goes on in RAM when the BIOS switches the segment that it runs in', () => {
    // Reads from the ROM and writes to RAM, which gets another ending; then RAM is seen.
    const before = [...dataSegment(0xf000), ...configure(0x59, 0x20)],
      after = configure(0x59, 0x10);
    const ending = CODE + before.length + exit(7).length * store(0, 0).length + after.length;
    const copy = exit(7).flatMap((byte, i) => store(ending + i, byte));
    const { end } = run(bios(...before, ...copy, ...after, ...exit(1)));

    expect(end).toMatchObject({ why: 'exit', status: 15 });
  });

  it('resets itself: memory stays, the shadow registers do not', () => {
    // The first time: writes 'A' to 0:8000, sets the shadow of E0000 and resets by port 0CF9h. The second time it finds 'A'.
    const firstTime = [...store(0x8000, 0x41), ...configure(0x5e, 0x33), 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4];
    const { text, end } = run(
      bios(
        ...dataSegment(0),
        ...[0x80, 0x3e, ...word(0x8000), 0x41, 0x74, firstTime.length],
        ...firstTime,
        ...report(0x8000),
        ...dataSegment(0xe000),
        ...report(0),
        ...exit(0),
      ),
    );

    expect([text, end.kind]).toEqual(['AE', 'stopped']);
  });

  it('starts anew after a triple fault, as boards do', () => {
    // An IDT of no entries, and INT3.
    const fault = [...store(0x8000, 0x41), 0x0f, 0x01, 0x1e, ...word(0x9000), 0xcc];
    const { text } = run(
      bios(
        ...dataSegment(0),
        ...[0x80, 0x3e, ...word(0x8000), 0x41, 0x74, fault.length],
        ...fault,
        ...report(0x8000),
        ...exit(0),
      ),
    );

    expect(text).toBe('A');
  });

  it('refuses an image that is no BIOS', () => {
    expect(() => run(new Uint8Array(1000))).toThrow(/1000 bytes/);
  });
});
