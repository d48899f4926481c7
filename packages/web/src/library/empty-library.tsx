/** What a person sees first in a new cluster: how a guest gets here. */
import type { ReactNode } from 'react';
import { Icon } from '../ui/icons.tsx';

export function EmptyLibrary({ onRegister }: { onRegister: () => void }): ReactNode {
  return (
    <div className="empty" data-testid="empty-library">
      <Icon name="screen" className="empty-icon" />
      <h2>No guests yet</h2>
      <ol>
        <li>
          Put a guest’s folder, its <code>.vmx</code> and <code>.vmdk</code> files, into the pool: the folder that the
          disk service serves.
        </li>
        <li>
          Register its <code>.vmx</code> here, or with <code>tomei register folder/guest.vmx</code>.
        </li>
        <li>Power it on; its screen opens in this page.</li>
      </ol>
      <button type="button" className="button primary" onClick={onRegister} data-testid="register">
        <Icon name="plus" />
        Register a guest
      </button>
      <p className="hint">
        No guest at hand? <code>tomei guest build tiny</code> makes a small Linux to begin with.
      </p>
    </div>
  );
}
