/** GRUB's rescue images of Debian's package grub-rescue-pc: to the menu and to a command line, here and in QEMU alike. */
import { qemuMissing } from '@tomei/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { medium } from './media.ts';
import { keysOf, type Pc, type PcOptions } from './pc.ts';
import { QemuPc } from './qemu-pc.ts';
import { TomeiPc } from './tomei-pc.ts';

/** GRUB polls the keyboard, in real mode for each look: a processor of 5 MIPS does that as often as a person types. */
const PER_INSTRUCTION = 200;

let unavailable: string | undefined;
let cd = '',
  floppy = '';
beforeAll(async () => {
  try {
    cd = await medium('grub-rescue.iso');
    floppy = await medium('grub-rescue-floppy.img');
  } catch (error) {
    unavailable = String(error);
  }
});

/** From power-on to the answers of a few commands: the screens of menu and command line. */
async function session(pc: Pc): Promise<{ menu: string; commands: string }> {
  const menu = await pc.until(/executed automatically in \d+s\./);
  await pc.press('c');
  await pc.until(/grub>\s*$/);
  for (const command of ['echo 123 $grub_platform', 'ls', 'echo done']) {
    await pc.press(...keysOf(command), 'ret');
  }
  return { menu: menu.replace(/in \d+s/, 'in N s'), commands: await pc.until(/\ndone\s+grub>\s*$/) };
}

describe.for<[string, () => PcOptions]>([
  ['a CD', () => ({ cd })],
  ['a floppy', () => ({ floppy })],
  ['a disk', () => ({ disk: { path: cd, format: 'raw' } })],
])('from %s', ([, options]) => {
  test('GRUB shows its menu and obeys, as in QEMU', async ({ skip }) => {
    skip(unavailable !== undefined, unavailable);
    await using here = await TomeiPc.start({ ...options(), perInstruction: PER_INSTRUCTION });
    const screens = await session(here);

    expect(screens.menu).toMatch(/GNU GRUB +version 2\.06/);
    expect(screens.commands).toMatch(/\n123 pc\n/);
    skip(qemuMissing() !== undefined, qemuMissing());
    await using there = await QemuPc.start(options());
    expect(screens).toEqual(await session(there));
  });
});
