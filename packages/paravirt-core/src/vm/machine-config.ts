/** What a machine is made of, and how its memory is laid out by that. */
import type { CpuidMask } from '../core/cpuid.ts';
import { planMemory, type MemoryPlan } from '../core/plan.ts';
import type { BootDevice } from '../devices/rtc-setup.ts';
import type { BootFile } from '../firmware/boot-file.ts';
import type { GuestInfo } from '../paravirt/guest-info.ts';
import type { ParavirtMode } from '../paravirt/mode.ts';
import type { VmiMode } from '../vmi/mode.ts';

/** The most processors of a machine. */
export const MOST_PROCESSORS = 8;

/** What a machine is made of. Plain data. */
export interface MachineConfig {
  /** 1 to MOST_PROCESSORS; 1 when absent. */
  readonly processors?: number;
  /** How many of them are in one socket: 1 when absent, all of them, or a power of 2 that divides them. */
  readonly coresPerSocket?: number;
  readonly ramBytes: number;
  readonly videoMemoryBytes: number;
  /** Memory of a virtio GPU; absent: there is none. */
  readonly gpuMemoryBytes?: number;
  /** Unix time in seconds at power-on. */
  readonly epoch: number;
  readonly kernel?: BootFile;
  readonly initrd?: BootFile;
  readonly commandLine: string;
  /** What a guest without a kernel starts in. */
  readonly firmware?: FirmwareImages;
  /** What the firmware tries, at most three kinds; its own order when absent. */
  readonly bootOrder?: readonly BootDevice[];
  /** What the guest may find of its hypervisor; a plain PC when absent. */
  readonly paravirt?: ParavirtMode;
  /** What its tools find at VMware's backdoor; the usual when absent. */
  readonly tools?: ToolsConfig;
  /** What it finds of VMI; nothing when absent. */
  readonly vmi?: VmiMode;
  /** What CPUID tells otherwise. */
  readonly cpuid?: readonly CpuidMask[];
  /** Runs everything in the interpreter: no code is compiled. */
  readonly interpreted?: boolean;
  /** Whether port F4h ends the guest, which test kernels use. Absent: only where there is no firmware. */
  readonly debugExit?: boolean;
}
/** Of VMware's backdoor. */
export interface ToolsConfig {
  /** Texts of the guest's clipboard stay there, and those of the host's do not come to it. */
  readonly noCopy?: boolean;
  readonly noPaste?: boolean;
  /** Only who may read ports reaches it. */
  readonly restricted?: boolean;
  /** `guestinfo`, by names in lower case without the prefix. */
  readonly info?: GuestInfo;
}
/** ROM images, as Debian's package `seabios` has them. */
export interface FirmwareImages {
  /** `bios-256k.bin`. */
  readonly bios: Uint8Array;
  /** `vgabios-stdvga.bin`: without it the screen stays dark. */
  readonly videoBios?: Uint8Array;
}
export const processorsOf = ({ processors = 1 }: Pick<MachineConfig, 'processors'>): number => processors;
/** How the memory of such a machine is laid out. */
export const machinePlan = (config: MachineConfig): MemoryPlan => {
  const { ramBytes, videoMemoryBytes, gpuMemoryBytes } = config;
  return planMemory({ processors: processorsOf(config), ramBytes, videoMemoryBytes, gpuMemoryBytes });
};
