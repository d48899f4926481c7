/** The head of the pages: where one is, whether what is shown is live, colours and help. */
import type { ReactNode } from 'react';
import { useApp, useCluster } from './app-context.ts';
import { Icon, type IconName } from './icons.tsx';
import { Link } from './navigation.tsx';
import type { Theme } from './preferences.ts';

const THEME_WORDS: Readonly<Record<Theme, readonly [string, IconName]>> = {
  auto: ['as the system', 'auto'],
  light: ['light', 'sun'],
  dark: ['dark', 'moon'],
};

interface TopBarProps {
  readonly theme: Theme;
  readonly onTheme: () => void;
  readonly onHelp: () => void;
}

export function TopBar({ theme, onTheme, onHelp }: TopBarProps): ReactNode {
  const [themeWords, themeIcon] = THEME_WORDS[theme];
  return (
    <>
      <header className="top-bar">
        <Link href="/" className="brand" aria-label="Tomei, library">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          <span>Tomei</span>
        </Link>
        <LinkBadge />
        <span className="spring" />
        <button type="button" className="button quiet" onClick={onTheme} title={`Colours: ${themeWords}`}>
          <Icon name={themeIcon} />
          <span className="button-text">Colours: {themeWords}</span>
        </button>
        <button
          type="button"
          className="button quiet square"
          onClick={onHelp}
          aria-label="Help and keys"
          title="Help and keys (?)"
        >
          <Icon name="help" />
        </button>
      </header>
      <LinkBanner />
    </>
  );
}

function LinkBadge(): ReactNode {
  const { link } = useCluster();
  const words = { connecting: 'Connecting', live: 'Live', retrying: 'Reconnecting' }[link];
  return (
    <span className={`link-badge ${link}`} data-testid="link-state">
      <Icon name={link === 'live' ? 'check' : 'clock'} />
      {words}
    </span>
  );
}

/** What a person has to know about what is shown: that it may be old, or that some of it could not be read. */
export function LinkBanner(): ReactNode {
  const { store } = useApp();
  const { link, fault, isSynced } = useCluster();
  if (link === 'retrying') {
    return (
      <div className="banner" role="status">
        <Icon name="unplugged" />
        <p>The connection to the server was lost. What you see may be old; it is being tried again.</p>
        <button type="button" className="button" onClick={() => store.retryNow()}>
          Try now
        </button>
      </div>
    );
  }
  if (fault === undefined) return null;
  return (
    <div className="banner" role="status">
      <Icon name="warning" />
      <p>
        {isSynced ? 'Part of what the server said could not be shown. ' : ''}
        {fault}
      </p>
    </div>
  );
}
