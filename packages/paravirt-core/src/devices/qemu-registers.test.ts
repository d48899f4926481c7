/**
 * The same port accesses on QEMU's chips and ours, by QEMU's qtest protocol. No processor runs and no time
 * passes there (Debian builds QEMU without the accelerator that moves time), so what takes time is left to our own tests.
 * Debian package: qemu-system-x86.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ManualClock } from '@tomei/kit';
import { qemuMissing } from '@tomei/testkit';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { i440fxHost, piix3 } from './i440fx.ts';
import { ioapic } from './ioapic.ts';
import { lapic } from './lapic.ts';
import { pic8259 } from './pic8259.ts';
import { pit8254 } from './pit8254.ts';
import { ps2 } from './ps2.ts';
import { rtcCmos } from './rtc-cmos.ts';
import { uart16550 } from './uart16550.ts';

/** One access. */
type Step = readonly ['out', number, number] | readonly ['in', number];

const out = (port: number, ...values: number[]): Step[] => values.map((value) => ['out', port, value]);
const read = (port: number, times = 1): Step[] => Array.from({ length: times }, () => ['in', port]);

/** What QEMU's chips answer to the reads, in order. */
async function theirs(steps: readonly Step[]): Promise<number[]> {
  const qemu = spawn(
    'qemu-system-i386',
    [
      ...['-machine', 'pc', '-S', '-nodefaults', '-display', 'none', '-serial', 'null', '-m', '128'],
      ...['-rtc', 'base=2026-03-04T05:06:07,clock=vm', '-qtest', 'stdio', '-qtest-log', 'none'],
    ],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  const answers: number[] = [];
  let done = 0;
  const lines = createInterface({ input: qemu.stdout });
  qemu.stdin.write(
    steps
      .map((s) =>
        s[0] === 'out' ? `outb 0x${s[1].toString(16)} 0x${s[2].toString(16)}` : `inb 0x${s[1].toString(16)}`,
      )
      .join('\n') + '\n',
  );
  try {
    for await (const line of lines) {
      if (!line.startsWith('OK')) continue;
      if (steps[done]![0] === 'in') answers.push(Number(line.split(' ')[1]));
      if (++done === steps.length) break;
    }
  } finally {
    lines.close();
    qemu.kill('SIGKILL');
  }
  return answers;
}

/** What ours answer. */
function ours(steps: readonly Step[]): number[] {
  const clock = new ManualClock();
  const board = new Board({ ram: new Uint8Array(16), clock, alarms: clock.alarms });
  board.add(i440fxHost, {}, { slot: 0 });
  board.add(piix3, {}, { slot: 1 });
  board.add(lapic, { id: 0 });
  board.add(ioapic, { base: 0xfec0_0000 });
  board.add(pic8259, {});
  board.add(pit8254, {});
  board.add(rtcCmos, {
    epoch: Date.UTC(2026, 2, 4, 5, 6, 7) / 1000,
    memoryBytes: 128 << 20,
    setup: { boot: ['disk', 'floppy', 'cdrom'] },
  });
  board.add(ps2, {});
  board.add(uart16550, { base: 0x3f8, irq: 4 });
  board.reset();
  return steps.flatMap((s) => {
    if (s[0] === 'in') return [board.portRead(s[1], 1)];
    if (s[0] === 'out') board.portWrite(s[1], 1, s[2]);
    return [];
  });
}

const random = seededRandom(1234);
const pick = <T>(...items: readonly T[]): T => items[random.next(items.length)]!;

const startPics = [
  // The timer's line would be up on one board and not on the other: mode 0 takes it down.
  ...out(0x43, 0x30), ...out(0x20, 0x11), ...out(0x21, 0x20, 4, 1), ...out(0xa0, 0x11), ...out(0xa1, 0x28, 2, 1),
]; // prettier-ignore

/** Lines 4 (a serial port's), 8 (the clock's) and 0 (the timer's) come and go while the controllers are driven at random. */
function picWalk(length: number): Step[] {
  const steps: Step[] = [...startPics, ...out(0x3fc, 0x08)];
  for (let i = 0; i < length; i++) {
    const chip = pick(0x20, 0xa0);
    steps.push(
      ...pick(
        () => out(0x3f9, pick(0, 2)),
        () => read(0x3fa),
        () => out(chip, pick(0x0a, 0x0b)),
        () => [...out(chip, 0x0c), ...read(chip)],
        () => out(chip, pick(0x20, 0x60, 0x61, 0x64, 0xa0, 0xe4, 0xc0, 0xc3)),
        () => out(chip + 1, random.next(256)),
        () => out(chip + 1, 0),
        () => read(chip),
        () => read(chip + 1),
      )(),
      ...read(0x20),
      ...read(0xa0),
    );
  }
  return steps;
}

const index = (register: number, ...values: number[]): Step[] => [...out(0x70, register), ...out(0x71, ...values)];
const rtcRead = (...registers: number[]): Step[] => registers.flatMap((r) => [...out(0x70, r), ...read(0x71)]);
const TIME = [0, 2, 4, 6, 7, 8, 9, 0x32];

const drain = (count: number): Step[] => Array.from({ length: count }, () => [...read(0x64), ...read(0x60)]).flat();
const mouse = (...bytes: number[]): Step[] =>
  bytes.flatMap((byte) => [...out(0x64, 0xd4), ...out(0x60, byte), ...drain(1)]);

/**
 * Bits in which QEMU is known to be simpler than the chips: it never clears the 8042's "last write was a command", and shows
 * no changes of modem lines in loopback. Its 8259 also ends masked lines in special mask mode, so the walk leaves that mode out.
 */
const compared = (port: number): number => (port === 0x64 ? 0xf7 : port === 0x3fe ? 0xf0 : 0xff);

const missing = qemuMissing();
describe.skipIf(missing !== undefined)(
  `QEMU and we answer alike${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it.each<[string, Step[]]>([
      ['8259 pair, walked at random', picWalk(1_500)],
      [
        'RTC time, data modes and memory',
        [
        ...rtcRead(...TIME, 13),
        ...rtcRead(...TIME),
        ...index(11, 0x06), ...rtcRead(...TIME),
        ...index(11, 0x00), ...rtcRead(...TIME),
        ...index(11, 0x82), ...index(4, 0x23), ...index(2, 0x59), ...index(0, 0x58), ...index(11, 0x02),
        ...rtcRead(...TIME),
        ...rtcRead(0x10, 0x12, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x30, 0x31, 0x34, 0x35, 0x38, 0x39, 0x3d, 0x5b, 0x5c, 0x5d, 0x5f),
      ], // prettier-ignore
      ],
      [
        '16550A identification, loopback and priorities',
        [
        ...out(0x3fa, 0x01), ...read(0x3fa), ...out(0x3fa, 0), ...read(0x3fa),
        ...out(0x3fb, 0x83), ...out(0x3f8, 1), ...out(0x3f9, 0), ...read(0x3f8), ...read(0x3f9), ...out(0x3fb, 0x03),
        ...out(0x3ff, 0x5a), ...read(0x3ff), ...out(0x3fc, 0x1f), ...read(0x3fe), ...read(0x3fe),
        ...out(0x3fc, 0x1a), ...read(0x3fe), ...out(0x3fc, 0x08), ...out(0x3f9, 0x02), ...read(0x3fa, 2), ...read(0x3fd),
        ...out(0x3f9, 0), ...out(0x3fa, 0xc7), ...out(0x3fc, 0x10), ...out(0x3f9, 1), ...out(0x3f8, 0x41),
        ...read(0x3fd), ...read(0x3fa), ...read(0x3f8), ...read(0x3fd),
      ], // prettier-ignore
      ],
      [
        'keyboard controller, keyboard and mouse',
        [
        ...out(0x64, 0xaa), ...drain(1), ...out(0x64, 0x60), ...out(0x60, 0x47), ...out(0x64, 0x20), ...drain(1),
        ...out(0x64, 0xab), ...drain(1), ...out(0x64, 0xa9), ...drain(1),
        ...out(0x64, 0xd3), ...out(0x60, 0x5a), ...drain(1), ...out(0x64, 0xd2), ...out(0x60, 0x5b), ...drain(1),
        ...out(0x60, 0xff), ...drain(2), ...out(0x60, 0xf2), ...drain(3), ...out(0x60, 0xed), ...drain(1), ...out(0x60, 2), ...drain(1),
        ...out(0x60, 0xf0), ...drain(1), ...out(0x60, 0), ...drain(2), ...out(0x60, 0xf4), ...drain(1), ...out(0x60, 0xee), ...drain(1),
        ...mouse(0xff), ...drain(2), ...mouse(0xf2), ...drain(1), ...mouse(0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2), ...drain(1),
        ...mouse(0xe8, 3, 0xe7, 0xf4, 0xe9), ...drain(3), ...mouse(0xeb), ...drain(4),
      ], // prettier-ignore
      ],
    ])('%s', async (_name, steps) => {
      const reads = steps.flatMap((s, i) => (s[0] === 'in' ? [{ at: i, port: s[1] }] : []));
      const told = (answers: number[]): string[] =>
        answers.map((answer, i) => {
          const { at, port } = reads[i]!;
          return `step ${at} reads ${(answer & compared(port)).toString(16)} from ${port.toString(16)}`;
        });

      expect(told(ours(steps))).toEqual(told(await theirs(steps)));
    });
  },
);
