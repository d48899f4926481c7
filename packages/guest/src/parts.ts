/** What a guest is put together from: its source's configuration, kernel and disks, opened and checked. */
import type { MachineConfig } from '@tomei/paravirt-core';
import {
  SERIAL_PORTS,
  refuseSharedFolders,
  type EngineKind,
  type FileReference,
  type GuestConfig,
  type VirtioConfig,
} from '@tomei/vmx';
import { findFirmware } from './firmware-files.ts';
import { networkCards, type GuestNic } from './networks.ts';
import { openDrives, type GuestDrives } from './drives.ts';
import type { GuestShare } from './share/share-servers.ts';
import type { SnapshotFile } from './snapshot-file.ts';
import type { GuestDisk, GuestSource } from './source/guest-source.ts';

/** VMware's words and the machine's. */
const BOOT_DEVICE = { floppy: 'floppy', hdd: 'disk', cdrom: 'cdrom', ethernet: 'network' } as const;
const VIDEO_MEMORY = 16 << 20;
/** Of a virtio GPU: a picture of the largest size twice, or many smaller ones. Pages that no guest has used cost nothing. */
const GPU_MEMORY = 64 << 20;

export interface GuestParts extends GuestDrives {
  readonly machine: MachineConfig;
  /** Which of COM1..COM4 exist. */
  readonly serial: readonly boolean[];
  readonly networks: readonly GuestNic[];
  readonly virtio: VirtioConfig;
  /** Folders of the host. */
  readonly shares: readonly GuestShare[];
  /** Opens an image of a CD for a drive while the guest runs. Throws `disk.*`. */
  openDisc(slot: string, file: string): Promise<GuestDisk>;
}
type Warn = (text: string) => void;

/** Opens everything, or nothing. Whoever gets the parts closes the disks. `engine` goes before what the `.vmx` says. */
export async function gatherParts(
  source: GuestSource,
  { snapshot, engine }: { readonly snapshot: SnapshotFile | undefined; readonly engine?: EngineKind | undefined },
  warn: Warn,
): Promise<GuestParts> {
  const { config: read, warnings } = await source.config();
  const config = engine === undefined ? read : { ...read, engine };
  for (const { message } of warnings) warn(message);
  const shares = sharesOf(source, config);
  const machine = await machineConfig(source, config, snapshot);
  const networks = await networkCards(config, { vmx: source.vmx, meets: source.isLocal }, warn);
  const drives = await openDrives(source, config, warn);
  const serial = Array.from({ length: SERIAL_PORTS }, (_, i) =>
    config.serialPorts.some((p) => p.index === i && p.connected),
  );
  if (serial[0] !== true) warn(`${source.vmx}: serial0 is not present: there will be no console`);
  const openDisc = (slot: string, file: string): Promise<GuestDisk> =>
    source.openCd({ key: slot, fileName: file, path: file, line: 0 });
  return { machine, ...drives, serial, networks, virtio: reachable(source, config.virtio, warn), shares, openDisc };
}

/** A guest of a pool makes no files on the machine that it happens to run on: nobody is at the other end of its ports. */
function reachable(source: GuestSource, virtio: VirtioConfig, warn: Warn): VirtioConfig {
  if (source.isLocal) return virtio;
  for (const { name, socket } of virtio.ports) {
    const why = 'ports of guests of a cluster have no sockets; nobody is at the other end';
    if (socket !== undefined) warn(`${source.vmx}:${socket.line}: ${socket.key} of the port ${name}: ${why}`);
  }
  const { vsock } = virtio;
  if (vsock?.socket !== undefined) {
    const { key, line } = vsock.socket;
    warn(`${source.vmx}:${line}: ${key}: virtio sockets of guests of a cluster have nobody at the other end`);
  }
  return {
    ...virtio,
    ports: virtio.ports.map(({ name }) => ({ name })),
    ...(vsock === undefined ? {} : { vsock: { cid: vsock.cid } }),
  };
}

/** Throws `vmx.unsupported` for a guest of a pool. */
function sharesOf(source: GuestSource, config: GuestConfig): GuestShare[] {
  if (!source.isLocal) refuseSharedFolders(config, source.vmx);
  const place = ({ key, line }: FileReference): string => `${source.vmx}:${line}: ${key}`;
  const { shares = [] } = config;
  return shares.map(({ tag, folder, readOnly }) => ({ tag, hostPath: folder.path, readOnly, place: place(folder) }));
}

async function machineConfig(
  source: GuestSource,
  config: GuestConfig,
  snapshot: SnapshotFile | undefined,
): Promise<MachineConfig> {
  const cpuid = config.cpuid === undefined ? {} : { cpuid: config.cpuid };
  const interpreted = config.engine === 'interpreter';
  // A guest that goes on has its hypervisor in memory, whatever the file says by now.
  const paravirt = snapshot?.state.config.paravirt ?? config.paravirt;
  const vmi = snapshot?.state.config.vmi ?? (config.vmi ? 'measured' : 'off');
  const ramBytes = config.memoryMiB * 2 ** 20;
  const gpu = config.virtio.gpu ? { gpuMemoryBytes: GPU_MEMORY } : {};
  const processors = config.vcpus === 1 ? {} : { processors: config.vcpus };
  const cores = config.coresPerSocket === 1 ? {} : { coresPerSocket: config.coresPerSocket };
  // A plain PC has no tools: nothing is said of them.
  const tools = paravirt === 'kvm' ? { tools: config.tools } : {};
  const sizes = {
    ...tools,
    ramBytes,
    videoMemoryBytes: VIDEO_MEMORY,
    ...gpu,
    ...processors,
    ...cores,
    interpreted,
    paravirt,
    vmi,
    ...cpuid,
  };
  const firmware = config.boot === undefined ? { firmware: await findFirmware() } : {};
  // The kernel lies in the snapshot's memory, and the calendar goes on with the machine's time.
  if (snapshot !== undefined) return { ...sizes, ...firmware, epoch: snapshot.state.config.epoch, commandLine: '' };
  if (config.boot === undefined) {
    const order = config.bootOrder?.map((device) => BOOT_DEVICE[device]);
    const bootOrder = order === undefined ? {} : { bootOrder: order };
    return { ...sizes, ...firmware, ...bootOrder, epoch: Math.floor(Date.now() / 1000), commandLine: '' };
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
