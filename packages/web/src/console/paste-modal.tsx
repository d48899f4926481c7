/** Types text into the guest: by keys into its screen, as bytes into a serial line. */
import { useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react';
import { plural } from '../ui/format.ts';
import { Modal } from '../ui/modal.tsx';
import type { ScreenSession } from './screen-session.ts';
import type { SerialSession } from './serial-session.ts';
import { typingOf } from './typing.ts';

/** Where it goes: one of the two. */
export type PasteTarget =
  | { readonly kind: 'screen'; readonly session: ScreenSession }
  | { readonly kind: 'serial'; readonly session: SerialSession };

export function PasteModal({ target, onClose }: { target: PasteTarget; onClose: () => void }): ReactNode {
  const [text, setText] = useState('');
  const [done, setDone] = useState<number>();
  const [complaint, setComplaint] = useState('');
  const abort = useRef(new AbortController());
  // Closing stops the typing.
  useEffect(() => {
    const controller = new AbortController();
    abort.current = controller;
    return () => controller.abort();
  }, []);

  const typing = target.kind === 'screen' ? typingOf(text) : { keystrokes: [], left: [] };
  const start = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setComplaint('');
    if (target.kind === 'serial') {
      if (target.session.type(text)) onClose();
      else setComplaint('The serial line is not connected: nothing was sent.');
      return;
    }
    let typed = 0;
    setDone(0);
    await target.session.type(typing.keystrokes, abort.current.signal, (count) => {
      typed = count;
      setDone(count);
    });
    if (abort.current.signal.aborted) return;
    setDone(undefined);
    if (typed === typing.keystrokes.length) onClose();
    else setComplaint(`The connection was lost after ${plural(typed, 'character')}.`);
  };

  return (
    <Modal title="Type text into the guest" onClose={onClose} isWide>
      <form onSubmit={(event) => void start(event)}>
        <label className="field">
          <span>Text</span>
          <textarea
            data-autofocus=""
            rows={6}
            spellCheck={false}
            value={text}
            readOnly={done !== undefined}
            onChange={(event) => setText(event.target.value)}
          />
          <span className="hint">
            {target.kind === 'screen'
              ? 'Typed as keys of a US keyboard. Line ends are Enter.'
              : 'Sent to the serial line as it is. Line ends are Enter.'}
          </span>
        </label>
        {typing.left.length > 0 && (
          <p className="complaint" role="status">
            No key for {typing.left.slice(0, 12).join(' ')}
            {typing.left.length > 12 ? ' and more' : ''}: left out.
          </p>
        )}
        {complaint !== '' && (
          <p className="complaint" role="alert">
            {complaint}
          </p>
        )}
        {done !== undefined && (
          <progress aria-label="Characters typed" value={done} max={typing.keystrokes.length} className="progress" />
        )}
        <div className="modal-actions">
          <button type="button" className="button" onClick={onClose}>
            {done === undefined ? 'Cancel' : 'Stop'}
          </button>
          <button type="submit" className="button primary" disabled={text === '' || done !== undefined}>
            {done === undefined ? 'Type it' : `${done} of ${typing.keystrokes.length}`}
          </button>
        </div>
      </form>
    </Modal>
  );
}
