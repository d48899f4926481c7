/** The state of all processors of a machine, and whose turn it is. That of one alone is as it was when there was only one. */
import { TomeiError } from '@tomei/kit';
import type { Processor } from '../core/processor.ts';
import { restoreProcessor, saveProcessor } from './processor-state.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { Turns } from './turns.ts';

type SavedProcessor = Pick<SavedMachine, 'instructions' | 'processor' | 'timestampOffset' | 'apicBase'>;

const save = (processor: Processor): SavedProcessor => ({
  instructions: processor.instructions,
  processor: saveProcessor(processor),
  timestampOffset: processor.cpu.timestampOffset,
  apicBase: processor.system.apicBase,
});
function restore(processor: Processor, saved: SavedProcessor): void {
  restoreProcessor(processor, saved.processor);
  processor.cpu.timestampOffset = saved.timestampOffset;
  processor.system.apicBase = saved.apicBase;
  processor.instructions = saved.instructions;
  processor.system.counters.restart();
}

/** Call between slices. */
export function saveProcessors(turns: Turns): SavedProcessor & Pick<SavedMachine, 'others'> {
  const [bootstrap, ...others] = turns.processors;
  if (turns.isAlone) return save(bootstrap!);
  turns.takeMessages();
  const { turn, left, place, waiting } = turns.save();
  const processors = others.map((each, i) => ({ ...save(each), waiting: waiting[i + 1]! }));
  return { ...save(bootstrap!), others: { turn, left, place, processors } };
}
/** The interrupt requests are the board's: set them afterwards. */
export function restoreProcessors(turns: Turns, { others, ...first }: SavedMachine): void {
  const all = [first, ...(others?.processors ?? [])];
  turns.processors.forEach((each, i) => restore(each, all[i]!));
  if (others === undefined) return;
  const { turn, left, place, processors } = others;
  turns.load({ turn, left, place, waiting: [false, ...processors.map(({ waiting }) => waiting)] });
}
/** Throws `state.invalid` for a state of more or fewer processors. */
export function refuseOtherProcessors({ others }: SavedMachine, here: number): void {
  const then = 1 + (others?.processors.length ?? 0);
  if (then !== here)
    throw new TomeiError('state.invalid', `field 'others' is of a machine of ${then} processors, this one has ${here}`);
}
