/** Dialogs: the browser's own `<dialog>`, which keeps focus inside, closes by Esc and gives focus back. */
import { createPortal } from 'react-dom';
import { useId, useLayoutEffect, useRef, type ReactNode } from 'react';
import type { Question } from './app-context.ts';
import { Icon } from './icons.tsx';

interface ModalProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  readonly isWide?: boolean;
}

/** Shown as long as it is rendered. */
export function Modal({ title, onClose, children, isWide = false }: ModalProps): ReactNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  // Layout: closed while it is still in the page, or focus would not go back to where it was.
  useLayoutEffect(() => {
    const element = dialog.current;
    element?.showModal();
    // Where one begins to read, or to type; the browser alone would take the button that closes.
    (element?.querySelector<HTMLElement>('[data-autofocus]') ?? element?.querySelector('h2'))?.focus();
    return () => element?.close();
  }, []);
  // In the body: a dialog over a console has the page's colours, and is no part of the console's frame.
  return createPortal(
    <dialog
      ref={dialog}
      className={isWide ? 'modal modal-wide' : 'modal'}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onMouseDown={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div className="modal-inside">
        <header className="modal-head">
          <h2 id={titleId} tabIndex={-1}>
            {title}
          </h2>
          <button type="button" className="button quiet square" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>,
    document.body,
  );
}

/** A question before something that cannot be undone. The way back is the first choice. */
export function ConfirmModal({
  question,
  onAnswer,
}: {
  question: Question;
  onAnswer: (yes: boolean) => void;
}): ReactNode {
  return (
    <Modal title={question.title} onClose={() => onAnswer(false)}>
      <p>{question.text}</p>
      <div className="modal-actions">
        <button type="button" className="button" data-autofocus="" onClick={() => onAnswer(false)}>
          Cancel
        </button>
        <button type="button" className="button danger" onClick={() => onAnswer(true)}>
          {question.action}
        </button>
      </div>
    </Modal>
  );
}
