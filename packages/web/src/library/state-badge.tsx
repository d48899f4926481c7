/** A guest's state: words, colour and picture together. */
import type { ReactNode } from 'react';
import type { GuestView } from '../api/views.ts';
import { describeState } from '../ui/format.ts';
import { Icon, PHASE_ICONS } from '../ui/icons.tsx';

export function StateBadge({ guest, now }: { guest: GuestView; now: number }): ReactNode {
  const isBusy =
    guest.phase === 'starting' || guest.phase === 'stopping' || guest.phase === 'pending' || guest.deleting;
  return (
    <span className={`state ${guest.phase}${isBusy ? ' busy' : ''}`} data-testid="guest-state" data-phase={guest.phase}>
      <Icon name={PHASE_ICONS[guest.phase]} />
      {describeState(guest, now)}
    </span>
  );
}
