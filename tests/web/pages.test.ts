/** The pages in a real browser, before a made-up cluster: what one sees, reaches by the keyboard, and hears by a screen reader. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { chromiumMissing, launchChromium } from './chromium.ts';
import { StandInProcess, buildPages, type SeenConsole } from './stand-in.ts';

const ARTEFACTS = fileURLToPath(new URL('../../artefacts/web/', import.meta.url));
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WIDE = { width: 1360, height: 860 };
const NARROW = { width: 390, height: 800 };

const missing = chromiumMissing();
describe.skipIf(missing !== undefined)(`the pages${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let pages: Awaited<ReturnType<typeof buildPages>>;
  let browser: Browser;
  let standIn: StandInProcess;
  let page: Page;
  /** What the browser complained about, refusals by the content security policy among it. */
  let complaints: string[];

  const open = async (
    path: string,
    options: { scheme?: 'light' | 'dark'; size?: { width: number; height: number } } = {},
  ): Promise<void> => {
    const context = await browser.newContext({
      colorScheme: options.scheme ?? 'light',
      viewport: options.size ?? WIDE,
      reducedMotion: 'reduce',
      acceptDownloads: true,
    });
    context.setDefaultTimeout(15_000);
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(standIn.url + path);
  };
  const card = (name: string): Locator => page.getByTestId(`guest-${name}`);
  const button = (name: string | RegExp): Locator => page.getByRole('button', { name, exact: true });
  const state = (name: string): Locator => card(name).getByTestId('guest-state');
  const seen = (guest: string): Promise<SeenConsole> => standIn.control('console', { guest });
  const shoot = (name: string): Promise<Buffer> => page.screenshot({ path: `${ARTEFACTS}${name}.png` });
  const focused = (): Promise<string> =>
    page.evaluate<string>(
      "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()",
    );
  /** Rules of WCAG 2.2 A and AA that the page breaks, as axe-core finds them. */
  const axe = async (): Promise<string[]> => {
    await page.evaluate(AXE);
    return page.evaluate<string[]>(`axe
      .run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
      .then(({ violations }) => violations.flatMap(({ id, nodes }) =>
        nodes.map((node) => id + ': ' + node.html.slice(0, 160) + ' ' + node.failureSummary)))`);
  };

  beforeAll(async () => {
    pages = await buildPages();
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser.close();
    await pages.remove();
  });
  beforeEach(async () => {
    complaints = [];
    standIn = await StandInProcess.start(pages.folder, 'full');
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    await standIn.close();
  });

  describe('library', () => {
    test.each(['light', 'dark'] as const)(
      'shows guests, runners and events; nothing of WCAG is broken in %s',
      async (scheme) => {
        await open('/', { scheme });
        await card('tiny').getByTestId('thumbnail').waitFor();

        const words = await page.getByTestId('guest-state').allTextContents();
        const violations = await axe();
        await shoot(`library-${scheme}`);

        expect(words).toEqual([
          'Off',
          'Waiting for a runner',
          'Crashed',
          'Running for 2 days',
          'Running for 7 min',
          'Running for 3 h',
        ]);
        expect(await page.getByTestId('guest-message').allTextContents()).toEqual([
          expect.stringContaining('No runner has 8192 MiB free'),
          expect.stringContaining('triple fault'),
        ]);
        expect(await page.getByRole('meter', { name: 'Memory' }).first().getAttribute('aria-valuetext')).toBe(
          '704 MiB of 2 GiB',
        );
        expect(await page.getByTestId('events').textContent()).toContain('runner-3 is no longer heard of');
        expect(violations).toEqual([]);
        expect(complaints).toEqual([]);
      },
    );

    test('fits a narrow page', async () => {
      await open('/', { size: NARROW });
      await state('tiny').waitFor();

      const pictures = await page.getByTestId('thumbnail').count();
      await shoot('library-narrow');
      await card('tiny').scrollIntoViewIfNeeded();
      await card('tiny').getByTestId('thumbnail').waitFor();

      // Screens that nobody sees are not asked for.
      expect(pictures).toBe(0);

      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(NARROW.width);
    });

    test('an empty one says how a guest gets there', async () => {
      await standIn.close();
      standIn = await StandInProcess.start(pages.folder, 'empty');
      await open('/');

      await page.getByTestId('empty-library').waitFor();
      const violations = await axe();
      await shoot('library-empty');

      expect(await page.getByRole('heading', { name: 'No guests yet' }).isVisible()).toBe(true);
      expect(await page.getByText('No runner is here').isVisible()).toBe(true);
      expect(violations).toEqual([]);
    });

    test('a guest is powered on at once, and off only after a yes', async () => {
      await open('/');

      await button('Power on build').click();
      await state('build').and(page.locator('[data-phase=running]')).waitFor();
      await button('Power off build').click();
      await shoot('power-off');
      await button('Cancel').click();
      const afterNo = await state('build').getAttribute('data-phase');
      await button('Power off build').click();
      await button('Power off').click();
      await state('build').and(page.locator('[data-phase=off]')).waitFor();

      expect(afterNo).toBe('running');
      expect(complaints).toEqual([]);
    });

    test('a guest is shut down without a question: its system does it', async () => {
      await open('/');

      await button('Power on build').click();
      await state('build').and(page.locator('[data-phase=running]')).waitFor();
      await button('More for build').click();
      await page.getByRole('menuitem', { name: 'Shut down' }).click();
      await state('build').and(page.locator('[data-phase=off]')).waitFor();
      await button('More for build').click();

      expect(await page.getByRole('menuitem', { name: 'Shut down' }).count()).toBe(0);
      expect(complaints).toEqual([]);
    });

    test('a refusal is told with its reason and code, until it is closed', async () => {
      await open('/');

      await button('Power on legacy').click();
      const alert = page.getByRole('alert');
      await alert.waitFor();
      await shoot('refusal');
      const words = await alert.textContent();
      await button('Close this message').click();
      await alert.waitFor({ state: 'detached' });

      expect(words).toContain('legacy could not be powered on');
      expect(words).toContain('power that one off first');
      expect(words).toContain('disk.leased');
    });

    test('a guest is registered from the files of the pool; a name that is taken is told in the dialog', async () => {
      await open('/');

      await button('Register a guest').click();
      await page.getByRole('radio', { name: /spare\/spare\.vmx/ }).check();
      await page.getByRole('textbox', { name: /^Name/ }).fill('tiny');
      await button('Register').click();
      await page.getByRole('alert').waitFor();
      const complaint = await page.getByRole('alert').textContent();
      const violations = await axe();
      await shoot('register');
      await page.getByRole('textbox', { name: /^Name/ }).fill('spare one');
      await button('Register').click();
      await card('spare one').waitFor();

      expect(complaint).toContain('guest.exists');
      expect(await page.getByRole('dialog').count()).toBe(0);
      expect(violations).toEqual([]);
    });

    test('a guest is removed after a yes, and a screen reader is told', async () => {
      await open('/');

      await button('More for build').click();
      await page.getByRole('menuitem', { name: 'Remove from library' }).click();
      await button('Remove').click();
      await card('build').waitFor({ state: 'detached' });

      await page.getByRole('status').filter({ hasText: 'build was removed.' }).waitFor();
      expect(await page.getByTestId('guests-count').textContent()).toBe('5 guests, 3 running');
    });

    test('a crash shows by itself, with its reason, and is said aloud', async () => {
      await open('/');
      await card('tiny').waitFor();

      await standIn.control('crash', { guest: 'tiny', message: 'Kernel panic' });
      await state('tiny').and(page.locator('[data-phase=crashed]')).waitFor();

      expect(await card('tiny').getByTestId('guest-message').textContent()).toBe('Kernel panic');
      await page.getByRole('status').filter({ hasText: 'tiny: Crashed. Kernel panic' }).waitFor();
    });

    test('a server that goes away and comes back is told, and what it shows then is new', async () => {
      await open('/');
      await card('tiny').waitFor();

      await standIn.control('away');
      await page.getByText('The connection to the server was lost').waitFor();
      await shoot('connection-lost');
      await standIn.control('crash', { guest: 'tiny' });
      await standIn.control('back');
      await button('Try now').click();
      await state('tiny').and(page.locator('[data-phase=crashed]')).waitFor();

      expect(await page.getByTestId('link-state').textContent()).toBe('Live');
    });

    test('all of it is reached by Tab, in the order in which it is read', async () => {
      await open('/');
      await card('tiny').waitFor();

      const names: string[] = [];
      for (let i = 0; i < 15; i++) {
        await page.keyboard.press('Tab');
        names.push(await focused());
        const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
        expect(outline, `focus on ${names.at(-1)} is seen`).not.toBe('none');
      }

      expect(names).toEqual([
        'Skip to the page',
        'Tomei, library',
        'Colours: as the system',
        'Help and keys',
        '',
        'Register a guest',
        'build',
        'Power on build',
        'More for build',
        'database',
        'Console of database',
        'Power off database',
        'More for database',
        'legacy',
        'Power on legacy',
      ]);
    });

    test('keys: help lists them, Esc gives focus back, / searches, the menu is steered by arrows', async () => {
      await open('/');
      await button('Power on build').focus();

      await page.keyboard.press('?');
      const violations = await axe();
      await shoot('help');
      const listed = await page.getByRole('dialog', { name: 'Keys' }).textContent();
      await page.keyboard.press('Escape');
      const back = await focused();
      await page.keyboard.press('Tab');
      await page.keyboard.press('ArrowDown');
      const first = await focused();
      await page.keyboard.press('ArrowDown');
      const second = await focused();
      await page.keyboard.press('Escape');
      const afterMenu = await focused();
      await page.keyboard.press('/');
      await page.keyboard.type('mai');

      expect(listed).toContain('Ctrl+Alt+Shift');
      expect([back, first, second, afterMenu]).toEqual([
        'Power on build',
        'Details',
        'Remove from library',
        'More for build',
      ]);
      expect(await page.getByTestId('guest-state').count()).toBe(1);
      expect(violations).toEqual([]);
    });

    test('colours are kept', async () => {
      await open('/');
      const background = (): Promise<string> =>
        page.evaluate<string>('getComputedStyle(document.body).backgroundColor');

      const light = await background();
      await button('Colours: as the system').click();
      await button('Colours: light').click();
      const dark = await background();
      await page.reload();

      expect(dark).not.toBe(light);
      expect(await background()).toBe(dark);
    });
  });

  describe('console', () => {
    const live = (): Promise<void> =>
      page
        .getByTestId('console-link')
        .filter({ hasText: /^Connected$/ })
        .waitFor();

    test.each(['light', 'dark'] as const)('shows the screen; nothing of WCAG is broken in %s', async (scheme) => {
      await open('/guests/tiny', { scheme });
      await live();

      const violations = await axe();
      await shoot(`console-${scheme}`);

      expect(await page.getByTestId('console-size').textContent()).toBe('720 × 400');
      expect(violations).toEqual([]);
      expect(complaints).toEqual([]);
    });

    test('asks a guest that can for a screen as large as the page, and again when that changes', async () => {
      await open('/guests/tiny');
      await live();
      const sizes = async (): Promise<readonly string[]> => (await seen('tiny')).sizes;
      const room = (): Promise<string> =>
        page.evaluate<string>(
          "(() => { const { width, height } = document.querySelector('[data-testid=screen]').getBoundingClientRect(); return `${Math.floor(width)} × ${Math.floor(height)}`; })()",
        );
      expect(await sizes()).toEqual([]);

      await button('Fit the guest to the page').click();
      await expect.poll(async () => (await sizes()).at(-1)).toBe(await room());
      await page.setViewportSize({ width: 900, height: 700 });
      await expect.poll(async () => (await sizes()).at(-1) === (await room())).toBe(true);
      await shoot('console-fitted');
      await open('/guests/web-frontend');
      await live();

      expect(await button('Fit the guest to the page').count()).toBe(0);
      expect(complaints).toEqual([]);
    });

    test('keys go to the guest until Ctrl+Alt+Shift; Tab goes past the console, and Enter goes in again', async () => {
      await open('/guests/tiny');
      await live();
      // The guest's name comes by another request than its console.
      await page.getByLabel('Screen of tiny').first().waitFor();

      await page.keyboard.type('ls');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Control+Alt+Shift');
      const frame = await focused();
      // l, s, Tab and the three of the chord, each down and up.
      await expect.poll(async () => (await seen('tiny')).keys.length).toBe(12);
      const { keys } = await seen('tiny');
      await page.keyboard.press('?');
      const help = await page.getByRole('dialog', { name: 'Keys' }).count();
      await page.keyboard.press('Escape');
      await page.keyboard.press('Shift+Tab');
      const before = await focused();
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.keyboard.type('y');

      expect(keys.slice(0, 6)).toEqual(['+6c', '-6c', '+73', '-73', '+ff09', '-ff09']);
      // Nothing is left pressed.
      expect(keys.filter((key) => key.startsWith('+')).length).toBe(keys.filter((key) => key.startsWith('-')).length);
      expect(frame).toContain('Screen of tiny');
      expect(help).toBe(1);
      expect(before).toBe('Help and keys');
      await expect.poll(async () => (await seen('tiny')).keys.slice(keys.length)).toEqual(['+79', '-79']);
    });

    test('Ctrl+Alt+Del has a button', async () => {
      await open('/guests/tiny');
      await live();

      await button('Ctrl+Alt+Del').click();

      await expect
        .poll(async () => (await seen('tiny')).keys)
        .toEqual(['+ffe3', '+ffe9', '+ffff', '-ffff', '-ffe9', '-ffe3']);
    });

    test('text is typed into the screen, with Shift where it belongs', async () => {
      await open('/guests/tiny');
      await live();

      await button('Type text').click();
      await page.getByRole('textbox', { name: /^Text/ }).fill('aB€\n');
      await shoot('type-text');
      await button('Type it').click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });

      await expect
        .poll(async () => (await seen('tiny')).keys)
        .toEqual(['+61', '-61', '+ffe1', '+42', '-42', '-ffe1', '+ff0d', '-ff0d']);
    });

    test('a serial line is a terminal; view only sends nothing', async () => {
      await open('/guests/tiny');
      await live();

      await page.getByRole('tab', { name: 'Serial 1' }).click();
      await live();
      await page.getByTestId('serial-0').click();
      await page.keyboard.type('echo hi\n');
      await expect.poll(async () => (await seen('tiny')).serial).toBe('echo hi\r');
      const violations = await axe();
      await shoot('serial');
      await button('View only').click();
      await page.getByTestId('serial-0').click();
      await page.keyboard.type('no');
      await button('View only').click();
      await live();
      await page.getByTestId('serial-0').click();
      await page.keyboard.type('!');
      await expect.poll(async () => (await seen('tiny')).serial).toBe('echo hi\r!');

      expect(violations).toEqual([]);
      expect(complaints).toEqual([]);
    });

    test('in full screen the keys go to the guest', async () => {
      await open('/guests/tiny');
      await live();

      await button('Full screen').click();
      await page.waitForFunction('document.fullscreenElement !== null');
      await expect.poll(() => page.getByTestId('capture-state').textContent()).toContain('Keys go to the guest');
      await page.keyboard.type('f');

      await expect.poll(async () => (await seen('tiny')).keys).toEqual(['+66', '-66']);
    });

    test('a second viewer that only views sends nothing', async () => {
      await open('/guests/tiny?viewOnly=true');
      await live();

      await page.getByTestId('screen').click();
      await page.keyboard.type('x');
      await button('View only').click();
      await live();
      await page.getByTestId('screen').click();
      await page.keyboard.type('y');

      await expect.poll(async () => (await seen('tiny')).keys).toEqual(['+79', '-79']);
    });

    test('tabs are chosen by arrows', async () => {
      await open('/guests/tiny');
      await live();
      await page.getByRole('tab', { name: 'Screen' }).focus();

      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      const second = await focused();
      await page.keyboard.press('ArrowRight');

      expect([second, await focused()]).toEqual(['Serial 2', 'Screen']);
    });

    test('the screen is saved as a PNG, and read as text', async () => {
      await open('/guests/tiny');
      await live();

      const [download] = await Promise.all([page.waitForEvent('download'), button('Screenshot').click()]);
      const png = await readFile(await download.path());
      await button('Screen as text').click();
      const text = await page.getByTestId('screen-text').textContent();
      await shoot('screen-text');

      expect(download.suggestedFilename()).toMatch(/^tiny \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.png$/);
      // Signature, then IHDR with the width and height of the screen.
      expect(png.subarray(0, 24).toString('hex')).toBe('89504e470d0a1a0a0000000d49484452000002d000000190');
      expect(text).toContain('tiny login: root');
    });

    test('a password is asked for, again when it was wrong', async () => {
      await open('/guests/mail');

      const field = page.getByLabel('VNC password');
      await field.waitFor();
      await page.keyboard.type('wrong');
      await page.keyboard.press('Enter');
      await page.getByText('That password was not right.').waitFor();
      const violations = await axe();
      await shoot('password');
      await field.fill('swordfish');
      await button('Connect').click();
      await live();

      expect(await page.getByRole('dialog').count()).toBe(0);
      expect(violations).toEqual([]);
    });

    test('a guest that is off is powered on there, and its screen comes', async () => {
      await open('/guests/build');

      await button('Power on').first().waitFor();
      const violations = await axe();
      await shoot('console-off');
      await page.keyboard.press('Enter');
      await live();

      expect(violations).toEqual([]);
    });

    test('a guest that crashes says why in place of its screen', async () => {
      await open('/guests/tiny');
      await live();

      await standIn.control('crash', { guest: 'tiny', message: 'Triple fault at 0010:c0101f3a' });
      await page.getByTestId('off-panel').waitFor();
      await shoot('console-crashed');

      expect(await page.getByTestId('off-panel').textContent()).toContain('Triple fault at 0010:c0101f3a');
    });

    test('a cut is told and healed by itself, on the screen and on the serial line', async () => {
      await open('/guests/tiny');
      await live();
      await page.getByRole('tab', { name: 'Serial 1' }).click();
      await live();

      await standIn.control('away');
      await page.getByTestId('console-link').filter({ hasText: 'trying again' }).waitFor();
      await shoot('console-cut');
      await standIn.control('back');
      await live();
      await page.getByRole('tab', { name: 'Screen' }).click();
      await live();
      await button('Ctrl+Alt+Del').click();

      await expect.poll(async () => (await seen('tiny')).keys.length).toBe(6);
    });

    test('a name that no guest has leads back to the library', async () => {
      await open('/guests/nobody');

      await page.getByRole('heading', { name: 'No guest is called “nobody”' }).waitFor();
      await page.getByRole('link', { name: 'To the library' }).click();

      await card('tiny').waitFor();
    });

    test('fits a narrow page', async () => {
      await open('/guests/tiny', { size: NARROW });
      await live();

      await shoot('console-narrow');

      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(NARROW.width);
    });
  });
});
