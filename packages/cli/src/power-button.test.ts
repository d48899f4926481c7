/** What SIGTERM does to a guest of `tomei run`. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { pressAtSigterm } from './power-button.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const each of undo.splice(0)) each();
  vi.useRealTimers();
});
/** A guest that writes down what is asked of it. */
function rig(listens: boolean): string[] {
  vi.useFakeTimers();
  const asked: string[] = [];
  const guest = {
    powerButton: () => (asked.push('power button'), Promise.resolve(listens)),
    stop: () => void asked.push('stop'),
  };
  undo.push(pressAtSigterm({ guest, say: () => undefined, graceMs: 5_000 }));
  return asked;
}
const signal = async (): Promise<void> => {
  process.emit('SIGTERM');
  await vi.advanceTimersByTimeAsync(0);
};

describe('SIGTERM', () => {
  it('presses the power button and leaves the guest its time', async () => {
    const asked = rig(true);
    await signal();
    await vi.advanceTimersByTimeAsync(4_999);
    expect(asked).toEqual(['power button']);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toEqual(['power button', 'stop']);
  });
  it('powers off a guest that does not listen', async () => {
    const asked = rig(false);
    await signal();
    expect(asked).toEqual(['power button', 'stop']);
  });
  it('powers off at the second one', async () => {
    const asked = rig(true);
    await signal();
    await signal();
    expect(asked).toEqual(['power button', 'stop']);
  });
  it('does nothing more when the handler was taken away', async () => {
    const asked = rig(true);
    await signal();
    for (const each of undo.splice(0)) each();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toEqual(['power button']);
    expect(process.listeners('SIGTERM').map((l) => l.name)).not.toContain('onSignal');
  });
});
