/** The paravirtual devices of a machine beside disks and network cards, on the highest slots of the PCI bus. */
import { consoleEnd, type ConsolePort } from '../devices/virtio/console-backend.ts';
import { virtioConsole } from '../devices/virtio/console.ts';
import { randomSource, type RandomSource } from '../devices/virtio/random-source.ts';
import { virtioRng } from '../devices/virtio/rng.ts';
import { backend, type Board } from '../machine/board.ts';
import type { DeviceOf } from '../machine/device.ts';

/** The host's ends: what is absent leaves the device out. */
export interface VirtioBackends {
  readonly random?: RandomSource;
  /** Ports of the console; none leaves it out. */
  readonly ports?: readonly ConsolePort[];
}
export interface VirtioParts {
  readonly console: DeviceOf<typeof virtioConsole> | undefined;
}

const SLOT_CONSOLE = 31;
const SLOT_RNG = 30;

export function plugVirtio(board: Board, { random, ports = [] }: VirtioBackends): VirtioParts {
  const console =
    ports.length === 0
      ? undefined
      : board.add(virtioConsole, {}, { slot: SLOT_CONSOLE, backends: [backend(consoleEnd, { ports })] });
  if (random !== undefined) board.add(virtioRng, {}, { slot: SLOT_RNG, backends: [backend(randomSource, random)] });
  return { console };
}
