/** A lab as a person sees it: real pages in a real browser, before a guest that boots. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startLab, type Lab } from '@tomei/lab';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildTiny, copyTiny } from '../guests/tiny-guest.ts';
import { chromiumMissing, launchChromium } from '../web/chromium.ts';
import { Api, eventually } from './api.ts';

const ARTEFACTS = fileURLToPath(new URL('../../artefacts/cluster/', import.meta.url));
const SLOW = 600_000;
const missing = chromiumMissing();

describe.skipIf(missing !== undefined)(
  `a lab in the browser${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let folder: string;
    let lab: Lab;
    let api: Api;
    let browser: Browser;
    let page: Page;
    const complaints: string[] = [];

    const open = async (path: string, colorScheme: 'light' | 'dark' = 'light'): Promise<Page> => {
      const context = await browser.newContext({ colorScheme, viewport: { width: 1280, height: 800 } });
      const opened = await context.newPage();
      opened.on('pageerror', (error) => complaints.push(String(error)));
      await opened.goto(lab.url + path);
      return opened;
    };
    const onScreen = (text: RegExp): Promise<string> =>
      eventually(`the screen shows ${String(text)}`, async () => {
        const shown = await api.screenText('tiny');
        return text.test(shown) ? shown : undefined;
      });
    /** The picture on a page's canvas, as a data URL. */
    const canvas = (from: Page): Promise<string> =>
      from.evaluate<string>("document.querySelector('[data-testid=screen] canvas').toDataURL()");

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'tomei-browser-'));
      await mkdir(ARTEFACTS, { recursive: true });
      await buildTiny();
      await copyTiny(folder, 'tiny', { inPool: true });
      lab = await startLab({ pool: folder, port: 0 });
      api = new Api(lab.url);
      browser = await launchChromium();
    }, SLOW);
    afterAll(async () => {
      await browser?.close();
      await lab?.close();
      await rm(folder, { recursive: true, force: true });
    }, SLOW);

    test(
      'the library powers a guest on, its console shows the screen, and typed keys arrive',
      async () => {
        page = await open('/');
        await page.getByRole('button', { name: 'Power on tiny' }).click();
        await page.locator('[data-testid=guest-state][data-phase=running]').waitFor({ timeout: SLOW });
        await page.getByRole('link', { name: 'Console of tiny' }).click();
        await page.getByTestId('screen').locator('canvas').waitFor();
        await onScreen(/login: ?\s*$/);

        await page.getByTestId('screen').locator('canvas').click();
        await page.keyboard.type('root\n');
        await onScreen(/tiny:~# ?\s*$/);
        // A browser test types without Shift; a person's Shift is a key of its own.
        await page.keyboard.type('factor 42; echo ');
        await page.keyboard.press('Shift+KeyT');
        await page.keyboard.press('Shift+Digit7');
        await page.keyboard.press('Backspace');
        await page.keyboard.type('yped\n');

        await onScreen(/42: 2 3 7\s+Typed\s/);
        await page.screenshot({ path: join(ARTEFACTS, 'console.png') });
      },
      SLOW,
    );

    test(
      'a second browser watches, sees the same, and can change nothing',
      async () => {
        await page.keyboard.type('clear; seq -s b 1 4\n');
        await onScreen(/1b2b3b4/);
        const second = await open('/guests/tiny', 'dark');
        await second.getByTestId('screen').locator('canvas').waitFor();
        const viewOnly = second.getByRole('button', { name: 'View only' });
        await viewOnly.click();
        expect(await viewOnly.getAttribute('aria-pressed')).toBe('true');

        await second.getByTestId('screen').locator('canvas').click();
        await second.keyboard.type('echo intruder\n');
        await page.getByTestId('screen').locator('canvas').click();
        await page.keyboard.type('seq -s a 1 4\n');

        const text = await onScreen(/1a2a3a4/);
        expect(text).not.toContain('intruder');
        await eventually('both browsers show the same picture', async () =>
          (await canvas(page)) === (await canvas(second)) ? true : undefined,
        );
        await second.screenshot({ path: join(ARTEFACTS, 'console-dark.png') });
        await second.context().close();
      },
      SLOW,
    );

    test(
      'the serial console is a terminal, and the library sees the guest power itself off',
      async () => {
        await page
          .getByRole('tab', { name: /serial|COM1/i })
          .first()
          .click();
        const terminal = page.getByTestId('serial-0');
        await terminal.waitFor();
        await terminal.click();
        const shows = (text: string): Promise<true> =>
          eventually(`the terminal shows ${text}`, async () =>
            (await terminal.textContent())?.includes(text) === true ? true : undefined,
          );
        await shows('tiny login:');
        await page.keyboard.type('root\n');
        await shows('tiny:~#');
        await page.keyboard.type('echo serial-$((40+2))\n');
        await shows('serial-42');
        await page.screenshot({ path: join(ARTEFACTS, 'serial.png') });
        const library = await open('/');
        await library.getByTestId('thumbnail').waitFor();
        await library.screenshot({ path: join(ARTEFACTS, 'library.png') });

        await page.keyboard.type('poweroff\n');

        await library.locator('[data-testid=guest-state][data-phase=off]').waitFor({ timeout: SLOW });
        await page.getByTestId('off-panel').waitFor();
        await page.screenshot({ path: join(ARTEFACTS, 'off.png') });
        expect(complaints).toEqual([]);
      },
      SLOW,
    );
  },
);
