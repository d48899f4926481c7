/** A guest's screen in small; without one, what it does instead of showing something. */
import { useRef, type ReactNode } from 'react';
import type { GuestView, Phase } from '../api/views.ts';
import { Icon, type IconName } from '../ui/icons.tsx';
import { useThumbnail } from './use-thumbnail.ts';

const QUIET: Readonly<Record<Phase, readonly [IconName, string]>> = {
  off: ['power', 'Powered off'],
  pending: ['clock', 'Waiting for a runner'],
  starting: ['play', 'Starting'],
  running: ['screen', 'No picture yet'],
  stopping: ['clock', 'Stopping'],
  crashed: ['warning', 'Crashed'],
  lost: ['unplugged', 'Runner lost'],
};

export function Thumbnail({ guest }: { guest: GuestView }): ReactNode {
  const frame = useRef<HTMLDivElement>(null);
  const url = guest.console ? `/console/guests/${encodeURIComponent(guest.id)}/screen.png` : undefined;
  const picture = useThumbnail(url, frame);
  const [icon, words] = QUIET[guest.phase];
  return (
    <div className="thumb" ref={frame}>
      {picture === undefined ? (
        <div className={`thumb-quiet ${guest.phase}`}>
          <Icon name={icon} />
          <span>{words}</span>
        </div>
      ) : (
        <img src={picture} alt="" draggable={false} data-testid="thumbnail" />
      )}
    </div>
  );
}
