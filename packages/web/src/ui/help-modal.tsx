/** The keys of the pages, and the way out of a console. */
import { useState, type ReactNode } from 'react';
import { useApp } from './app-context.ts';
import { Modal } from './modal.tsx';
import { SHORTCUTS } from './shortcuts.ts';

export function HelpModal({ onClose }: { onClose: () => void }): ReactNode {
  const { preferences } = useApp();
  const [hasShortcuts, setShortcuts] = useState(preferences.hasShortcuts);
  return (
    <Modal title="Keys" onClose={onClose}>
      <dl className="keys">
        {SHORTCUTS.map(({ keys, what }) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label className="check">
        <input
          type="checkbox"
          checked={hasShortcuts}
          onChange={(event) => {
            preferences.hasShortcuts = event.target.checked;
            setShortcuts(event.target.checked);
          }}
        />
        Shortcuts of one key
      </label>
      <p className="hint">
        In a console all keys go to the guest; browsers keep a few for themselves, such as Ctrl+W. Use the buttons above
        the console for Ctrl+Alt+Del.
      </p>
    </Modal>
  );
}
