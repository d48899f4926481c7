/**
 * Debian's stock kernel with `tomei.paravirt` either way: what it says of its hypervisor, its clock, which goes on where it was saved, and
 * its pointer, which is where a person's is.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Console, buildTiny, copyTiny } from './tiny-guest.ts';

/** A boot on a machine that has much else to do. */
const SLOW = 600_000;
const PROMPT = /tiny:~# /;
const BEGIN = 'BEGIN-42\n';
/** Bit 8 of this leaf: a counter that never stops, which Linux likes better than any paravirtual clock. */
const COUNTER_MAY_STOP = 'cpuid.80000007.edx = "----:----:----:----:----:---0:----:----"';
const CLOCK = '/sys/devices/system/clocksource/clocksource0';

let folder = '';
let unavailable: string | undefined;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-paravirt-'));
  try {
    await buildTiny();
  } catch (error) {
    unavailable = String(error);
  }
}, SLOW);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Logs in; answers what the kernel said until then. */
async function logIn(console: Console): Promise<string> {
  const boot = await console.expect(/login: $/);
  console.send('root\n');
  await console.expect(PROMPT);
  return boot;
}
/** What a command writes, without the line that it was typed on: that is cut where the terminal ends. */
async function run(console: Console, command: string): Promise<string> {
  console.send(`echo BEGIN-$((6*7)); ${command}; echo END-$((6*7))\n`);
  const text = (await console.expect(/END-42\r\n/)).replaceAll('\r', '');
  await console.expect(PROMPT);
  return text.slice(text.indexOf(BEGIN) + BEGIN.length, text.lastIndexOf('END-42'));
}
/** The input device that has places, as the kernel's driver of VMware's pointer makes it. */
const FIND_POINTER =
  'for e in /sys/class/input/event*; do grep -q VMMouse $e/device/name && ! grep -q "^0$" $e/device/capabilities/abs && D=/dev/input/${e##*/}; done';
/** Events (linux/input.h): two words of time, type, code, value. */
const SHOW_EVENTS = `hexdump -v -e '1/4 "%u " 1/4 "%u " 1/2 "%u " 1/2 "%u " 1/4 "%u" "\\n"' /tmp/events`;
/** The local APIC's timer is set by deadlines of the time stamp counter, and nobody has measured it. */
async function usesDeadlines(console: Console, boot: string): Promise<void> {
  expect(boot).toContain('TSC deadline timer available');
  expect(boot).not.toMatch(/APIC (timer )?calibration/i);
  expect(await run(console, 'grep "^Clock Event Device: lapic" /proc/timer_list')).toBe(
    'Clock Event Device: lapic-deadline\n',
  );
}
const secondsOf = (uptime: string): number => Number(/^[0-9.]+/m.exec(uptime)![0]);

test('finds KVM by default, and its clock goes on in another process', { timeout: SLOW }, async ({ skip }) => {
  skip(unavailable !== undefined, unavailable);
  const { vmx } = await copyTiny(folder, 'kvm', { settings: [COUNTER_MAY_STOP] });
  const snapshot = join(folder, 'kvm.snapshot');
  let before: number;
  {
    await using console = new Console(vmx);
    const boot = await logIn(console);
    expect(boot).toContain('Hypervisor detected: KVM');
    await usesDeadlines(console, boot);
    expect(boot).toContain('Booting paravirtualized kernel on KVM');
    expect(boot).toContain('kvm-clock: Using msrs 4b564d01 and 4b564d00');
    expect(boot).toContain('Switched to clocksource kvm-clock');
    expect(await run(console, `cat ${CLOCK}/current_clocksource`)).toBe('kvm-clock\n');
    before = secondsOf(await run(console, 'cat /proc/uptime'));
    expect((await console.guest.stats()).exits.hypervisor).toBeGreaterThan(0);
    await console.guest.save(snapshot, { stop: true });
    await console.guest.ended;
  }

  await using console = new Console(vmx, { restore: snapshot });
  console.send('\n');
  await console.expect(PROMPT);
  const after = secondsOf(await run(console, 'cat /proc/uptime'));
  const slept = secondsOf(await run(console, 'sleep 1; cat /proc/uptime'));
  const calendar = await run(console, 'hwclock -u -r; date');
  const said = await run(console, 'dmesg');

  // All of it is the guest's own time.
  expect(after).toBeGreaterThanOrEqual(before);
  expect(slept).toBeGreaterThanOrEqual(after + 1);
  expect(await run(console, `cat ${CLOCK}/current_clocksource`)).toBe('kvm-clock\n');
  expect(said).not.toMatch(/lockup|stall|clocksource: timekeeping watchdog|unstable|backwards/);
  const [rtc, date] = calendar.split('\n').map((line) => Date.parse(line.replace(/ {2}0\.0+ seconds|\.[0-9]+/, '')));
  expect(Math.abs(date! - rtc!)).toBeLessThanOrEqual(3_000);
});

test('has its pointer where a person has theirs', { timeout: SLOW }, async ({ skip }) => {
  skip(unavailable !== undefined, unavailable);
  const { vmx } = await copyTiny(folder, 'pointer');
  await using console = new Console(vmx);
  const boot = await logIn(console);
  expect(boot).toMatch(/input: .*VMware VMMouse as/);
  // What comes before somebody has opened the device is for nobody.
  await run(console, `${FIND_POINTER}; cat $D > /tmp/events & true`);
  await run(console, 'until ls -l /proc/$!/fd | grep -q $D; do sleep 0.1; done');

  const still = { kind: 'mouse', dx: 0, dy: 0, dz: 0 } as const;
  console.guest.input({ ...still, buttons: 0, at: { x: 100, y: 200 } });
  console.guest.input({ ...still, buttons: 1, at: { x: 30_000, y: 40_000 } });
  console.guest.input({ ...still, buttons: 0, at: { x: 65_535, y: 65_535 } });

  await run(console, 'while [ $(wc -c < /tmp/events) -lt 176 ]; do sleep 0.1; done');
  const [X, Y, LEFT, DONE] = ['3 0', '3 1', '1 272', '0 0 0'];
  const events = (await run(console, SHOW_EVENTS)).trim().split('\n');
  expect(events.map((event) => event.split(' ').slice(2).join(' '))).toEqual([
    ...[`${X} 100`, `${Y} 200`, DONE],
    ...[`${X} 30000`, `${Y} 40000`, `${LEFT} 1`, DONE],
    ...[`${X} 65535`, `${Y} 65535`, `${LEFT} 0`, DONE],
  ]);
});

test('finds a plain PC with "off"', { timeout: SLOW }, async ({ skip }) => {
  skip(unavailable !== undefined, unavailable);
  const { vmx } = await copyTiny(folder, 'off', { settings: ['tomei.paravirt = "off"'] });
  await using console = new Console(vmx);

  const boot = await logIn(console);

  await usesDeadlines(console, boot);
  expect(boot).not.toMatch(/hypervisor|kvm|paravirtualized kernel on KVM|VMMouse/i);
  expect(await run(console, `cat ${CLOCK}/available_clocksource`)).not.toContain('kvm');
  expect(await run(console, 'ls /sys/block; ls /sys/bus/virtio/devices')).toBe('sda\n');
  expect((await console.guest.stats()).exits.hypervisor).toBe(0);
});
