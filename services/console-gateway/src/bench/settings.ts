/** What the processes of the benchmark agree on. */

export const BENCH_GUEST = { id: 'g-bench', token: 'bench' } as const;

/** The screen, and the part of it that moves: a window of a desktop. */
export const SCREEN = { width: 1024, height: 768 } as const;
export const MOVING = { x: 100, y: 100, width: 400, height: 300 } as const;
/** A key paints this. */
export const MARK = { x: 1000, y: 740, width: 16, height: 16 } as const;
/** As often as a real guest's console looks at its screen. */
export const FRAMES_PER_SECOND = 30;

/** What noVNC offers, as far as it changes dots: CopyRect, Tight, ZRLE, Raw, DesktopSize, quality and compression levels. */
export const NOVNC_ENCODINGS = [1, 7, 16, 0, -223, -26, -254] as const;

/** The key that starts and stops the moving part (F1), and the one that paints the mark (a): keysyms and scan codes. */
export const KEYS = {
  move: { keysym: 0xffbe, code: 0x3b },
  mark: { keysym: 0x61, code: 0x1e },
} as const;
