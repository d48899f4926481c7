/** The screen of a guest: a session of noVNC for as long as it is in the page. */
import { useEffect, useEffectEvent, useRef, useState, type ReactNode } from 'react';
import type { GuestView } from '../api/views.ts';
import { CaptureFrame, isFocusFree } from './capture-frame.tsx';
import { LinkOverlay } from './link-overlay.tsx';
import { IDLE, type LinkState } from './link-state.ts';
import { PasswordModal } from './password-modal.tsx';
import { ScreenSession } from './screen-session.ts';

export interface ScreenPaneProps {
  readonly guest: GuestView;
  readonly isActive: boolean;
  readonly isScaled: boolean;
  /** The guest's screen is to be as large as the room for it. */
  readonly isResizing: boolean;
  readonly isViewOnly: boolean;
  readonly onSession: (session: ScreenSession | undefined) => void;
  readonly onState: (state: LinkState) => void;
  /** In words, such as `720 × 400`. */
  readonly onSize: (size: string) => void;
  readonly onCaptured: (isCaptured: boolean) => void;
  /** The guest has copied a text. */
  readonly onCopied: (text: string) => void;
  /** The person does not give the password. */
  readonly onGiveUp: () => void;
}

export function ScreenPane(props: ScreenPaneProps): ReactNode {
  const { guest, isActive, isScaled, isResizing, isViewOnly, onCaptured } = props;
  const target = useRef<HTMLDivElement>(null);
  const session = useRef<ScreenSession>(undefined);
  const [state, setState] = useState<LinkState>(IDLE);
  const [hasPicture, setHasPicture] = useState(false);

  const follow = useEffectEvent((next: LinkState) => {
    setState(next);
    props.onState(next);
    if (next.kind !== 'live') return;
    setHasPicture(true);
    if (isActive && !isViewOnly && isFocusFree()) session.current?.focus();
  });
  const measure = useEffectEvent((width: number, height: number) => props.onSize(`${width} × ${height}`));
  const copied = useEffectEvent((text: string) => props.onCopied(text));
  const hand = useEffectEvent((made: ScreenSession | undefined) => props.onSession(made));
  const create = useEffectEvent((element: HTMLElement) => {
    const made = new ScreenSession(element, guest.id, isViewOnly, {
      onState: follow,
      onSize: measure,
      onCopied: copied,
    });
    made.setScaled(isScaled);
    made.setResizing(isResizing);
    return made;
  });

  useEffect(() => {
    const made = create(target.current!);
    session.current = made;
    hand(made);
    return () => {
      session.current = undefined;
      hand(undefined);
      made.close();
    };
  }, [guest.id]);
  useEffect(() => session.current?.setScaled(isScaled), [isScaled]);
  useEffect(() => session.current?.setResizing(isResizing), [isResizing]);
  useEffect(() => session.current?.setViewOnly(isViewOnly), [isViewOnly]);

  return (
    <>
      <CaptureFrame
        label={`Screen of ${guest.name}`}
        isViewOnly={isViewOnly}
        onEnter={() => session.current?.focus()}
        onLeave={() => session.current?.blur()}
        onCaptured={onCaptured}
      >
        <div ref={target} className={isScaled ? 'screen scaled' : 'screen'} data-testid="screen" />
        <LinkOverlay state={state} hasPicture={hasPicture} onRetry={() => session.current?.retryNow()} />
      </CaptureFrame>
      {isActive && state.kind === 'password' && (
        <PasswordModal
          guestName={guest.name}
          complaint={state.complaint}
          onGive={(password) => session.current?.givePassword(password)}
          onGiveUp={props.onGiveUp}
        />
      )}
    </>
  );
}
