/**
 * The stored expectations, `expected/NAME.txt`: what a processor prints that does as the Intel SDM says.
 * `#` starts a comment. A line `qemu: TEXT` after a line says that QEMU prints TEXT there instead, and the comment
 * above says in what QEMU deviates; `tomei: TEXT` is the engine's own known gap, and goes when the
 * engine is right. A line `skip qemu: REASON` says that QEMU cannot run the kernel to its end at all.
 * A line `processors N` says that the machine has so many. The last line is how the run ends.
 */
import type { KernelRun } from './runners.ts';

/** The run that a file describes, as the manual has it or as a deviating runner is known to print it. */
export function parseExpectation(text: string, runner: string): KernelRun {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('skip ') || line.startsWith(PROCESSORS)) continue;
    const deviation = /^([a-z]+): (.*)$/.exec(line);
    if (line === '' || line.startsWith('#')) continue;
    if (deviation === null) lines.push(line);
    else if (deviation[1] === runner) lines[lines.length - 1] = deviation[2] ?? '';
  }
  return { lines: lines.slice(0, -1), end: lines.at(-1) ?? '' };
}

const PROCESSORS = 'processors ';
/** How many processors the machine has that the kernel runs on. */
export function processorCount(text: string): number {
  const line = text.split('\n').find((each) => each.startsWith(PROCESSORS));
  return line === undefined ? 1 : Number(line.slice(PROCESSORS.length));
}

/** Why a runner is let off this kernel, or undefined. */
export function skipReason(text: string, runner: string): string | undefined {
  const start = `skip ${runner}: `;
  return text
    .split('\n')
    .find((line) => line.startsWith(start))
    ?.slice(start.length);
}
