/** Over a console that is not connected: what happens, and a way not to wait. The last picture stays to be read below it. */
import type { ReactNode } from 'react';
import { Icon } from '../ui/icons.tsx';
import { describeLink, type LinkState } from './link-state.ts';

interface LinkOverlayProps {
  readonly state: LinkState;
  readonly hasPicture: boolean;
  readonly onRetry: () => void;
}

export function LinkOverlay({ state, hasPicture, onRetry }: LinkOverlayProps): ReactNode {
  if (state.kind === 'live' || state.kind === 'password') return null;
  // The first moments of a page need no words.
  if (state.kind !== 'waiting') return hasPicture ? null : <div className="overlay faint">{describeLink(state)}…</div>;
  return (
    <div className="overlay">
      <Icon name="unplugged" />
      <p>{describeLink(state)}</p>
      <button type="button" className="button" onClick={onRetry}>
        Try now
      </button>
    </div>
  );
}
