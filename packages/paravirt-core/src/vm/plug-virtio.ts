/** The paravirtual devices of a machine beside disks and network cards, on the highest slots of the PCI bus. */
import { shareBackend, type ShareBackend } from '../devices/virtio/9p-backend.ts';
import { virtio9p } from '../devices/virtio/9p.ts';
import { virtioBalloon } from '../devices/virtio/balloon.ts';
import { consoleEnd, type ConsolePort } from '../devices/virtio/console-backend.ts';
import { virtioConsole } from '../devices/virtio/console.ts';
import { gpuMemory, virtioGpu } from '../devices/virtio/gpu.ts';
import { virtioInput } from '../devices/virtio/input.ts';
import { randomSource, type RandomSource } from '../devices/virtio/random-source.ts';
import { virtioRng } from '../devices/virtio/rng.ts';
import { vsockBackend, type VsockBackend } from '../devices/virtio/vsock-backend.ts';
import { virtioVsock } from '../devices/virtio/vsock.ts';
import { backend, type Board } from '../machine/board.ts';
import type { DeviceOf } from '../machine/device.ts';

/** The host's ends: what is absent leaves the device out. */
export interface VirtioBackends {
  readonly random?: RandomSource;
  /** Ports of the console; none leaves it out. */
  readonly ports?: readonly ConsolePort[];
  readonly balloon?: boolean;
  /** A tablet and a keyboard. */
  readonly input?: boolean;
  /** Memory of a GPU. */
  readonly gpu?: Uint8Array;
  /** Folders of the host. */
  readonly shares?: readonly ShareBackend[];
  /** The host's end of virtio sockets. */
  readonly vsock?: VsockBackend;
}
export interface VirtioParts {
  readonly console: DeviceOf<typeof virtioConsole> | undefined;
  readonly balloon: DeviceOf<typeof virtioBalloon> | undefined;
  readonly tablet: DeviceOf<typeof virtioInput> | undefined;
  readonly keys: DeviceOf<typeof virtioInput> | undefined;
  readonly gpu: DeviceOf<typeof virtioGpu> | undefined;
  readonly vsock: DeviceOf<typeof virtioVsock> | undefined;
}

const SLOT_CONSOLE = 31;
const SLOT_RNG = 30;
const SLOT_BALLOON = 29;
const SLOT_TABLET = 28;
const SLOT_KEYBOARD = 27;
const SLOT_GPU = 26;
const SLOT_VSOCK = 25;
/** Of the first; each further one sits below. */
const SLOT_SHARE = 24;

export function plugVirtio(
  board: Board,
  { random, ports = [], balloon, input, gpu, shares = [], vsock }: VirtioBackends,
): VirtioParts {
  for (const [i, share] of shares.entries())
    board.add(virtio9p, {}, { name: `share${i}`, slot: SLOT_SHARE - i, backends: [backend(shareBackend, share)] });
  const console =
    ports.length === 0
      ? undefined
      : board.add(virtioConsole, {}, { slot: SLOT_CONSOLE, backends: [backend(consoleEnd, { ports })] });
  if (random !== undefined) board.add(virtioRng, {}, { slot: SLOT_RNG, backends: [backend(randomSource, random)] });
  return {
    console,
    balloon: balloon === true ? board.add(virtioBalloon, {}, { slot: SLOT_BALLOON }) : undefined,
    tablet:
      input === true ? board.add(virtioInput, { role: 'tablet' }, { name: 'tablet', slot: SLOT_TABLET }) : undefined,
    keys:
      input === true
        ? board.add(virtioInput, { role: 'keyboard' }, { name: 'keyboard', slot: SLOT_KEYBOARD })
        : undefined,
    gpu:
      gpu === undefined
        ? undefined
        : board.add(virtioGpu, {}, { slot: SLOT_GPU, backends: [backend(gpuMemory, { bytes: gpu })] }),
    vsock:
      vsock === undefined
        ? undefined
        : board.add(virtioVsock, {}, { slot: SLOT_VSOCK, backends: [backend(vsockBackend, vsock)] }),
  };
}
