/** In place of a screen that is not there: why, and what to do about it. */
import type { ReactNode } from 'react';
import type { GuestView, Phase } from '../api/views.ts';
import { powerChoices } from '../ui/format.ts';
import { Icon, PHASE_ICONS } from '../ui/icons.tsx';
import type { GuestActions } from '../library/power.ts';

const WORDS: Readonly<Record<Phase, readonly [title: string, text: string]>> = {
  off: ['is powered off', 'Its screen and serial lines appear here when it runs.'],
  pending: ['waits for a runner', 'It starts by itself as soon as a runner has room for it.'],
  starting: ['is starting', 'The screen appears in a moment.'],
  running: ['is running', 'Waiting for its console.'],
  stopping: ['is stopping', 'Its disks are being closed.'],
  crashed: ['crashed', 'Its disks are as they were at that moment. Power it on to start it anew.'],
  lost: ['lost its runner', 'It is started on another runner as soon as one has room.'],
};

export function OffPanel({ guest, actions }: { guest: GuestView; actions: GuestActions }): ReactNode {
  const [title, text] = WORDS[guest.phase];
  const choices = powerChoices(guest);
  return (
    <div className={`off-panel ${guest.phase}`} data-testid="off-panel">
      <Icon name={guest.phase === 'off' ? 'power' : PHASE_ICONS[guest.phase]} className="off-icon" />
      <h2>
        {guest.name} {title}
      </h2>
      {guest.message !== '' && <p className={`message ${guest.phase}`}>{guest.message}</p>}
      <p>{text}</p>
      {choices.on && (
        <button
          type="button"
          className="button primary large"
          disabled={actions.isBusy}
          onClick={actions.powerOn}
          autoFocus
        >
          <Icon name="power" />
          Power on
        </button>
      )}
      {!choices.on && choices.off && guest.phase !== 'running' && (
        <button type="button" className="button" disabled={actions.isBusy} onClick={actions.powerOff}>
          Do not start it
        </button>
      )}
    </div>
  );
}
