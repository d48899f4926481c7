/** Asks for a guest's VNC password. It is kept by this page alone, until it is left. */
import { useState, type ReactNode } from 'react';
import { Modal } from '../ui/modal.tsx';

interface PasswordModalProps {
  readonly guestName: string;
  readonly complaint: string;
  readonly onGive: (password: string) => void;
  readonly onGiveUp: () => void;
}

export function PasswordModal({ guestName, complaint, onGive, onGiveUp }: PasswordModalProps): ReactNode {
  const [password, setPassword] = useState('');
  return (
    <Modal title={`Password of ${guestName}`} onClose={onGiveUp}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onGive(password);
        }}
      >
        <label className="field">
          <span>VNC password</span>
          <input
            type="password"
            data-autofocus=""
            autoComplete="off"
            value={password}
            onChange={(event) => setPassword(event.target.value)}
          />
          <span className="hint">As the guest’s .vmx says; its first eight characters count.</span>
        </label>
        {complaint !== '' && (
          <p className="complaint" role="alert">
            {complaint}
          </p>
        )}
        <div className="modal-actions">
          <button type="button" className="button" onClick={onGiveUp}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={password === ''}>
            Connect
          </button>
        </div>
      </form>
    </Modal>
  );
}
