/** A guest's console in a process of its own, for benchmarks: one key makes a part of its screen move, another paints a mark. */
import { ScriptedGuest } from '../testing/scripted-guest.ts';
import { BENCH_GUEST, FRAMES_PER_SECOND, KEYS, MARK, MOVING, SCREEN } from './settings.ts';

const bind = process.argv[2];
if (bind === undefined) throw new Error('usage: guest-process.ts BIND');

/** Height of a line of text in the moving part, and how many colours it is printed in. */
const LINE = 16;
const COLOURS = [0xd8ccc4, 0x96887c, 0x60c060, 0x6080e0];

let timer: NodeJS.Timeout | undefined;
let frame = 0;
let marks = 0;

/** Text that scrolls: lines of bars, as wide as words are, on a ground. */
function move(guest: ScriptedGuest): void {
  frame++;
  guest.draw(MOVING, (dots, { width, height }) => {
    dots.fill(0xff1b1613);
    for (let line = 0; line * LINE < height; line++) {
      const seed = Math.imul(line + frame, 2654435761) >>> 0;
      for (let x = 0; x + 8 < width; x += 8) {
        if (((seed >>> ((x >> 3) & 31)) & 1) === 0) continue;
        const colour = (COLOURS[(seed + (x >> 6)) & 3]! | 0xff000000) >>> 0;
        for (let y = line * LINE + 3; y < Math.min(height, line * LINE + 13); y++)
          dots.fill(colour, y * width + x + (y & 1), y * width + x + 6 - (y & 1));
      }
    }
  });
}

const guest = await ScriptedGuest.start({
  guestId: BENCH_GUEST.id,
  token: BENCH_GUEST.token,
  bind,
  ...SCREEN,
  onKey: ({ code, down }, self) => {
    if (!down) return;
    if (code === KEYS.mark.code) self.paint(MARK, ++marks);
    if (code === KEYS.move.code && timer === undefined) timer = setInterval(() => move(self), 1000 / FRAMES_PER_SECOND);
    else if (code === KEYS.move.code) {
      clearInterval(timer);
      timer = undefined;
    }
  },
});
process.stdout.write(`${JSON.stringify({ target: guest.target })}\n`);
process.on('SIGTERM', () => void guest.close().then(() => process.exit(0)));
