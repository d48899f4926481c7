/** The pictures of buttons and states: strokes in the text's colour, never the only sign of anything. */
import type { ReactNode } from 'react';
import type { Phase } from '../api/views.ts';

const PATHS = {
  power: 'M12 3v8M6.3 6.8a8 8 0 1 0 11.4 0',
  reset: 'M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6',
  screen: 'M3 5h18v12H3zM8 21h8M12 17v4',
  plus: 'M12 5v14M5 12h14',
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.7 1.7M17.3 17.3 19 19M5 19l1.7-1.7M17.3 6.7 19 5',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z',
  auto: 'M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18',
  help: 'M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.1M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z',
  back: 'M15 5l-7 7 7 7',
  keyboard: 'M3 6h18v12H3zM7 10h.1M11 10h.1M15 10h.1M18 10h.1M7 14h10',
  paste: 'M9 4h6v3H9zM15 5h3v16H6V5h3M9 12h6M9 16h4',
  resize: 'M4 5h16v11H4zM9 20h6M8 10.5V8h2.5M16 10.5V13h-2.5',
  clipboard: 'M9 4h6v3H9zM15 5h3v16H6V5h3M12 11v6M9.5 14.5 12 17l2.5-2.5',
  camera: 'M4 8h4l1.5-3h5L16 8h4v11H4zM12 10a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4z',
  text: 'M5 6h14M5 10h10M5 14h14M5 18h8',
  fit: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z',
  expand: 'M14 4h6v6M20 4l-7 7M10 20H4v-6M4 20l7-7',
  more: 'M5 11.5v1M12 11.5v1M19 11.5v1M5.5 12h-1M12.5 12h-1M19.5 12h-1',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  info: 'M12 11v6M12 7.5v.1M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z',
  close: 'M6 6l12 12M18 6 6 18',
  warning: 'M12 4 2.5 20h19zM12 10v5M12 17.5v.1',
  check: 'M5 12.5 10 17.5 19.5 7',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7.5V12l3 2',
  dot: 'M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12z',
  ring: 'M12 5a7 7 0 1 0 0 14 7 7 0 0 0 0-14z',
  play: 'M7 4.5v15l12-7.5z',
  unplugged: 'M8 3v5M16 3v5M5.5 8h13v3a6.5 6.5 0 0 1-13 0zM12 17.5V21',
  host: 'M4 4h16v7H4zM4 13h16v7H4zM7.5 7.5h.1M7.5 16.5h.1',
  terminal: 'M3 5h18v14H3zM7 9l3 3-3 3M13 15h4',
} as const;

export type IconName = keyof typeof PATHS;

/** Hidden from screen readers: whoever shows one says the same in words. */
export function Icon({ name, className = '' }: { name: IconName; className?: string }): ReactNode {
  return (
    <svg className={`icon ${className}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export const PHASE_ICONS: Readonly<Record<Phase, IconName>> = {
  off: 'ring',
  pending: 'clock',
  starting: 'play',
  running: 'dot',
  stopping: 'clock',
  crashed: 'warning',
  lost: 'unplugged',
};
