/**
 * The way out of a console that takes every key: Ctrl, Alt and Shift pressed together and let go, with no other key between.
 * The guest gets these keys too, and also their releases, since focus leaves only when all three are up; alone they mean nothing.
 */

export interface KeyMoment {
  readonly type: 'keydown' | 'keyup';
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/** What people read. */
export const RELEASE_KEYS = 'Ctrl+Alt+Shift';

const CHORD: readonly string[] = ['Control', 'Alt', 'Shift'];

/** Follows the keys of one console. */
export class ReleaseChord {
  private isComplete = false;
  private isSpoilt = false;

  /** True when the chord has just been let go: focus is to leave. */
  feed(moment: KeyMoment): boolean {
    const isOfChord = CHORD.includes(moment.key) || moment.key === 'Meta';
    if (moment.type === 'keydown') {
      // Alt with Shift is Meta to some systems.
      if (!isOfChord) this.isSpoilt = true;
      else if (moment.ctrlKey && moment.altKey && moment.shiftKey) this.isComplete = true;
      else if (moment.key === 'Shift' && moment.ctrlKey && moment.altKey) this.isComplete = true;
      return false;
    }
    if (moment.ctrlKey || moment.altKey || moment.shiftKey) return false;
    const isReleased = this.isComplete && !this.isSpoilt && isOfChord;
    this.reset();
    return isReleased;
  }

  /** Focus went elsewhere: what follows begins anew. */
  reset(): void {
    this.isComplete = false;
    this.isSpoilt = false;
  }
}
