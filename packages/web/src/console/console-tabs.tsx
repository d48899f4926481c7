/** Screen and serial lines as tabs, after the pattern of the ARIA Authoring Practices: arrows, Home and End choose. */
import { useRef, type KeyboardEvent, type ReactNode } from 'react';
import { Icon, type IconName } from '../ui/icons.tsx';

export interface ConsoleTab {
  readonly id: string;
  readonly label: string;
  readonly icon: IconName;
}

interface ConsoleTabsProps {
  readonly tabs: readonly ConsoleTab[];
  readonly active: string;
  readonly onChoose: (id: string) => void;
}

export function ConsoleTabs({ tabs, active, onChoose }: ConsoleTabsProps): ReactNode {
  const list = useRef<HTMLDivElement>(null);
  const steer = (event: KeyboardEvent): void => {
    const at = tabs.findIndex((tab) => tab.id === active);
    const to: Readonly<Record<string, number>> = {
      ArrowRight: (at + 1) % tabs.length,
      ArrowLeft: (at - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    };
    const next = tabs[to[event.key] ?? -1];
    if (next === undefined) return;
    event.preventDefault();
    onChoose(next.id);
    list.current?.querySelector<HTMLElement>(`#tab-${next.id}`)?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label="Consoles" ref={list} onKeyDown={steer}>
      {tabs.map((tab) => (
        <button
          key={tab.id}
          id={`tab-${tab.id}`}
          type="button"
          role="tab"
          className="tab"
          aria-selected={tab.id === active}
          aria-controls={tab.id === active ? `panel-${tab.id}` : undefined}
          tabIndex={tab.id === active ? 0 : -1}
          onClick={() => onChoose(tab.id)}
        >
          <Icon name={tab.icon} />
          {tab.label}
        </button>
      ))}
    </div>
  );
}
