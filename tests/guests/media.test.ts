/**
 * What Debian's packages have to boot a PC with, from CD, here and in QEMU alike: iPXE to its prompt, Memtest86+ over all of its
 * memory, the installer to its first dialog. What takes minutes runs where TOMEI_LONG is 1.
 */
import { qemuMissing } from '@tomei/testkit';
import { describe, expect, test, type TestContext } from 'vitest';
import { medium, type MediumName } from './media.ts';
import { keysOf, type Pc } from './pc.ts';
import { differing, keepPicture, settled } from './pictures.ts';
import { QemuPc } from './qemu-pc.ts';
import { TomeiPc } from './tomei-pc.ts';

const IS_LONG = process.env['TOMEI_LONG'] === '1';
const SHORT_MS = 5 * 60_000,
  LONG_MS = 40 * 60_000;
const long = describe.skipIf(!IS_LONG);
const named = (name: string): string => `${name}${IS_LONG ? '' : ' (skipped: it takes minutes; TOMEI_LONG=1 runs it)'}`;

/** The path of a disc; a skipped test where it cannot be had. */
async function discOf(name: MediumName, { skip }: TestContext): Promise<string> {
  let why: string | undefined;
  const cd = await medium(name).catch((error: unknown) => void (why = String(error)));
  return cd ?? skip(why);
}

describe('iPXE', () => {
  /** From power-on to answers at its command line: the screen from its boot loader's first line on. */
  async function session(pc: Pc): Promise<string> {
    await pc.until(/Press Ctrl-B for the iPXE command line/);
    await pc.press('ctrl-b');
    await pc.until(/iPXE> *$/m);
    await pc.press(...keysOf('echo ${platform} ${version}\n'));
    await pc.until(/^pcbios .*\n+iPXE> *$/m);
    await pc.press(...keysOf('cpuid --ext 29 && echo long mode || echo no long mode\n'));
    const screen = await pc.until(/^(no )?long mode\n+iPXE> *$/m);
    return screen.slice(screen.indexOf('ISOLINUX')).trimEnd();
  }

  test('comes to its prompt and obeys, as in QEMU', { timeout: SHORT_MS }, async (context) => {
    const cd = await discOf('ipxe.iso', context);
    await using here = await TomeiPc.start({ cd });
    const screen = await session(here);

    expect(screen).toMatch(/^ISOLINUX [^]*\niPXE initialising devices\.\.\.ok\n[^]*\npcbios 1\.0\.0/);
    context.skip(qemuMissing() !== undefined, qemuMissing());
    await using there = await QemuPc.start({ cd });
    expect(screen).toBe(await session(there));
  });
});

describe('Memtest86+', () => {
  const memoryMiB = 16;
  /** The more an instruction takes, the less is executed while the program waits for time to go by. */
  const perInstruction = 200;
  const status = (screen: string): { passes: number; errors: number } => {
    const found = /Pass: +(\d+) +Errors: +(\d+)/.exec(screen);
    if (found === null) throw new Error(`no passes and errors on the screen:\n${screen}`);
    return { passes: Number(found[1]), errors: Number(found[2]) };
  };
  /** Through the first two tests: those of single bits of addresses, and of each address's own value. */
  async function begin(pc: Pc): Promise<string> {
    await pc.until(/<Enter> to start testing/);
    await pc.press('ret');
    // The firmware's own memory at the end is missing.
    return pc.until(/Test #[2-9][^]*MB of 15\.\dMB\]/, 300);
  }
  test('sees the memory that there is and tests it', { timeout: SHORT_MS }, async (context) => {
    const cd = await discOf('memtest86+.iso', context);
    await using here = await TomeiPc.start({ cd, memoryMiB, perInstruction });
    const screen = await begin(here);

    expect(status(screen)).toEqual({ passes: 0, errors: 0 });
    expect(screen).toMatch(/^Memory *: *16MB .*$/m);
  });

  long(named('for long'), () => {
    test('ends a whole pass without an error', { timeout: LONG_MS }, async (context) => {
      const cd = await discOf('memtest86+.iso', context);
      await using here = await TomeiPc.start({ cd, memoryMiB, perInstruction });
      const screen = await here.until(/Pass: +[1-9]|Errors: +[1-9]/, 6 * 3600);

      expect(status(screen)).toEqual({ passes: 1, errors: 0 });
    });
  });
});

long(named("Debian's installer"), () => {
  // With less it begins with a warning.
  const memoryMiB = 768;
  /** Seconds of the guest's time from one screen to the next. */
  const LIMIT_S = 900;

  test('comes to its first dialogs as text, as in QEMU', { timeout: LONG_MS }, async (context) => {
    const cd = await discOf('installer-text.iso', context);
    const session = async (pc: Pc): Promise<string[]> => {
      const language = await pc.until(/Select a language[^]*<Go Back>[^]*activates buttons/, LIMIT_S);
      await pc.press('ret');
      return [language, await pc.until(/Select your location[^]*<Go Back>[^]*activates buttons/, LIMIT_S)];
    };
    await using here = await TomeiPc.start({ cd, memoryMiB });
    const screens = await session(here);

    expect(screens[0]).toMatch(/│ +English +- +English +▒ +│/);
    context.skip(qemuMissing() !== undefined, qemuMissing());
    await using there = await QemuPc.start({ cd, memoryMiB });
    expect(screens).toEqual(await session(there));
  });

  test('comes to its first dialog as a picture, that of QEMU', { timeout: LONG_MS }, async (context) => {
    const cd = await discOf('installer-graphical.iso', context);
    await using here = await TomeiPc.start({ cd, memoryMiB });
    const picture = await settled(here, LIMIT_S);
    await keepPicture('installer-graphical.png', picture);

    expect([picture.width, picture.height]).toEqual([1024, 768]);
    context.skip(qemuMissing() !== undefined, qemuMissing());
    await using there = await QemuPc.start({ cd, memoryMiB });
    await expect.poll(async () => differing(picture, await there.picture()), { timeout: LONG_MS / 2, interval: 5000 }).toBe(0);
  });
});
