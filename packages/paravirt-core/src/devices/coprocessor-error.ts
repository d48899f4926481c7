/**
 * How a PC reports x87 exceptions to systems that leave CR0.NE clear: FERR# becomes interrupt 13, and a write to port 0xF0 takes
 * the interrupt back and asserts IGNNE#, so that the handler can use the x87 unit (82371SB PIIX3 datasheet, 2.5.5.1 "Coprocessor
 * Error Register"; Intel SDM vol. 1, appendix D.2).
 */
import { bool, pod } from '@tomei/kit';
import { defineDevice, typed } from '../machine/device.ts';

const PORT = 0xf0;
const LINE = 13;

export const coprocessorError = defineDevice({
  kind: 'coprocessor-error',
  version: 1,
  summary: 'interrupt 13 for x87 exceptions, port 0xF0 to ignore them',
  config: typed<Record<string, never>>({}),
  state: pod({ error: bool(), ignored: bool() }).check(
    (s) => s.error || !s.ignored || "field 'ignored' is set without 'error'",
  ),
  attach({ state, host }) {
    const settle = (): void => host.irq(LINE, state.error && !state.ignored);
    return {
      lines: [LINE],
      settle,
      ports: [
        {
          base: PORT,
          count: 1,
          read: () => 0xff,
          write(): void {
            // IGNNE# is asserted only while there is an error, and goes with it.
            state.ignored = state.error;
            settle();
          },
        },
      ],
      /** FERR# as the processor drives it. Returns IGNNE#: whether it may go on in spite of the error. */
      error(asserted: boolean): boolean {
        state.error = asserted;
        state.ignored &&= asserted;
        settle();
        return state.ignored;
      },
    };
  },
});
