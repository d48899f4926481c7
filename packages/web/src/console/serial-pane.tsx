/** A serial line of a guest: a terminal for as long as it is in the page. Comes with xterm.js, when first opened. */
import { useEffect, useEffectEvent, useRef, useState, type ReactNode } from 'react';
import type { GuestView } from '../api/views.ts';
import { CaptureFrame, isFocusFree } from './capture-frame.tsx';
import { LinkOverlay } from './link-overlay.tsx';
import { IDLE, type LinkState } from './link-state.ts';
import { SerialSession } from './serial-session.ts';
import '@xterm/xterm/css/xterm.css';

export interface SerialPaneProps {
  readonly guest: GuestView;
  readonly port: number;
  readonly isActive: boolean;
  readonly isViewOnly: boolean;
  readonly onSession: (session: SerialSession | undefined) => void;
  readonly onState: (state: LinkState) => void;
  /** In words, such as `80 × 25`. */
  readonly onSize: (size: string) => void;
  readonly onCaptured: (isCaptured: boolean) => void;
}

export function SerialPane(props: SerialPaneProps): ReactNode {
  const { guest, port, isActive, isViewOnly, onCaptured } = props;
  const target = useRef<HTMLDivElement>(null);
  const session = useRef<SerialSession>(undefined);
  const [state, setState] = useState<LinkState>(IDLE);
  const [hasPicture, setHasPicture] = useState(false);

  const follow = useEffectEvent((next: LinkState) => {
    setState(next);
    props.onState(next);
    if (next.kind !== 'live') return;
    setHasPicture(true);
    if (isActive && !isViewOnly && isFocusFree()) session.current?.focus();
  });
  const measure = useEffectEvent((columns: number, rows: number) => props.onSize(`${columns} × ${rows}`));
  const hand = useEffectEvent((made: SerialSession | undefined) => props.onSession(made));
  const create = useEffectEvent(
    (element: HTMLElement) =>
      new SerialSession(element, { guestId: guest.id, port, isViewOnly, onState: follow, onSize: measure }),
  );

  useEffect(() => {
    const made = create(target.current!);
    session.current = made;
    hand(made);
    return () => {
      session.current = undefined;
      hand(undefined);
      made.close();
    };
  }, [guest.id, port]);
  useEffect(() => session.current?.setViewOnly(isViewOnly), [isViewOnly]);

  return (
    <CaptureFrame
      label={`Serial line ${port + 1} of ${guest.name}`}
      isViewOnly={isViewOnly}
      onEnter={() => session.current?.focus()}
      onLeave={() => session.current?.blur()}
      onCaptured={onCaptured}
    >
      <div ref={target} className="serial" data-testid={`serial-${port}`} />
      <LinkOverlay state={state} hasPicture={hasPicture} onRetry={() => session.current?.retryNow()} />
    </CaptureFrame>
  );
}
