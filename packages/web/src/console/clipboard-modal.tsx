/** The guest's clipboard, as far as VMware's tools run in it: what it has copied last, and a text for it. */
import { useState, type FormEvent, type ReactNode } from 'react';
import { useApp } from '../ui/app-context.ts';
import { Modal } from '../ui/modal.tsx';
import type { ScreenSession } from './screen-session.ts';

interface ClipboardModalProps {
  readonly session: ScreenSession;
  /** What the guest has copied last; undefined: nothing yet. */
  readonly copied: string | undefined;
  readonly onClose: () => void;
}

export function ClipboardModal({ session, copied, onClose }: ClipboardModalProps): ReactNode {
  const { tell, fail } = useApp();
  const [text, setText] = useState('');
  const [complaint, setComplaint] = useState('');
  const give = (event: FormEvent): void => {
    event.preventDefault();
    const why = session.paste(text);
    setComplaint(why ?? '');
    if (why !== undefined) return;
    tell('The guest has the text, for as long as its tools run.');
    onClose();
  };
  const take = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(copied ?? '');
      tell('What the guest copied is on the clipboard.');
    } catch (error) {
      fail('The text could not be copied', error);
    }
  };

  return (
    <Modal title="Clipboard of the guest" onClose={onClose} isWide>
      <form onSubmit={give}>
        <label className="field">
          <span>For the guest</span>
          <textarea
            data-autofocus=""
            rows={4}
            spellCheck={false}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <span className="hint">VMware’s tools in the guest fetch it when the pointer moves over its screen.</span>
        </label>
        {complaint !== '' && (
          <p className="complaint" role="alert">
            {complaint}
          </p>
        )}
        <label className="field">
          <span>From the guest</span>
          <textarea rows={4} readOnly value={copied ?? ''} placeholder="It has copied nothing yet." />
        </label>
        <div className="modal-actions">
          <button type="button" className="button" disabled={!copied} onClick={() => void take()}>
            Copy what it copied
          </button>
          <button type="submit" className="button primary" disabled={text === ''}>
            Give it to the guest
          </button>
        </div>
      </form>
    </Modal>
  );
}
