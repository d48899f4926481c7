/**
 * What a `.vmx` asks for, as the rest of the project sees it. Keys and defaults are VMware's; `tomei.*` keys are ours.
 * Keys that VMware knows and this program has no use for (there are hundreds) are let through.
 */
import { basename } from 'node:path';
import { readCpuid, type CpuidConfig } from './cpuid.ts';
import { readDisks, type DiskConfig } from './disks.ts';
import type { VmxFile } from './dictionary.ts';
import { readFloppies, type FloppyConfig } from './floppies.ts';
import { readNetworks, type NetworkConfig } from './ethernet.ts';
import { readBootOrder, type BootDevice } from './firmware.ts';
import { Problems, type VmxProblem } from './problem.ts';
import { readVnc, type VncConfig } from './remote-display.ts';
import { readSerialPorts, type SerialConfig } from './serial.ts';
import { readSharedFolders, type ShareConfig } from './shared-folders.ts';
import { readTools, type ToolsConfig } from './tools-keys.ts';
import { checkTomeiKeys, ENGINES, PARAVIRT_MODES, type EngineKind, type ParavirtMode } from './tomei-keys.ts';
import { Values } from './values.ts';
import { readVirtio, type VirtioConfig } from './virtio-keys.ts';

/** A file that a key names: as written, and as an absolute path. */
export interface FileReference {
  readonly key: string;
  readonly line: number;
  readonly fileName: string;
  readonly path: string;
}

/** Direct Linux or multiboot boot: no boot loader, no firmware. */
export interface KernelConfig {
  readonly kernel: FileReference;
  readonly initrd?: FileReference;
  /** Empty when `tomei.cmdline` is absent. */
  readonly commandLine: string;
}

export interface GuestConfig {
  /** `displayName`, or the file's name without `.vmx`. */
  readonly displayName: string;
  /** `guestOS`, as written; `other` when absent. */
  readonly guestOS: string;
  /** `memsize`: a multiple of 4, 4 to 3072. */
  readonly memoryMiB: number;
  /** `numvcpus`: 1 to 8. */
  readonly vcpus: number;
  /** `cpuid.coresPerSocket`: 1 when absent, all of `vcpus`, or a power of 2 that divides them. */
  readonly coresPerSocket: number;
  /** Present disks and CD-ROMs, ordered ide, sata, scsi, nvme, each by controller and unit. */
  readonly disks: readonly DiskConfig[];
  /** Present floppy drives, A: before B:; absent when there are none. */
  readonly floppies?: readonly FloppyConfig[];
  /** Present serial ports, by number. */
  readonly serialPorts: readonly SerialConfig[];
  /** Present network cards, by number; absent when there are none. */
  readonly networks?: readonly NetworkConfig[];
  /** Absent: the firmware boots from a disk. */
  readonly boot?: KernelConfig;
  /** `bios.bootOrder`; absent: the firmware's own. */
  readonly bootOrder?: readonly BootDevice[];
  /** `cpuid.*`: what CPUID tells otherwise; absent when nothing. */
  readonly cpuid?: readonly CpuidConfig[];
  /** `tomei.engine`; `compiled` when absent. */
  readonly engine: EngineKind;
  /** `tomei.paravirt`; `kvm` when absent. */
  readonly paravirt: ParavirtMode;
  /** `tomei.rng.*`, `tomei.portN.*`: paravirtual devices that VMware has no keys for. */
  readonly virtio: VirtioConfig;
  /** `sharedFolderN.*`: folders of the host that the guest finds, at most eight; absent when there are none. */
  readonly shares?: readonly ShareConfig[];
  /** What VMware's tools in the guest find. */
  readonly tools: ToolsConfig;
  /** `vmi.present`: whether the guest finds the VMI option ROM. */
  readonly vmi: boolean;
  /** `RemoteDisplay.vnc.*`; absent when it is not enabled. */
  readonly vnc?: VncConfig;
}

/** The most that `numvcpus` may ask for. */
export const VCPUS_MAX = 8;
export const MEMORY_DEFAULT_MIB = 256;
/** RAM ends below the PCI hole of a 32-bit board. */
export const MEMORY_MAX_MIB = 3072;
export const MEMORY_MIN_MIB = 4;

/**
 * Reads the configuration; file names are taken relative to `directory`, where the `.vmx` lies.
 * Throws the first error (`vmx.value`, `vmx.unsupported`, `vmx.unknown-key`, ...), naming file, line and key. Touches no file.
 */
export function readGuestConfig(
  vmx: VmxFile,
  directory: string,
): { config: GuestConfig; warnings: readonly VmxProblem[] } {
  const problems = new Problems(vmx.fileName);
  const config = collectGuestConfig(vmx, directory, problems);
  problems.throwFirst();
  return { config, warnings: [...vmx.warnings, ...problems.warnings] };
}

/** As `readGuestConfig`, but collects every finding; a value that is wrong is replaced by its default. */
export function collectGuestConfig(vmx: VmxFile, directory: string, problems: Problems): GuestConfig {
  const values = new Values(vmx, problems, directory);
  checkTomeiKeys(vmx, problems);
  const boot = readKernel(values, problems);
  const bootOrder = readBootOrder(values, problems);
  const vnc = readVnc(values, problems);
  const displayName = values.text('displayName') ?? basename(vmx.fileName).replace(/\.vmx$/i, '');
  const paravirt = values.word('tomei.paravirt', PARAVIRT_MODES) ?? 'kvm';
  const name = `${displayName}/${basename(vmx.fileName)}`;
  const networks = readNetworks(values, problems, { name, paravirt });
  const vcpus = readVcpus(values, problems);
  const config: GuestConfig = {
    displayName,
    guestOS: values.text('guestOS') ?? 'other',
    memoryMiB: readMemory(values, problems),
    vcpus,
    coresPerSocket: readCores(values, problems, vcpus),
    disks: readDisks(vmx, values, problems),
    serialPorts: readSerialPorts(values, problems),
    engine: values.word('tomei.engine', ENGINES) ?? 'compiled',
    paravirt,
    virtio: readVirtio(values, problems, paravirt),
    tools: readTools(vmx, values, problems),
    vmi: values.boolean('vmi.present') ?? false,
  };
  const cards = networks.length === 0 ? {} : { networks };
  const cpuid = readCpuid(vmx, values, problems);
  const floppies = readFloppies(values, problems);
  const shares = readSharedFolders(values, problems, paravirt);
  const drives = floppies.length === 0 ? {} : { floppies };
  return {
    ...config,
    ...cards,
    ...drives,
    ...(shares.length === 0 ? {} : { shares }),
    ...(cpuid.length === 0 ? {} : { cpuid }),
    ...(boot === undefined ? {} : { boot }),
    ...(bootOrder === undefined ? {} : { bootOrder }),
    ...(vnc === undefined ? {} : { vnc }),
  };
}

function readMemory(values: Values, problems: Problems): number {
  const entry = values.find('memsize');
  const size = values.whole('memsize');
  if (entry === undefined || size === undefined) return MEMORY_DEFAULT_MIB;
  if (size >= MEMORY_MIN_MIB && size <= MEMORY_MAX_MIB && size % 4 === 0) return size;
  const range = `${MEMORY_MIN_MIB} to ${MEMORY_MAX_MIB} MiB in steps of 4`;
  problems.error('vmx.value', entry, `memsize = "${entry.value}": memory can be ${range}`);
  return MEMORY_DEFAULT_MIB;
}

function readVcpus(values: Values, problems: Problems): number {
  const entry = values.find('numvcpus');
  const count = values.whole('numvcpus');
  if (entry === undefined || count === undefined) return 1;
  if (count >= 1 && count <= VCPUS_MAX) return count;
  problems.error('vmx.value', entry, `numvcpus = "${entry.value}": a guest has 1 to ${VCPUS_MAX} processors`);
  return 1;
}

/** Sockets are numbered by the bits of APIC IDs above the cores': those of several begin at powers of 2. */
function readCores(values: Values, problems: Problems, vcpus: number): number {
  const entry = values.find('cpuid.coresPerSocket');
  const cores = values.whole('cpuid.coresPerSocket');
  // One processor is one core, whatever the file says.
  if (entry === undefined || cores === undefined || vcpus === 1) return 1;
  if (cores === vcpus || (cores >= 1 && vcpus % cores === 0 && (cores & (cores - 1)) === 0)) return cores;
  const possible = [1, 2, 4, vcpus].filter((n, i, all) => vcpus % n === 0 && all.indexOf(n) === i).join(', ');
  const what = `of ${vcpus} processors (numvcpus), ${possible} can share a socket`;
  problems.error('vmx.value', entry, `cpuid.coresPerSocket = "${entry.value}": ${what}`);
  return 1;
}

function readKernel(values: Values, problems: Problems): KernelConfig | undefined {
  const kernel = values.file('tomei.kernel');
  const initrd = values.file('tomei.initrd');
  if (kernel === undefined) {
    const unused = ['tomei.initrd', 'tomei.cmdline'].map((key) => values.find(key)).filter((e) => e !== undefined);
    for (const entry of values.find('tomei.kernel') === undefined ? unused : []) {
      problems.warn('vmx.unused', entry, `${entry.key} does nothing without tomei.kernel`);
    }
    return undefined;
  }
  const commandLine = values.text('tomei.cmdline') ?? '';
  return initrd === undefined ? { kernel, commandLine } : { kernel, initrd, commandLine };
}
