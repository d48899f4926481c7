/** A Chromium without a window, where the machine has one (Debian's package `chromium`). */
import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';

/** Why there is no browser; undefined: there is one. */
export const chromiumMissing = (): string | undefined =>
  existsSync(EXECUTABLE) ? undefined : `no ${EXECUTABLE}: install Debian's package chromium`;

/** Talks to nobody but the page's own server. Root has no sandbox of its own. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: EXECUTABLE,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
