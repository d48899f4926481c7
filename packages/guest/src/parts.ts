/** What a guest is put together from: its source's configuration, kernel and disks, opened and checked. */
import { TomeiError } from '@tomei/kit';
import type { MachineConfig } from '@tomei/paravirt-core';
import { SERIAL_PORTS, type DiskConfig, type GuestConfig } from '@tomei/vmx';
import type { SnapshotFile } from './snapshot-file.ts';
import type { GuestDisk, GuestSource } from './source/guest-source.ts';

const VIDEO_MEMORY = 16 << 20;

export interface GuestParts {
  readonly machine: MachineConfig;
  readonly disks: readonly GuestDisk[];
  /** Of the disks, as the `.vmx` names them. */
  readonly names: readonly string[];
  /** Which of COM1..COM4 exist. */
  readonly serial: readonly boolean[];
}
type Warn = (text: string) => void;

/** Opens everything, or nothing. Whoever gets the parts closes the disks. */
export async function gatherParts(
  source: GuestSource,
  snapshot: SnapshotFile | undefined,
  warn: Warn,
): Promise<GuestParts> {
  const { config, warnings } = await source.config();
  for (const { message } of warnings) warn(message);
  const machine = await machineConfig(source, config, snapshot);
  const { disks, names } = await openDisks(source, config.disks, warn);
  const serial = Array.from({ length: SERIAL_PORTS }, (_, i) =>
    config.serialPorts.some((p) => p.index === i && p.connected),
  );
  if (serial[0] !== true) warn(`${source.vmx}: serial0 is not present: there will be no console`);
  return { machine, disks, names, serial };
}

async function machineConfig(
  source: GuestSource,
  config: GuestConfig,
  snapshot: SnapshotFile | undefined,
): Promise<MachineConfig> {
  const sizes = { ramBytes: config.memoryMiB * 2 ** 20, videoMemoryBytes: VIDEO_MEMORY };
  // The kernel lies in the snapshot's memory, and the calendar goes on with the machine's time.
  if (snapshot !== undefined) return { ...sizes, epoch: snapshot.state.config.epoch, commandLine: '' };
  if (config.boot === undefined) {
    throw new TomeiError(
      'vmx.nothing-to-boot',
      `${source.vmx}: this version boots kernels directly, without firmware: name one by tomei.kernel`,
    );
  }
  const { kernel, initrd, commandLine } = config.boot;
  return {
    ...sizes,
    epoch: Math.floor(Date.now() / 1000),
    kernel: await source.bootFile('kernel', kernel, sizes.ramBytes),
    ...(initrd === undefined ? {} : { initrd: await source.bootFile('initrd', initrd, sizes.ramBytes) }),
    commandLine,
  };
}

async function openDisks(
  source: GuestSource,
  configs: readonly DiskConfig[],
  warn: Warn,
): Promise<{ disks: GuestDisk[]; names: string[] }> {
  const disks: GuestDisk[] = [],
    names: string[] = [];
  try {
    for (const config of configs) {
      if (config.kind === 'cdrom' || config.file === undefined) {
        warn(`${config.slot}: CD-ROM drives are not there yet; the guest runs without it`);
        continue;
      }
      if (!config.persistent)
        throw new TomeiError(
          'vmx.unsupported',
          `${config.slot}.mode = "${config.mode}": this version keeps every write; use "persistent"`,
        );
      const disk = await source.openDisk(config, config.file);
      for (const text of disk.warnings) warn(text);
      disks.push(disk);
      names.push(config.slot);
    }
    return { disks, names };
  } catch (error) {
    await Promise.allSettled(disks.map((disk) => disk.close()));
    throw error;
  }
}
