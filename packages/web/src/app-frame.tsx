/** What is around every page: messages, questions, help, shortcuts, colours, and the choice of the page. */
import { Suspense, lazy, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import type { ApiClient } from './api/client.ts';
import { LibraryPage } from './library/library-page.tsx';
import { AppContext, type App, type Question } from './ui/app-context.ts';
import { HelpModal } from './ui/help-modal.tsx';
import { ConfirmModal } from './ui/modal.tsx';
import { navigate, usePath } from './ui/navigation.tsx';
import { NoticeList, useNotices } from './ui/notices.tsx';
import { nextTheme, type Preferences } from './ui/preferences.ts';
import { routeOf } from './ui/route.ts';
import { commandOf, type Command } from './ui/shortcuts.ts';
import { Announcer } from './ui/announcer.tsx';
import { TopBar } from './ui/top-bar.tsx';
import type { ClusterStore } from './watch/cluster-store.ts';

/** noVNC and xterm.js come only with the first console. */
const ConsolePage = lazy(async () => ({ default: (await import('./console/console-page.tsx')).ConsolePage }));

interface AppFrameProps {
  readonly api: ApiClient;
  readonly store: ClusterStore;
  readonly preferences: Preferences;
}

interface Asked {
  readonly question: Question;
  readonly answer: (yes: boolean) => void;
}

export function AppFrame({ api, store, preferences }: AppFrameProps): ReactNode {
  const notices = useNotices();
  const { fail, tell } = notices;
  const [asked, setAsked] = useState<Asked>();
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [isRegisterOpen, setRegisterOpen] = useState(false);
  const [theme, setTheme] = useState(preferences.theme);
  const path = usePath();
  const route = routeOf(path);

  const app = useMemo<App>(
    () => ({
      api,
      store,
      preferences,
      fail,
      tell,
      confirm: (question) => new Promise((answer) => setAsked({ question, answer })),
    }),
    [api, store, preferences, fail, tell],
  );

  const turnTheme = (): void => {
    const next = nextTheme(theme);
    preferences.theme = next;
    setTheme(next);
  };
  useEffect(() => {
    if (theme === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }, [theme]);

  const shownPath = useRef(path);
  useEffect(() => {
    // The link that was followed is gone: reading goes on at the new page.
    if (shownPath.current !== path && document.activeElement === document.body) {
      document.querySelector<HTMLElement>('#main')?.focus();
    }
    shownPath.current = path;
  }, [path]);

  useCommands(preferences, {
    help: () => setHelpOpen(true),
    search: () => document.querySelector<HTMLInputElement>('#search')?.focus(),
    register: () => {
      navigate('/');
      setRegisterOpen(true);
    },
    theme: turnTheme,
    library: () => navigate('/'),
  });

  return (
    <AppContext value={app}>
      <a className="skip" href="#main">
        Skip to the page
      </a>
      {route.page !== 'console' && <TopBar theme={theme} onTheme={turnTheme} onHelp={() => setHelpOpen(true)} />}
      {route.page === 'library' && <LibraryPage isRegisterOpen={isRegisterOpen} setRegisterOpen={setRegisterOpen} />}
      {route.page === 'console' && (
        <Suspense fallback={<p className="page-wait">Loading the console…</p>}>
          <ConsolePage key={route.guest} idOrName={route.guest} onHelp={() => setHelpOpen(true)} />
        </Suspense>
      )}
      {route.page === 'unknown' && (
        <main id="main" className="page-wait">
          <h1>There is no such page</h1>
          <p>
            <a href="/">To the library</a>
          </p>
        </main>
      )}
      {isHelpOpen && <HelpModal onClose={() => setHelpOpen(false)} />}
      {asked && (
        <ConfirmModal
          question={asked.question}
          onAnswer={(yes) => {
            setAsked(undefined);
            asked.answer(yes);
          }}
        />
      )}
      <NoticeList notices={notices} />
      <Announcer />
    </AppContext>
  );
}

/** Keys of the pages: not in text fields, not in consoles, not under a dialog. */
function useCommands(preferences: Preferences, commands: Readonly<Record<Command, () => void>>): void {
  const latest = useRef(commands);
  useEffect(() => {
    latest.current = commands;
  });
  useEffect(() => {
    const follow = (event: KeyboardEvent): void => {
      const command = commandOf(event);
      if (command === undefined || !preferences.hasShortcuts) return;
      const target = event.target as HTMLElement;
      // On a console's frame the keys are the page's still; within it they are the guest's.
      if (target.closest('input, textarea, select, dialog, [data-captures-keys] *, [role=menu]')) return;
      event.preventDefault();
      latest.current[command]();
    };
    document.addEventListener('keydown', follow);
    return () => document.removeEventListener('keydown', follow);
  }, [preferences]);
}
