/** The debug console port of Bochs and QEMU: each byte written is printed by the host (QEMU, hw/char/debugcon.c). */
import { pod } from '@tomei/kit';
import { backendKind, defineDevice, typed } from '../machine/device.ts';

/** Where the bytes go. */
export interface DebugconBackend {
  write(byte: number): void;
}
export const debugconBackend = backendKind<DebugconBackend>('debugcon');

export interface DebugconConfig {
  /** The port; 0xE9 by custom. */
  readonly port: number;
}

/** What the port reads as: guests probe for the console by it. */
const PRESENT = 0xe9;

export const debugcon = defineDevice({
  kind: 'debugcon',
  version: 1,
  summary: 'each byte written is printed by the host',
  config: typed<DebugconConfig>({ port: 0xe9 }),
  state: pod({}),
  attach: ({ config, host }) => ({
    ports: [
      {
        base: config.port,
        count: 1,
        unit: 1,
        read: () => PRESENT,
        write: (_offset: number, _width: number, value: number) => host.backend(debugconBackend)?.write(value),
      },
    ],
  }),
});
