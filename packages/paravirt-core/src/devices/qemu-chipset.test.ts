/**
 * Power management, HPET and network card: the same accesses on QEMU's and ours, by QEMU's qtest protocol. No time passes there.
 * Left out is where QEMU is simpler than the chips: it lets all of PMBASE be written, starts with the timer's status set, and does
 * not reset the network card's registers by CTRL.RST.
 * Debian package: qemu-system-x86.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ManualClock } from '@tomei/kit';
import { qemuMissing } from '@tomei/testkit';
import { describe, expect, it } from 'vitest';
import { backend, Board } from '../machine/board.ts';
import type { Width } from '../machine/device.ts';
import { piix4Pm } from './acpi-pm.ts';
import { e1000 } from './e1000/e1000.ts';
import { HPET_BASE, hpet } from './hpet.ts';
import { i440fxHost, piix3 } from './i440fx.ts';
import { nicBackend } from './nic-backend.ts';
import { rtcCmos } from './rtc-cmos.ts';

/** One access; of a read, the bits that are compared. */
interface Step {
  readonly what: 'in' | 'out' | 'read' | 'write';
  readonly width: Width;
  readonly at: number;
  readonly value: number;
}
const step =
  (what: Step['what'], width: Width) =>
  (at: number, value = 0xffff_ffff): Step => ({ what, width, at, value });
const [inb, inw, inl] = [step('in', 1), step('in', 2), step('in', 4)];
const [outb, outw, outl] = [step('out', 1), step('out', 2), step('out', 4)];
const [readl, writel] = [step('read', 4), step('write', 4)];

const SUFFIX: Readonly<Record<Width, string>> = { 1: 'b', 2: 'w', 4: 'l' };
const hex = (n: number): string => `0x${n.toString(16)}`;
const line = ({ what, width, at, value }: Step): string =>
  `${what}${SUFFIX[width]} ${hex(at)}${what === 'out' || what === 'write' ? ` ${hex(value)}` : ''}`;

const MAC = '52:54:00:12:34:56';

async function theirs(steps: readonly Step[]): Promise<number[]> {
  const qemu = spawn(
    'qemu-system-i386',
    [
      ...['-machine', 'pc', '-S', '-nodefaults', '-display', 'none', '-m', '128', '-rtc', 'clock=vm'],
      ...['-device', `e1000,addr=3,mac=${MAC},netdev=n`, '-netdev', 'hubport,id=n,hubid=0'],
      ...['-qtest', 'stdio', '-qtest-log', 'none'],
    ],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  const answers: number[] = [];
  let done = 0;
  const lines = createInterface({ input: qemu.stdout });
  qemu.stdin.write(`${steps.map(line).join('\n')}\n`);
  try {
    for await (const answer of lines) {
      if (!answer.startsWith('OK')) continue;
      if (steps[done]!.what === 'in' || steps[done]!.what === 'read') answers.push(Number(answer.split(' ')[1]));
      if (++done === steps.length) break;
    }
  } finally {
    lines.close();
    qemu.kill('SIGKILL');
  }
  return answers;
}

function ours(steps: readonly Step[]): number[] {
  const clock = new ManualClock();
  const board = new Board({ ram: new Uint8Array(1 << 20), clock, alarms: clock.alarms, firmware: true });
  board.add(i440fxHost, {}, { slot: 0 });
  board.add(piix3, {}, { slot: 1 });
  board.add(piix4Pm, { base: 0 }, { slot: 1, function: 3 });
  board.add(hpet, { base: HPET_BASE });
  board.add(rtcCmos, { epoch: 0, memoryBytes: 128 << 20 });
  const mac = Uint8Array.from(MAC.split(':').map((part) => parseInt(part, 16)));
  const wire = { linkUp: true, send: () => undefined, onReceive: () => undefined };
  board.add(e1000, { mac }, { slot: 3, backends: [backend(nicBackend, wire)] });
  board.reset();
  return steps.flatMap(({ what, width, at, value }) => {
    if (what === 'in') return [board.portRead(at, width)];
    if (what === 'read') return [board.memoryRead(at, width)];
    if (what === 'out') board.portWrite(at, width, value);
    else board.memoryWrite(at, width, value);
    return [];
  });
}

const config = (slot: number, fn: number, offset: number): Step =>
  outl(0xcf8, 0x8000_0000 + slot * 0x800 + fn * 0x100 + (offset & 0xfc));
const configRead = (slot: number, fn: number, offset: number, mask = 0xffff_ffff): Step[] => [
  config(slot, fn, offset),
  inl(0xcfc, mask),
];
const configWrite = (slot: number, fn: number, offset: number, value: number): Step[] => [
  config(slot, fn, offset),
  outl(0xcfc, value),
];

const PM = 0x600;
const powerManagement: Step[] = [
  ...configRead(1, 3, 0x00), ...configRead(1, 3, 0x08), ...configRead(1, 3, 0x2c), ...configRead(1, 3, 0x3c, 0xff00),
  ...configWrite(1, 3, 0x40, PM | 1), ...configWrite(1, 3, 0x80, 1), ...configRead(1, 3, 0x80, 0xff), ...configRead(1, 3, 0x40),
  inw(PM, 0xfffe), inw(PM + 2), inw(PM + 4), inl(PM + 8),
  outw(PM + 2, 0x0521), inw(PM + 2), outw(PM + 4, 0x0402), inw(PM + 4), outw(PM + 4, 0), inw(PM + 4),
  outb(0xb3, 0x5a), inb(0xb3), outb(0xb2, 0x77), inb(0xb2),
  outb(0xb2, 0xf1), inw(PM + 4), outb(0xb2, 0xf0), inw(PM + 4),
  outb(0xafe2, 0x12), inb(0xafe2), outb(0xafe3, 0x34), inb(0xafe3), inb(0xafe0), inb(0xafe1), outb(0xafe2, 0), outb(0xafe3, 0),
  // The SMBus, with nobody at the address.
  ...configWrite(1, 3, 0x90, 0x701), ...configWrite(1, 3, 0xd0, 0x0009_0000), inb(0x700), outb(0x704, 0x7f), inb(0x704),
  outb(0x703, 0x01), inb(0x703),
]; // prettier-ignore

const H = HPET_BASE;
const timerRegisters = (n: number): Step[] => [
  // The routes that are wired differ, and messages are offered by neither.
  readl(H + 0x100 + 0x20 * n, 0xffff_7fff), readl(H + 0x108 + 0x20 * n), readl(H + 0x10c + 0x20 * n),
]; // prettier-ignore
const highPrecision: Step[] = [
  readl(H), readl(H + 4), readl(H + 0x10), readl(H + 0x14), readl(H + 0x20), readl(H + 0xf0), readl(H + 0xf4),
  ...timerRegisters(0), ...timerRegisters(1), ...timerRegisters(2),
  writel(H + 0xf0, 0x1234_5678), writel(H + 0xf4, 0x9abc), readl(H + 0xf0), readl(H + 0xf4),
  writel(H + 0x100, 0x3f & ~4), ...timerRegisters(0), writel(H + 0x100, 0x48), writel(H + 0x108, 0x1000), ...timerRegisters(0),
  writel(H + 0x108, 0x2000), ...timerRegisters(0),
  writel(H + 0x120, 0x100), writel(H + 0x128, 0x77), ...timerRegisters(1),
  writel(H + 0x148, 0x8888), writel(H + 0x14c, 0x9999), ...timerRegisters(2),
  writel(H + 0x10, 2), readl(H + 0x10), writel(H + 0x10, 0), readl(H + 0x10),
]; // prettier-ignore

const NIC = 0xe000_0000;
const eecd = (bits: readonly number[]): Step[] =>
  bits.flatMap((bit) => [writel(NIC + 0x10, 2 | (bit << 2)), writel(NIC + 0x10, 3 | (bit << 2)), readl(NIC + 0x10, 8)]);
/** The word at `address`, bit by bit; what stands on the line before its first bit is not looked at. */
const microwire = (address: number): Step[] => {
  const command = [1, 1, 0, ...Array.from({ length: 6 }, (_, i) => (address >> (5 - i)) & 1)];
  const shifted = eecd(command).filter((s) => s.what === 'write');
  return [writel(NIC + 0x10, 2), ...shifted, ...eecd(Array<number>(16).fill(0)), writel(NIC + 0x10, 0)];
};
const mdic = (register: number, mask = 0xffff_ffff): Step[] => [
  writel(NIC + 0x20, (2 << 26) | (1 << 21) | (register << 16)),
  readl(NIC + 0x20, mask),
];
const network: Step[] = [
  ...configRead(3, 0, 0x00), ...configRead(3, 0, 0x08), ...configRead(3, 0, 0x2c), ...configRead(3, 0, 0x3c, 0xff00),
  ...configWrite(3, 0, 0x10, 0xffff_ffff), ...configRead(3, 0, 0x10), ...configWrite(3, 0, 0x14, 0xffff_ffff), ...configRead(3, 0, 0x14),
  ...configWrite(3, 0, 0x10, NIC), ...configWrite(3, 0, 0x14, 0xc001), ...configWrite(3, 0, 4, 7),
  readl(NIC + 0x5400), readl(NIC + 0x5404), readl(NIC + 0x08, 0xc3),
  ...[0, 1, 2, 0x0d, 0x0e].flatMap(microwire),
  ...[0, 2, 0x0e].flatMap((word) => [writel(NIC + 0x14, (word << 8) | 1), readl(NIC + 0x14)]),
  ...mdic(0), ...mdic(1, 0xffff_ff5b), ...mdic(2), ...mdic(3), ...mdic(4), ...mdic(9), ...mdic(10), ...mdic(17),
  // Causes: set, masked, read and cleared.
  writel(NIC + 0xc8, 0x85), readl(NIC + 0xc0, 0x7fff_ffff), readl(NIC + 0xc0), writel(NIC + 0xd0, 0x9d), readl(NIC + 0xd0),
  writel(NIC + 0xd8, 0x11), readl(NIC + 0xd0), writel(NIC + 0xc8, 0x40), writel(NIC + 0xc0, 0x40), readl(NIC + 0xc0),
  writel(NIC + 0x38, 0x8100), readl(NIC + 0x38), writel(NIC + 0x2808, 0xff80), readl(NIC + 0x2808), writel(NIC + 0x3800, 0x1230), readl(NIC + 0x3800),
  writel(NIC + 0x5200, 0xdead_beef), readl(NIC + 0x5200), writel(NIC + 0x5600, 0x1234_5678), readl(NIC + 0x5600),
  writel(NIC + 0x5408, 0xaabb_ccdd), readl(NIC + 0x5408),
]; // prettier-ignore

const missing = qemuMissing();
describe.skipIf(missing !== undefined)(
  `QEMU and we answer alike${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    it.each<[string, readonly Step[]]>([
      ['power management', powerManagement],
      ['high precision event timer', highPrecision],
      ['network card', network],
    ])('%s', async (_name, steps) => {
      const reads = steps.filter(({ what }) => what === 'in' || what === 'read');
      const told = (answers: number[]): string[] =>
        answers.map((answer, i) => {
          const { at, value } = reads[i]!;
          return `read ${i} at ${hex(at)}: ${hex((answer & value) >>> 0)}`;
        });

      expect(told(ours(steps))).toEqual(told(await theirs(steps)));
    });
  },
);
