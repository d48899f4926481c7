/**
 * The frame around a screen or a terminal. It is one tab stop; Enter or a click goes into the guest, which then has all keys,
 * and Ctrl+Alt+Shift comes back out to the frame (WCAG 2.1.2: no keyboard trap).
 */
import { useRef, type FocusEvent, type KeyboardEvent, type ReactNode } from 'react';
import { RELEASE_KEYS, ReleaseChord } from './release-chord.ts';

interface CaptureFrameProps {
  /** What it is: `Screen of tiny`. */
  readonly label: string;
  readonly isViewOnly: boolean;
  /** Gives focus to what is inside. */
  readonly onEnter: () => void;
  /** Takes it away: keys that are still down are let go. */
  readonly onLeave: () => void;
  readonly onCaptured: (isCaptured: boolean) => void;
  readonly children: ReactNode;
}

export function CaptureFrame({
  label,
  isViewOnly,
  onEnter,
  onLeave,
  onCaptured,
  children,
}: CaptureFrameProps): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const chord = useRef(new ReleaseChord());

  // Before the guest's own handlers, which take every key and pass none on.
  const listen = (event: KeyboardEvent): void => {
    if (event.target === frame.current) {
      if (event.type !== 'keydown' || event.key !== 'Enter' || isViewOnly) return;
      event.preventDefault();
      event.stopPropagation();
      onEnter();
      return;
    }
    const { key, ctrlKey, altKey, shiftKey } = event;
    const type = event.type === 'keydown' ? 'keydown' : 'keyup';
    if (!chord.current.feed({ type, key, ctrlKey, altKey, shiftKey })) return;
    // After the guest has seen this release too.
    setTimeout(() => {
      onLeave();
      frame.current?.focus();
    });
  };
  const isWithin = (target: EventTarget | null): boolean =>
    target !== frame.current && frame.current?.contains(target as Node | null) === true;
  const follow = (event: FocusEvent): void => {
    chord.current.reset();
    onCaptured(event.type === 'focus' ? isWithin(event.target) : isWithin(event.relatedTarget));
  };

  return (
    <div
      ref={frame}
      className="capture"
      role="group"
      tabIndex={0}
      aria-label={
        isViewOnly
          ? `${label}, view only`
          : `${label}. Press Enter to type into the guest, ${RELEASE_KEYS} to come back.`
      }
      data-captures-keys=""
      data-testid="capture"
      onKeyDownCapture={listen}
      onKeyUpCapture={listen}
      onFocus={follow}
      onBlur={follow}
    >
      {children}
    </div>
  );
}

/** Whether nobody would be disturbed when a console takes the focus: a page that was just opened. */
export function isFocusFree(): boolean {
  const active = document.activeElement;
  return active === null || active === document.body || active.matches('[data-captures-keys], #main');
}
