/** One viewer's keys: keysyms or scan codes in, what the guest's keyboard does out. Knows what is down, to let go of it. */
import { CAPS_LOCK, LEFT_SHIFT, RIGHT_SHIFT, keyOf, type Key } from './keysyms.ts';
import type { KeyPress } from './viewer.ts';

/** Set on a scan code that has 0xE0 before it: rfbproto, "QEMU Extended Key Event Message". */
const XT_EXTENDED = 0x80;
const EXTENDED = 0xe000;

export class Keyboard {
  private readonly pressed = new Set<number>();
  /** As far as this viewer has pressed it; the guest may know better. */
  private capsLock = false;

  /** RFC 6143, 7.5.4. Nothing for a keysym that a US keyboard does not have. */
  keysym(keysym: number, down: boolean): KeyPress[] {
    const key = keyOf(keysym);
    if (key === undefined) return [];
    if (!down) return this.press(key.code, false);
    if (key.shift === undefined) return this.press(key.code, true);
    return this.withShift(key, key.shift);
  }

  /** rfbproto, "QEMU Extended Key Event Message". A scan code of 0 is a key that the viewer does not know either. */
  scanCode(xtCode: number, keysym: number, down: boolean): KeyPress[] {
    if (xtCode === 0) return this.keysym(keysym, down);
    if (xtCode > 0xff) return [];
    const code = xtCode & ~XT_EXTENDED;
    if (code === 0) return [];
    return this.press(code === xtCode ? code : EXTENDED + code, down);
  }

  /** The viewer goes: what it holds is let go of. */
  release(): KeyPress[] {
    const releases = [...this.pressed].map((code) => ({ code, down: false }));
    this.pressed.clear();
    return releases;
  }

  private press(code: number, down: boolean): KeyPress[] {
    // Keys that were down before the viewer came are not its own to release.
    if (!down && !this.pressed.has(code)) return [];
    if (code === CAPS_LOCK && down && !this.pressed.has(code)) this.capsLock = !this.capsLock;
    if (down) this.pressed.add(code);
    else this.pressed.delete(code);
    return [{ code, down }];
  }

  /**
   * The character counts, not the key: on another layout than the guest's its shift may be the other way round
   * (RFC 6143, 7.5.4: "the server should ... attempt to produce the keysym"). The guest's shift is put right around it.
   */
  private withShift(key: Key, shift: boolean): KeyPress[] {
    const wanted = key.isLetter === true && this.capsLock ? !shift : shift;
    const held = [LEFT_SHIFT, RIGHT_SHIFT].filter((code) => this.pressed.has(code));
    const press = this.press(key.code, true);
    if (wanted === held.length > 0) return press;
    const toggled = wanted ? [LEFT_SHIFT] : held;
    const all = (down: boolean): KeyPress[] => toggled.map((code) => ({ code, down }));
    return [...all(wanted), ...press, ...all(!wanted)];
  }
}
