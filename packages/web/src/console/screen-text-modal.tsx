/** The characters of a text screen, to be read aloud, searched or copied. */
import { messageOf } from '@tomei/kit';
import { useCallback, useEffect, useState, type ReactNode } from 'react';
import type { GuestView } from '../api/views.ts';
import { useApp } from '../ui/app-context.ts';
import { Modal } from '../ui/modal.tsx';

export function ScreenTextModal({ guest, onClose }: { guest: GuestView; onClose: () => void }): ReactNode {
  const { api, tell, fail } = useApp();
  const [text, setText] = useState<string>();
  const [complaint, setComplaint] = useState('');
  const load = useCallback(async () => {
    setComplaint('');
    try {
      setText((await api.screenText(guest.id)).trimEnd());
    } catch (error) {
      setComplaint(messageOf(error));
    }
  }, [api, guest.id]);
  useEffect(() => {
    void load();
  }, [load]);

  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text ?? '');
      tell('The text of the screen is on the clipboard.');
    } catch (error) {
      fail('The text could not be copied', error);
    }
  };

  return (
    <Modal title={`Screen of ${guest.name} as text`} onClose={onClose} isWide>
      {text === '' && <p>The guest shows graphics, or nothing: there are no characters to read.</p>}
      {text !== undefined && text !== '' && (
        <pre className="screen-text" tabIndex={0} data-testid="screen-text">
          {text}
        </pre>
      )}
      {complaint !== '' && (
        <p className="complaint" role="alert">
          {complaint}
        </p>
      )}
      <div className="modal-actions">
        <button type="button" className="button" onClick={() => void load()}>
          Look again
        </button>
        <button type="button" className="button primary" disabled={!text} onClick={() => void copy()}>
          Copy
        </button>
      </div>
    </Modal>
  );
}
