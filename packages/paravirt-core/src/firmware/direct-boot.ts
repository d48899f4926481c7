/** Chooses the boot protocol by what the kernel file is: a Linux bzImage, or else a multiboot kernel. */
import type { GuestMemory } from '../machine/device.ts';
import type { BootFile } from './boot-file.ts';
import type { BootState } from './boot-state.ts';
import { loadLinux, looksLikeBzImage } from './linux-boot.ts';
import { loadMultiboot } from './multiboot.ts';
import type { BootScreen } from './screen-info.ts';

export interface DirectBoot {
  readonly kernel: BootFile;
  readonly initrd?: BootFile;
  readonly commandLine: string;
  readonly screen: BootScreen;
  readonly rsdp?: number;
}

/** Loads the kernel into RAM; throws what `loadLinux` and `loadMultiboot` throw, before anything is written. */
export function loadKernel(memory: GuestMemory, boot: DirectBoot): BootState {
  if (looksLikeBzImage(boot.kernel)) return loadLinux(memory, boot);
  const modules = boot.initrd === undefined ? [] : [boot.initrd];
  return loadMultiboot(memory, { kernel: boot.kernel, commandLine: boot.commandLine, modules });
}
