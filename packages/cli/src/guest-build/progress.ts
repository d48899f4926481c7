/** How far a long piece of work is: a bar on a terminal, one line a step elsewhere. */
import { MultiBar, Presets } from 'cli-progress';

/** A named step and its share of the whole, in any unit. */
export interface Step {
  readonly name: string;
  readonly weight: number;
}

export interface Progress {
  /** Starts a step; the one before is done. */
  step(name: string): void;
  /** How much of the current step is done, 0..1. */
  fraction(done: number): void;
  /** A sentence for the person, above the bar. */
  note(line: string): void;
  /** Ends it; `complete` tells whether the work was done or broken off. */
  end(complete: boolean): void;
}

/** Where a step begins and how large it is, as shares of 1. */
function spans(steps: readonly Step[]): Map<string, { from: number; size: number }> {
  const total = steps.reduce((sum, step) => sum + step.weight, 0);
  const result = new Map<string, { from: number; size: number }>();
  let from = 0;
  for (const { name, weight } of steps) {
    result.set(name, { from, size: weight / total });
    from += weight / total;
  }
  return result;
}

/** Progress on `stream`, in the form that suits it. */
export function progressOn(stream: NodeJS.WriteStream, title: string, steps: readonly Step[]): Progress {
  return stream.isTTY ? barOn(stream, title, steps) : linesOn(stream, title);
}

/** One line for each step. */
export function linesOn(stream: NodeJS.WritableStream, title: string): Progress {
  const say = (line: string): void => void stream.write(`${title}: ${line}\n`);
  return { step: say, fraction: () => undefined, note: say, end: (complete) => complete && say('done') };
}

function barOn(stream: NodeJS.WriteStream, title: string, steps: readonly Step[]): Progress {
  const bars = new MultiBar(
    { stream, format: `${title} {bar} {percentage}%  {step}`, barsize: 30, hideCursor: true, linewrap: false },
    Presets.shades_classic,
  );
  const bar = bars.create(1000, 0, { step: '' });
  const places = spans(steps);
  let place = { from: 0, size: 0 };
  return {
    step(name) {
      place = places.get(name) ?? place;
      bar.update(Math.round(place.from * 1000), { step: name });
    },
    fraction: (done) => bar.update(Math.round((place.from + place.size * Math.min(1, done)) * 1000)),
    note: (line) => bars.log(`${line}\n`),
    end(complete) {
      if (complete) bar.update(1000, { step: 'done' });
      bars.stop();
    },
  };
}
