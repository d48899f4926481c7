/** The host's ends of a virtio console: ports by which a guest and its host talk. */
import { backendKind } from '../../machine/device.ts';

export interface ConsolePort {
  /** By which the guest finds it (`/dev/virtio-ports/NAME`). Absent: it is a terminal (`/dev/hvc0`), of which there is one at most. */
  readonly name?: string;
  /** Whether somebody listens at the host's end. */
  readonly isOpen: boolean;
  /** Bytes that `write` takes now. */
  readonly room: number;
  /** Bytes of the guest, at most `room`. They may be kept. */
  write(bytes: Uint8Array): void;
  /** Who is told that `isOpen` changed, or that there is room again. There is one handler. */
  onChange(handler: () => void): void;
}

export interface ConsoleEnd {
  /** At most `CONSOLE_PORTS`. */
  readonly ports: readonly ConsolePort[];
}
export const consoleEnd = backendKind<ConsoleEnd>('console');

export const CONSOLE_PORTS = 4;
