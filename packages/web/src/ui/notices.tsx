/** What the pages tell: failures that stay until they are closed, and good news that goes by itself. */
import { TomeiError, messageOf } from '@tomei/kit';
import { useCallback, useState, type ReactNode } from 'react';
import { Icon } from './icons.tsx';

export interface Notice {
  readonly id: number;
  readonly tone: 'good' | 'bad';
  /** What was tried. */
  readonly what: string;
  readonly message: string;
  readonly code: string;
}

const GOOD_NEWS_MS = 6000;
const SHOWN = 4;

export interface Notices {
  readonly list: readonly Notice[];
  readonly fail: (what: string, error: unknown) => void;
  readonly tell: (words: string) => void;
  readonly close: (id: number) => void;
}

export function useNotices(): Notices {
  const [list, setList] = useState<readonly Notice[]>([]);
  const close = useCallback((id: number) => setList((known) => known.filter((notice) => notice.id !== id)), []);
  const add = useCallback((notice: Omit<Notice, 'id'>): number => {
    const id = Math.random();
    setList((known) => [...known, { ...notice, id }].slice(-SHOWN));
    return id;
  }, []);
  const fail = useCallback(
    (what: string, error: unknown) => {
      const code = error instanceof TomeiError ? error.code : '';
      add({ tone: 'bad', what, message: messageOf(error), code });
    },
    [add],
  );
  const tell = useCallback(
    (words: string) => {
      const id = add({ tone: 'good', what: '', message: words, code: '' });
      setTimeout(() => close(id), GOOD_NEWS_MS);
    },
    [add, close],
  );
  return { list, fail, tell, close };
}

export function NoticeList({ notices }: { notices: Notices }): ReactNode {
  return (
    <div className="notices" aria-live="polite" role="region" aria-label="Messages">
      {notices.list.map((notice) => (
        <div key={notice.id} className={`notice ${notice.tone}`} role={notice.tone === 'bad' ? 'alert' : 'status'}>
          <Icon name={notice.tone === 'bad' ? 'warning' : 'check'} />
          <div className="notice-words">
            {notice.what !== '' && <strong>{notice.what}</strong>}
            <p>{notice.message}</p>
            {notice.code !== '' && <code>{notice.code}</code>}
          </div>
          <button
            type="button"
            className="button quiet square"
            aria-label="Close this message"
            onClick={() => notices.close(notice.id)}
          >
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
