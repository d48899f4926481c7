/**
 * Debian's stock virtio-gpu driver: the console of text is drawn by it, viewers see it, the screen takes another size, and all goes on
 * from a snapshot.
 */
import { join } from 'node:path';
import { decodePng, type Frame } from '@tomei/paravirt-core';
import { expect, test } from 'vitest';
import { Console } from './tiny-guest.ts';
import { SLOW, TinyLab, boot, sh } from './tiny-lab.ts';

const lab = TinyLab.forTests();

const seen = async (guest: Console): Promise<Frame> => decodePng((await guest.guest.screenshot()).png);
/** Whether all dots of the lower half are of this colour: 0xRRGGBB. */
const isBelow = ({ width, height, rgba }: Frame, colour: number): boolean => {
  const dots = new DataView(rgba.buffer, rgba.byteOffset);
  for (let i = (width * height) / 2; i < width * height; i++) if (dots.getUint32(4 * i) >>> 8 !== colour) return false;
  return true;
};

test('the stock driver has the screen, and gives it back', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const vmx = await lab.guestOf('gpu', 'tomei.gpu.present = "TRUE"');
  await using guest = await boot(vmx, 1);
  expect((await seen(guest)).width).toBe(720);

  const isOld = /No such/.test(await sh(guest, 'ls /lib/modules'));
  skip(isOld, 'the tiny guest was built before it had modules on its disk: build it again with --force');

  expect(await sh(guest, 'modprobe virtio-gpu; cat /proc/fb')).toMatch(/virtio_gpudrmfb/);
  expect(await sh(guest, 'cat /sys/class/drm/card0-Virtual-1/modes')).toMatch(/^1024x768\r?$/m);
  await expect.poll(async () => (await seen(guest)).width, { timeout: 60_000 }).toBe(1024);
  const console = await seen(guest);
  expect(console.height).toBe(768);

  // A console that is cleared to another colour, which its cursor in the upper half leaves alone.
  await sh(guest, 'printf "\\033[45m\\033[2J\\033[H" > /dev/tty1');
  await expect.poll(async () => isBelow(await seen(guest), 0xaa00aa), { timeout: 60_000 }).toBe(true);

  // Another size, as the host wishes.
  guest.guest.input({ kind: 'screen-size', width: 800, height: 600 });
  const modes = 'cat /sys/class/drm/card0-Virtual-1/modes';
  await expect.poll(() => sh(guest, modes), { timeout: 60_000, interval: 500 }).toMatch(/^800x600\r?$/m);

  await expect.poll(async () => (await seen(guest)).width, { timeout: 60_000 }).toBe(800);

  await expect.poll(async () => isBelow(await seen(guest), 0xaa00aa), { timeout: 60_000 }).toBe(true);
  const snapshot = join(lab.folder, 'gpu.snapshot');
  await guest.guest.save(snapshot, { stop: true });
  await guest.guest.ended;
  await using again = new Console(vmx, { restore: snapshot });
  await again.guest.running;
  const after = await seen(again);
  expect(after.width).toBe(800);
  expect(isBelow(after, 0xaa00aa)).toBe(true);
  again.send('\n');
  await again.expect(/# /);
  await sh(again, 'echo 0 > /sys/class/vtconsole/vtcon1/bind; rmmod virtio-gpu');
  await expect.poll(async () => (await seen(again)).width, { timeout: 60_000 }).toBe(720);
  expect([...guest.warnings, ...again.warnings].filter((text) => /driver/.test(text))).toEqual([]);
});

test('a plain PC has none', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const vmx = await lab.guestOf('plain', 'tomei.gpu.present = "TRUE"', 'tomei.paravirt = "off"');
  await using guest = await boot(vmx, 2);

  expect(await sh(guest, 'cat /sys/bus/pci/devices/*/device')).not.toMatch(/0x1050/);
  expect(guest.warnings.join()).toMatch(/tomei\.gpu\.present does nothing/);
});
