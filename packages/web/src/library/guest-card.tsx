/** One guest of the library: its screen in small, its state, and its power buttons. */
import { useId, useState, type ReactNode } from 'react';
import type { GuestView } from '../api/views.ts';
import { formatMemory, plural, powerChoices } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import { Menu } from '../ui/menu.tsx';
import { Link } from '../ui/navigation.tsx';
import { guestPath } from '../ui/route.ts';
import { DetailsModal } from './details-modal.tsx';
import { useGuestActions } from './power.ts';
import { StateBadge } from './state-badge.tsx';
import { Thumbnail } from './thumbnail.tsx';

export function GuestCard({ guest, now }: { guest: GuestView; now: number }): ReactNode {
  const titleId = useId();
  const [isDetailsOpen, setDetailsOpen] = useState(false);
  const { isBusy, powerOn, powerOff, reset, shutDown, unregister } = useGuestActions(guest);
  const choices = powerChoices(guest);
  const { name } = guest;
  return (
    <article className={`card ${guest.phase}`} aria-labelledby={titleId} data-testid={`guest-${name}`}>
      <Link href={guestPath(guest)} className="thumb-link" tabIndex={-1} aria-hidden="true">
        <Thumbnail guest={guest} />
      </Link>
      <div className="card-body">
        <div className="card-title">
          <h2 id={titleId}>
            <Link href={guestPath(guest)}>{name}</Link>
          </h2>
          <StateBadge guest={guest} now={now} />
        </div>
        <p className="meta">
          <span>{formatMemory(guest.memoryMiB)}</span>
          <span>{plural(guest.vcpus, 'vCPU')}</span>
          {guest.runner !== null && <span title="Runner">{guest.runner}</span>}
        </p>
        {guest.message !== '' && (
          <p className={`message ${guest.phase}`} data-testid="guest-message">
            {guest.message}
          </p>
        )}
        <div className="card-actions">
          {!choices.off && (
            <button
              type="button"
              className="button primary"
              disabled={!choices.on || isBusy}
              aria-label={`Power on ${name}`}
              onClick={powerOn}
            >
              <Icon name="power" />
              Power on
            </button>
          )}
          {choices.off && (
            <>
              <Link className="button primary" href={guestPath(guest)} aria-label={`Console of ${name}`}>
                <Icon name="screen" />
                Console
              </Link>
              <button
                type="button"
                className="button"
                disabled={isBusy}
                aria-label={`Power off ${name}`}
                title="Power off"
                onClick={powerOff}
              >
                <Icon name="power" />
                Off
              </button>
              <button
                type="button"
                className="button square"
                disabled={!choices.reset || isBusy}
                aria-label={`Reset ${name}`}
                title="Reset"
                onClick={reset}
              >
                <Icon name="reset" />
              </button>
            </>
          )}
          <Menu
            label={`More for ${name}`}
            icon="more"
            items={[
              ...(choices.shutdown
                ? [{ label: 'Shut down', icon: 'power' as const, isDisabled: isBusy, run: shutDown }]
                : []),
              { label: 'Details', icon: 'info', run: () => setDetailsOpen(true) },
              {
                label: 'Remove from library',
                icon: 'trash',
                isDangerous: true,
                isDisabled: guest.deleting,
                run: unregister,
              },
            ]}
          />
        </div>
      </div>
      {isDetailsOpen && <DetailsModal guest={guest} onClose={() => setDetailsOpen(false)} />}
    </article>
  );
}
