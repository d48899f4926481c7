/** What consoles ask of the browser: full screen and downloads. */

/** https://wicg.github.io/keyboard-lock/: Chromium has it, others do without. */
interface KeyboardLock {
  lock?(codes: readonly string[]): Promise<void>;
}

/** In or out. Esc is left to the guest where the browser can do that, and leaves when held. Throws the browser's own refusal. */
export async function toggleFullScreen(element: HTMLElement): Promise<void> {
  if (document.fullscreenElement !== null) {
    await document.exitFullscreen();
    return;
  }
  await element.requestFullscreen({ navigationUI: 'hide' });
  const { keyboard } = navigator as Navigator & { readonly keyboard?: KeyboardLock };
  // Without the lock Esc leaves full screen, as everywhere.
  await keyboard?.lock?.(['Escape']).catch(() => undefined);
}

/** Saves a blob under a name, as a download. */
export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
