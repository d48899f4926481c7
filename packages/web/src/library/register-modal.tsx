/** Registers a guest: choose one of the pool's .vmx files, and a name where the one in the file does not suit. */
import { TomeiError, messageOf } from '@tomei/kit';
import { useCallback, useEffect, useId, useState, type FormEvent, type ReactNode } from 'react';
import type { FileView, GuestView } from '../api/views.ts';
import { useApp, useNow } from '../ui/app-context.ts';
import { formatAgo } from '../ui/format.ts';
import { Modal } from '../ui/modal.tsx';

interface RegisterModalProps {
  readonly guests: readonly GuestView[];
  readonly onClose: () => void;
}

interface Complaint {
  readonly code: string;
  readonly message: string;
}
const complaintOf = (error: unknown): Complaint => ({
  code: error instanceof TomeiError ? error.code : '',
  message: messageOf(error),
});

export function RegisterModal({ guests, onClose }: RegisterModalProps): ReactNode {
  const { api, tell } = useApp();
  const [files, setFiles] = useState<readonly FileView[]>();
  const [chosen, setChosen] = useState('');
  const [name, setName] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [complaint, setComplaint] = useState<Complaint>();
  const hintId = useId();

  const load = useCallback(async () => {
    setComplaint(undefined);
    try {
      const all = await api.files();
      setFiles(all.filter((file) => file.kind === 'vmx').sort((a, b) => a.path.localeCompare(b.path, 'en')));
    } catch (error) {
      setComplaint(complaintOf(error));
    }
  }, [api]);
  useEffect(() => {
    void load();
  }, [load]);

  const register = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setComplaint(undefined);
    try {
      const guest = await api.register(chosen, name.trim());
      tell(`${guest.name} is in the library.`);
      onClose();
    } catch (error) {
      setComplaint(complaintOf(error));
      setBusy(false);
    }
  };

  return (
    <Modal title="Register a guest" onClose={onClose}>
      <form onSubmit={(event) => void register(event)}>
        {files === undefined && complaint === undefined && <p role="status">Looking through the pool…</p>}
        {files?.length === 0 && (
          <p>
            The pool has no <code>.vmx</code> file. Put a guest’s folder into it, or make one with{' '}
            <code>tomei guest build tiny</code>, and look again.
          </p>
        )}
        {files !== undefined && files.length > 0 && (
          <FileChoice files={files} guests={guests} chosen={chosen} onChoose={setChosen} />
        )}
        {files !== undefined && files.length > 0 && (
          <label className="field">
            <span>Name</span>
            <input
              type="text"
              value={name}
              maxLength={100}
              placeholder="As the file says"
              aria-describedby={hintId}
              onChange={(event) => setName(event.target.value)}
            />
            <span className="hint" id={hintId}>
              Empty: <code>displayName</code> of the file.
            </span>
          </label>
        )}
        {complaint && (
          <div className="complaint" role="alert">
            <p>{complaint.message}</p>
            {complaint.code !== '' && <code>{complaint.code}</code>}
          </div>
        )}
        <div className="modal-actions">
          <button type="button" className="button quiet" onClick={() => void load()}>
            Look again
          </button>
          <span className="spring" />
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={chosen === '' || isBusy}>
            {isBusy ? 'Registering…' : 'Register'}
          </button>
        </div>
      </form>
    </Modal>
  );
}

interface FileChoiceProps {
  readonly files: readonly FileView[];
  readonly guests: readonly GuestView[];
  readonly chosen: string;
  readonly onChoose: (path: string) => void;
}

function FileChoice({ files, guests, chosen, onChoose }: FileChoiceProps): ReactNode {
  const now = useNow(60_000);
  return (
    <fieldset className="files">
      <legend>Configuration file</legend>
      <div className="files-list">
        {files.map(({ path, modified }) => {
          const known = guests.find((guest) => guest.vmxPath === path);
          return (
            <label key={path} className="file">
              <input type="radio" name="vmx" value={path} checked={chosen === path} onChange={() => onChoose(path)} />
              <span className="file-path">{path}</span>
              <span className="file-note">
                {known ? `registered as ${known.name}` : `changed ${formatAgo(modified, now)}`}
              </span>
            </label>
          );
        })}
      </div>
    </fieldset>
  );
}
