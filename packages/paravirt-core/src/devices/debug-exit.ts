/** The debug exit port of test machines: one write ends the guest (QEMU, hw/misc/debugexit.c: "isa-debug-exit"). */
import { pod } from '@tomei/kit';
import { defineDevice, typed } from '../machine/device.ts';

export interface DebugExitConfig {
  /** First port; 0xF4 by custom. */
  readonly base: number;
  /** How many ports answer; 4 by custom. */
  readonly count: number;
}

export const debugExit = defineDevice({
  kind: 'debug-exit',
  version: 1,
  summary: 'a write ends the guest with exit status (value << 1) | 1',
  config: typed<DebugExitConfig>({ base: 0xf4, count: 4 }),
  state: pod({}),
  attach: ({ config, host }) => ({
    ports: [
      {
        base: config.base,
        count: config.count,
        read: () => 0,
        // The process sees the low eight bits of the status; it is never 0, so that an exit by a guest stands out.
        write: (_offset: number, _width: number, value: number) => host.signal('exit', ((value << 1) | 1) & 0xff),
      },
    ],
  }),
});
