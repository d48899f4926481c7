/** SIGTERM at `tomei run`: what a supervisor sends, and what a person sends from another terminal, to end a guest in order. */
import type { Guest } from '@tomei/guest';

/** How long a guest may take to shut itself down. */
const GRACE_MS = 60_000;

export interface PowerButtonParts {
  readonly guest: Pick<Guest, 'powerButton' | 'stop'>;
  readonly say: (text: string) => void;
  readonly graceMs?: number;
}

/**
 * Presses the guest's power button at the first SIGTERM. A guest that does not listen, or has not ended in time, is powered off,
 * and so it is at the second one. The answer takes the handler away.
 */
export function pressAtSigterm({ guest, say, graceMs = GRACE_MS }: PowerButtonParts): () => void {
  let timer: NodeJS.Timeout | undefined;
  const powerOff = (why: string): void => {
    say(`tomei: ${why}: the guest is powered off`);
    guest.stop();
  };
  const press = async (): Promise<void> => {
    say('tomei: SIGTERM: the power button is pressed; another SIGTERM powers off');
    if (!(await guest.powerButton())) powerOff('the guest does not listen to its power button');
  };
  const onSignal = (): void => {
    if (timer !== undefined) return powerOff('a second SIGTERM');
    timer = setTimeout(() => powerOff(`the guest has not shut down within ${graceMs / 1000} s`), graceMs);
    // A guest that has just ended has no button any more.
    press().catch(() => undefined);
  };
  process.on('SIGTERM', onSignal);
  return () => {
    clearTimeout(timer);
    process.off('SIGTERM', onSignal);
  };
}
