/** What a person chose on these pages; kept by the browser where it keeps anything. */

export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

/** The choice after `theme`: one button goes round. */
export const nextTheme = (theme: Theme): Theme => THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;

/** What of `localStorage` is used. It throws where storage is forbidden. */
export interface Storage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** Choices by name, with what holds where nothing was chosen or nothing can be kept. */
export class Preferences {
  private readonly storage: () => Storage;

  constructor(storage: () => Storage = () => window.localStorage) {
    this.storage = storage;
  }

  get theme(): Theme {
    return THEMES.find((theme) => theme === this.read('tomei.theme')) ?? 'auto';
  }
  set theme(theme: Theme) {
    this.write('tomei.theme', theme);
  }

  /** Shortcuts of one key: whoever steers by voice turns them off (WCAG 2.1.4). */
  get hasShortcuts(): boolean {
    return this.read('tomei.shortcuts') !== 'off';
  }
  set hasShortcuts(has: boolean) {
    this.write('tomei.shortcuts', has ? 'on' : 'off');
  }

  /** Whether consoles show the screen scaled to their room. */
  get isScaled(): boolean {
    return this.read('tomei.scaled') !== 'off';
  }
  set isScaled(isScaled: boolean) {
    this.write('tomei.scaled', isScaled ? 'on' : 'off');
  }

  /** Whether guests are asked for screens as large as the room for them. Others who look on see that, so nobody does who has not said so. */
  get isResizing(): boolean {
    return this.read('tomei.resizing') === 'on';
  }
  set isResizing(isResizing: boolean) {
    this.write('tomei.resizing', isResizing ? 'on' : 'off');
  }

  private read(key: string): string | null {
    try {
      return this.storage().getItem(key);
    } catch {
      return null;
    }
  }

  private write(key: string, value: string): void {
    try {
      this.storage().setItem(key, value);
    } catch {
      // It holds until the page is left.
    }
  }
}
