/** The console of a guest that is known: tabs, buttons, panes and the status line, and what they know of each other. */
import { Suspense, lazy, useRef, useState, type ReactNode } from 'react';
import type { GuestView } from '../api/views.ts';
import { DetailsModal } from '../library/details-modal.tsx';
import { useGuestActions } from '../library/power.ts';
import { StateBadge } from '../library/state-badge.tsx';
import { useApp } from '../ui/app-context.ts';
import { powerChoices, screenshotName } from '../ui/format.ts';
import { Icon } from '../ui/icons.tsx';
import { Menu } from '../ui/menu.tsx';
import { Link } from '../ui/navigation.tsx';
import { download, toggleFullScreen } from './browser.ts';
import { ClipboardModal } from './clipboard-modal.tsx';
import { ConsoleTabs, type ConsoleTab } from './console-tabs.tsx';
import { IDLE, describeLink, type LinkState } from './link-state.ts';
import { OffPanel } from './off-panel.tsx';
import { PasteModal, type PasteTarget } from './paste-modal.tsx';
import { RELEASE_KEYS } from './release-chord.ts';
import { ScreenPane } from './screen-pane.tsx';
import type { ScreenSession } from './screen-session.ts';
import { ScreenTextModal } from './screen-text-modal.tsx';
import type { SerialSession } from './serial-session.ts';
import { Toolbar } from './toolbar.tsx';

/** xterm.js comes with the first serial line. */
const SerialPane = lazy(async () => ({ default: (await import('./serial-pane.tsx')).SerialPane }));

const SCREEN = 'screen';
type Dialog = 'details' | 'text' | 'clipboard' | PasteTarget;

interface ConsoleViewProps {
  readonly guest: GuestView;
  readonly now: number;
  readonly onHelp: () => void;
  readonly banner: ReactNode;
}

export function ConsoleView({ guest, now, onHelp, banner }: ConsoleViewProps): ReactNode {
  const { preferences, fail, tell } = useApp();
  const actions = useGuestActions(guest);
  const [active, setActive] = useState(SCREEN);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set([SCREEN]));
  const [isScaled, setScaled] = useState(preferences.isScaled);
  const [isResizing, setResizing] = useState(preferences.isResizing);
  const [isViewOnly, setViewOnly] = useState(
    () => new URLSearchParams(window.location.search).get('viewOnly') === 'true',
  );
  const [isGivenUp, setGivenUp] = useState(false);
  const [captured, setCaptured] = useState(false);
  const [links, setLinks] = useState<Readonly<Record<string, LinkState>>>({});
  const [sizes, setSizes] = useState<Readonly<Record<string, string>>>({});
  const [dialog, setDialog] = useState<Dialog>();
  const [copied, setCopied] = useState<string>();
  const screen = useRef<ScreenSession>(undefined);
  const serials = useRef(new Map<string, SerialSession>());
  const stage = useRef<HTMLDivElement>(null);

  const tabs: readonly ConsoleTab[] = [
    { id: SCREEN, label: 'Screen', icon: 'screen' },
    ...guest.serialPorts.map((port): ConsoleTab => {
      return { id: `serial-${port}`, label: `Serial ${port + 1}`, icon: 'terminal' };
    }),
  ];
  const shown = tabs.some((tab) => tab.id === active) ? active : SCREEN;
  const isScreen = shown === SCREEN;
  const link = guest.console ? (links[shown] ?? IDLE) : IDLE;
  const choices = powerChoices(guest);

  const choose = (id: string): void => {
    setActive(id);
    setOpened((known) => new Set(known).add(id));
  };
  const turnViewOnly = (): void => {
    const url = new URL(window.location.href);
    if (isViewOnly) url.searchParams.delete('viewOnly');
    else url.searchParams.set('viewOnly', 'true');
    window.history.replaceState(null, '', url);
    setViewOnly(!isViewOnly);
  };
  const turnScaled = (): void => {
    preferences.isScaled = !isScaled;
    setScaled(!isScaled);
  };
  const turnResizing = (): void => {
    preferences.isResizing = !isResizing;
    setResizing(!isResizing);
  };
  const paste = (): void => {
    const serial = serials.current.get(shown);
    if (isScreen && screen.current !== undefined) setDialog({ kind: 'screen', session: screen.current });
    else if (serial !== undefined) setDialog({ kind: 'serial', session: serial });
  };
  const screenshot = async (): Promise<void> => {
    const picture = await screen.current?.picture();
    if (picture === undefined) return;
    const name = screenshotName(guest.name, new Date());
    download(picture, name);
    tell(`Saved as ${name}.`);
  };
  const fullScreen = async (): Promise<void> => {
    try {
      await toggleFullScreen(stage.current!);
    } catch (error) {
      fail('The console could not fill the screen', error);
      return;
    }
    // The button is out of sight now.
    if (!isViewOnly) (serials.current.get(shown) ?? screen.current)?.focus();
  };
  const note = (id: string) => ({
    onState: (state: LinkState) => setLinks((known) => ({ ...known, [id]: state })),
    onSize: (size: string) => setSizes((known) => ({ ...known, [id]: size })),
    onCaptured: setCaptured,
  });

  return (
    <>
      <header className="console-head">
        <Link href="/" className="button quiet square" aria-label="To the library" title="To the library (l)">
          <Icon name="back" />
        </Link>
        <div className="console-name">
          <h1>{guest.name}</h1>
          <StateBadge guest={guest} now={now} />
        </div>
        <ConsoleTabs tabs={tabs} active={shown} onChoose={choose} />
        <span className="spring" />
        <Toolbar
          isScreen={isScreen}
          isLive={link.kind === 'live'}
          hasConsole={guest.console}
          isScaled={isScaled}
          isResizable={guest.resizable}
          isResizing={isResizing}
          isViewOnly={isViewOnly}
          onCtrlAltDel={() => screen.current?.sendCtrlAltDel()}
          onPaste={paste}
          onClipboard={() => setDialog('clipboard')}
          onScreenshot={() => void screenshot()}
          onScreenText={() => setDialog('text')}
          onSendSize={() => serials.current.get(shown)?.sendSize()}
          onScaled={turnScaled}
          onResizing={turnResizing}
          onViewOnly={turnViewOnly}
          onFullScreen={() => void fullScreen()}
        />
        <Menu
          label={`Power of ${guest.name}`}
          icon="power"
          text="Power"
          items={[
            { label: 'Power on', icon: 'power', isDisabled: !choices.on, run: actions.powerOn },
            { label: 'Shut down', icon: 'power', isDisabled: !choices.shutdown, run: actions.shutDown },
            { label: 'Reset', icon: 'reset', isDisabled: !choices.reset, run: actions.reset },
            { label: 'Power off', icon: 'power', isDangerous: true, isDisabled: !choices.off, run: actions.powerOff },
            { label: 'Details', icon: 'info', run: () => setDialog('details') },
          ]}
        />
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
      {banner}
      <main id="main" className="stage" ref={stage} tabIndex={-1}>
        {!guest.console && (
          <div id={`panel-${shown}`} role="tabpanel" aria-labelledby={`tab-${shown}`} className="panel-console">
            <OffPanel guest={guest} actions={actions} />
          </div>
        )}
        {guest.console &&
          tabs
            .filter((tab) => opened.has(tab.id))
            .map((tab) => (
              <div
                key={tab.id}
                id={`panel-${tab.id}`}
                role="tabpanel"
                aria-labelledby={`tab-${tab.id}`}
                className="panel-console"
                hidden={tab.id !== shown}
              >
                {tab.id === SCREEN && isGivenUp && (
                  <div className="off-panel">
                    <p>This screen needs a password.</p>
                    <button type="button" className="button primary" onClick={() => setGivenUp(false)}>
                      Connect
                    </button>
                  </div>
                )}
                {tab.id === SCREEN && !isGivenUp && (
                  <ScreenPane
                    guest={guest}
                    isActive={isScreen}
                    isScaled={isScaled}
                    isResizing={isResizing && guest.resizable}
                    isViewOnly={isViewOnly}
                    onSession={(session) => {
                      screen.current = session;
                    }}
                    onGiveUp={() => setGivenUp(true)}
                    onCopied={setCopied}
                    {...note(SCREEN)}
                  />
                )}
                {tab.id !== SCREEN && (
                  <Suspense fallback={<div className="overlay faint">Loading…</div>}>
                    <SerialPane
                      guest={guest}
                      port={Number(tab.id.slice('serial-'.length))}
                      isActive={tab.id === shown}
                      isViewOnly={isViewOnly}
                      onSession={(session) => {
                        if (session === undefined) serials.current.delete(tab.id);
                        else serials.current.set(tab.id, session);
                      }}
                      {...note(tab.id)}
                    />
                  </Suspense>
                )}
              </div>
            ))}
      </main>
      <footer className="status-line">
        <span className={`link-dot ${link.kind}`} aria-hidden="true" />
        <span role="status" data-testid="console-link">
          {guest.console ? describeLink(link) : 'No console'}
        </span>
        {guest.console && link.kind === 'live' && <span data-testid="console-size">{sizes[shown]}</span>}
        <span className="spring" />
        <span
          className={captured && !isViewOnly ? 'capture-words captured' : 'capture-words'}
          data-testid="capture-state"
        >
          {captureWords(guest.console, isViewOnly, captured)}
        </span>
      </footer>
      {dialog === 'details' && <DetailsModal guest={guest} onClose={() => setDialog(undefined)} />}
      {dialog === 'text' && <ScreenTextModal guest={guest} onClose={() => setDialog(undefined)} />}
      {dialog === 'clipboard' && screen.current !== undefined && (
        <ClipboardModal session={screen.current} copied={copied} onClose={() => setDialog(undefined)} />
      )}
      {typeof dialog === 'object' && <PasteModal target={dialog} onClose={() => setDialog(undefined)} />}
    </>
  );
}

function captureWords(hasConsole: boolean, isViewOnly: boolean, isCaptured: boolean): ReactNode {
  if (!hasConsole) return null;
  if (isViewOnly) return 'View only: nothing is sent to the guest';
  if (!isCaptured) return 'Click the console, or press Enter on it, to type';
  return (
    <>
      Keys go to the guest. <kbd>{RELEASE_KEYS}</kbd> gives them back
    </>
  );
}
