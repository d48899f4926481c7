/** Disks and CD-ROMs of a `.vmx`: `<bus><controller>:<unit>.*`. */
import { vmxKey, type VmxEntry, type VmxFile } from './dictionary.ts';
import type { FileReference } from './guest-config.ts';
import type { Problems } from './problem.ts';
import type { Values } from './values.ts';

export type DiskBus = 'ide' | 'sata' | 'scsi' | 'nvme';

/** What happens to writes. The independent modes differ from the plain ones only in what snapshots do. */
export const DISK_MODES = [
  'persistent',
  'nonpersistent',
  'independent-persistent',
  'independent-nonpersistent',
] as const;
export type DiskMode = (typeof DISK_MODES)[number];

export interface DiskConfig {
  /** `ide0:0`, `scsi0:3`, ... */
  readonly slot: string;
  readonly bus: DiskBus;
  readonly controller: number;
  readonly unit: number;
  readonly kind: 'disk' | 'cdrom';
  /** Absent for a CD-ROM drive with nothing in it, which `startConnected` = FALSE says too. */
  readonly file?: FileReference;
  readonly mode: DiskMode;
  /** Whether writes survive power-off: false for the nonpersistent modes and for CD-ROMs. */
  readonly persistent: boolean;
  /** As written, e.g. `scsi-hardDisk`; `disk` when absent. */
  readonly deviceType: string;
  /** Where `present` is set. */
  readonly line: number;
}

/** Controllers and units of each bus (VMware's limits); SCSI unit 7 is the adapter itself. */
const BUSES: Readonly<Record<DiskBus, { controllers: number; units: number; reserved?: number }>> = {
  ide: { controllers: 2, units: 2 },
  sata: { controllers: 4, units: 30 },
  scsi: { controllers: 4, units: 16, reserved: 7 },
  nvme: { controllers: 4, units: 15 },
};
const BUS_ORDER = Object.keys(BUSES) as DiskBus[];

const DISK_TYPES = ['disk', 'hardDisk', 'ata-hardDisk', 'scsi-hardDisk', 'nvme-hardDisk'];
const CDROM_FILE_TYPES = ['cdrom-image'];
const CDROM_HOST_TYPES = ['cdrom-raw', 'atapi-cdrom', 'cdrom'];
const HOST_DISK_TYPES = ['plainDisk', 'rawDisk', 'scsi-passthru', 'scsi-nonpassthru-rdm', 'scsi-passthru-rdm'];

/** Reads every present disk. Reports slots that do not exist, missing file names and types that cannot be had. */
export function readDisks(vmx: VmxFile, values: Values, problems: Problems): DiskConfig[] {
  const disks: DiskConfig[] = [];
  const seen = new Set<string>();
  for (const entry of vmx.entries) {
    const match = /^(ide|sata|scsi|nvme)(\d{1,4}):(\d{1,4})\.present$/.exec(vmxKey(entry.key));
    if (match === null) continue;
    const [bus, controller, unit] = [match[1] as DiskBus, Number(match[2]), Number(match[3])];
    const slot = `${bus}${match[2]}:${match[3]}`;
    if (seen.has(slot)) continue;
    seen.add(slot);
    if (values.boolean(`${slot}.present`) !== true) continue;
    if (!slotExists(slot, bus, controller, unit)) {
      problems.error('vmx.value', entry, `${entry.key}: there is no slot ${slot}; ${slotsOf(bus)}`);
      continue;
    }
    if (controllerIsAbsent(`${bus}${controller}`, bus, slot, values, problems)) continue;
    const disk = readDisk({ slot, bus, controller, unit, entry: values.find(entry.key)! }, values, problems);
    if (disk !== undefined) disks.push(disk);
  }
  const rank = (d: DiskConfig): number => BUS_ORDER.indexOf(d.bus) * 1e6 + d.controller * 1e3 + d.unit;
  disks.sort((a, b) => rank(a) - rank(b));
  reportSharedFiles(disks, problems);
  return disks;
}

function slotExists(slot: string, bus: DiskBus, controller: number, unit: number): boolean {
  const { controllers, units, reserved } = BUSES[bus];
  return slot === `${bus}${controller}:${unit}` && controller < controllers && unit < units && unit !== reserved;
}

function slotsOf(bus: DiskBus): string {
  const { controllers, units, reserved } = BUSES[bus];
  const without = reserved === undefined ? '' : ` without ${reserved}`;
  return `${bus} has controllers 0..${controllers - 1} with units 0..${units - 1}${without}`;
}

/** IDE is part of the board; the other controllers are there when their own `present` says so. */
function controllerIsAbsent(name: string, bus: DiskBus, slot: string, values: Values, problems: Problems): boolean {
  if (bus === 'ide') return false;
  const entry = values.find(`${name}.present`);
  const present = values.boolean(`${name}.present`);
  if (entry !== undefined && present === false) {
    problems.warn('vmx.unused', entry, `${slot} is left out: ${entry.key} is "${entry.value}"`);
    return true;
  }
  return false;
}

interface Slot {
  readonly slot: string;
  readonly bus: DiskBus;
  readonly controller: number;
  readonly unit: number;
  readonly entry: VmxEntry;
}

function readDisk(at: Slot, values: Values, problems: Problems): DiskConfig | undefined {
  const { slot, bus, controller, unit, entry } = at;
  const written = values.text(`${slot}.deviceType`) ?? 'disk';
  const is = (types: readonly string[]): boolean => types.some((t) => t.toLowerCase() === written.trim().toLowerCase());
  const typeEntry = values.find(`${slot}.deviceType`) ?? entry;
  if (is(HOST_DISK_TYPES)) {
    const what = `${slot}.deviceType = "${written}": disks of the host itself are not given to guests; use a .vmdk file`;
    problems.error('vmx.unsupported', typeEntry, what);
    return undefined;
  }
  const onHost = is(CDROM_HOST_TYPES);
  const cdrom = onHost || is(CDROM_FILE_TYPES);
  if (!cdrom && !is(DISK_TYPES)) {
    const known = [...DISK_TYPES, ...CDROM_FILE_TYPES, ...CDROM_HOST_TYPES].join(', ');
    problems.error('vmx.value', typeEntry, `${slot}.deviceType = "${written}" is not one of ${known}`);
    return undefined;
  }
  const mode = readMode(slot, values, problems);
  const base = { slot, bus, controller, unit, mode, deviceType: written, line: entry.line };
  if (onHost) {
    const what = `${slot}: drives of the host are not given to guests; the CD-ROM drive stays empty`;
    problems.warn('vmx.unsupported', typeEntry, what);
    return { ...base, kind: 'cdrom', persistent: false };
  }
  const file = values.file(`${slot}.fileName`);
  if (file === undefined && !cdrom) {
    problems.error('vmx.missing-key', entry, `${slot} is present, but ${slot}.fileName is not set`);
    return undefined;
  }
  if (cdrom && values.boolean(`${slot}.startConnected`) === false) return { ...base, kind: 'cdrom', persistent: false };
  const persistent = !cdrom && !mode.endsWith('nonpersistent');
  return { ...base, kind: cdrom ? 'cdrom' : 'disk', persistent, ...(file === undefined ? {} : { file }) };
}

function readMode(slot: string, values: Values, problems: Problems): DiskMode {
  const entry = values.find(`${slot}.mode`);
  if (entry !== undefined && /^(undoable|append)$/i.test(entry.value.trim())) {
    const instead = 'use "independent-nonpersistent" to drop changes at power-off';
    problems.error('vmx.unsupported', entry, `${slot}.mode = "${entry.value}" is not supported; ${instead}`);
    return 'persistent';
  }
  return values.word(`${slot}.mode`, DISK_MODES) ?? 'persistent';
}

/** One image behind two writable slots would be written by two disks at once. */
function reportSharedFiles(disks: readonly DiskConfig[], problems: Problems): void {
  const byPath = new Map<string, DiskConfig>();
  for (const disk of disks) {
    if (disk.kind !== 'disk' || disk.file === undefined) continue;
    const other = byPath.get(disk.file.path);
    if (other !== undefined) {
      const what = `${disk.slot} and ${other.slot} name the same file, ${disk.file.fileName}`;
      problems.error('vmx.value', { line: disk.file.line, key: disk.file.key }, what);
    }
    byPath.set(disk.file.path, disk);
  }
}
