/** A button with a menu, after the pattern of the ARIA Authoring Practices: arrows, Home, End, Esc, and focus that comes back. */
import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import { Icon, type IconName } from './icons.tsx';

export interface MenuItem {
  readonly label: string;
  readonly icon: IconName;
  readonly isDisabled?: boolean;
  readonly isDangerous?: boolean;
  readonly run: () => void;
}

interface MenuProps {
  /** The button's name. */
  readonly label: string;
  readonly icon: IconName;
  /** Beside the icon; without it the label is for screen readers alone. */
  readonly text?: string;
  readonly items: readonly MenuItem[];
}

export function Menu({ label, icon, text, items }: MenuProps): ReactNode {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const menuId = useId();

  useEffect(() => {
    if (!isOpen) return undefined;
    focusables(root.current)[0]?.focus();
    const leave = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', leave);
    document.addEventListener('focusin', leave);
    return () => {
      document.removeEventListener('pointerdown', leave);
      document.removeEventListener('focusin', leave);
    };
  }, [isOpen]);

  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  const steer = (event: KeyboardEvent): void => {
    if (!isOpen) {
      if (event.key !== 'ArrowDown') return;
      event.preventDefault();
      setOpen(true);
      return;
    }
    const entries = focusables(root.current);
    const at = entries.indexOf(document.activeElement as HTMLButtonElement);
    const step: Readonly<Record<string, number>> = {
      ArrowDown: (at + 1) % entries.length,
      ArrowUp: (at - 1 + entries.length) % entries.length,
      Home: 0,
      End: entries.length - 1,
    };
    const next = step[event.key];
    if (next !== undefined) entries[next]?.focus();
    else if (event.key === 'Escape') close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div className="menu" ref={root} onKeyDown={steer}>
      <button
        ref={button}
        type="button"
        className={text === undefined ? 'button square' : 'button'}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-controls={isOpen ? menuId : undefined}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name={icon} />
        {text !== undefined && <span className="button-text">{text}</span>}
      </button>
      {isOpen && (
        <div className="menu-list" role="menu" id={menuId} aria-label={label}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              className={item.isDangerous === true ? 'menu-item dangerous' : 'menu-item'}
              aria-disabled={item.isDisabled === true}
              onClick={() => {
                if (item.isDisabled === true) return;
                close();
                item.run();
              }}
            >
              <Icon name={item.icon} />
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

const focusables = (root: HTMLElement | null): HTMLButtonElement[] => [
  ...(root?.querySelectorAll<HTMLButtonElement>('[role=menuitem]') ?? []),
];
