/** From a `.vmx` in the pool to the record of a guest. */
import { isUtf8 } from 'node:buffer';
import { basename, dirname } from 'node:path/posix';
import { PoolService, guestName, messages, newGuestId, type Guest, type GuestSpec, type Init } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { rpcClient, type GuestRecords, type RpcClient } from '@tomei/service';
import {
  VMX_MAX_BYTES,
  createVmx,
  formatVmx,
  parseVmx,
  readGuestConfig,
  refuseSharedFolders,
  type VmxFile,
} from '@tomei/vmx';

const CALL_MS = 10_000;

/** The files of the pool, as disk-service has them. */
export class Pool {
  private readonly client: RpcClient<typeof PoolService>;

  constructor(target: string) {
    this.client = rpcClient(PoolService, target);
  }
  get calls(): RpcClient<typeof PoolService>['calls'] {
    return this.client.calls;
  }
  /** Throws what disk-service does: `pool.bad-path`, `pool.missing`, `pool.too-large`. */
  async fetch(path: string, maxBytes: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const { data } of this.calls.fetch({ path, maxBytes }, { deadlineMs: CALL_MS })) {
      parts.push(data);
      length += data.length;
      if (length > maxBytes)
        throw new TomeiError('pool.too-large', `${path} has more than the ${maxBytes} bytes that a .vmx may have`);
    }
    return Buffer.concat(parts);
  }
  close(): void {
    this.client.close();
  }
}

export interface Registered {
  readonly guest: Guest;
  /** What is odd in the `.vmx`, with line numbers. */
  readonly warnings: readonly string[];
}

/**
 * Reads the `.vmx`, makes sure that its disks are there, and keeps the guest, powered off. Throws the errors of disk-service and of
 * the `.vmx` (each names file and line), `guest.bad-name`, `guest.exists`, `guest.port-taken`.
 */
export async function register(
  request: { readonly vmx: string; readonly name?: string | undefined },
  { pool, records, now }: { readonly pool: Pool; readonly records: GuestRecords; readonly now: () => number },
): Promise<Registered> {
  const { spec, displayName, warnings } = await readSpec(request.vmx, pool);
  const guest = messages.Guest.make({
    id: newGuestId(),
    name: request.name === undefined ? fittingName(displayName, request.vmx) : guestName(request.name),
    createdMs: now(),
    spec,
    desired: { power: 'POWER_OFF', run: 0 },
    observed: { phase: 'GUEST_PHASE_OFF', sinceMs: now() },
  });
  refusePortOfAnother(guest, await records.list());
  await records.create(guest);
  return { guest, warnings };
}

const MAX_NAME = 64;
/**
 * A name for a guest from what its `.vmx` calls itself, which VMware lets be any text; from the name of that file when nothing is left.
 * Throws `guest.bad-name` when that has no letter or digit either.
 */
export function fittingName(displayName: string, vmxPath: string): string {
  const fitted = fit(displayName) || fit(basename(vmxPath).replace(/\.vmx$/i, ''));
  return guestName(fitted || basename(vmxPath));
}
function fit(text: string): string {
  const shown = text
    .normalize('NFC')
    .replaceAll(/[^\p{L}\p{N} ._\-+()]+/gu, ' ')
    .replaceAll(/ +/g, ' ')
    .replace(/^[^\p{L}\p{N}]+/u, '');
  return cut(shown, MAX_NAME).replace(/[^\p{L}\p{N})+]+$/u, '');
}
/** At most `units` of UTF-16, and no half of a character. */
function cut(text: string, units: number): string {
  let kept = '';
  for (const character of text) {
    if (kept.length + character.length > units) break;
    kept += character;
  }
  return kept;
}

async function readSpec(
  path: string,
  pool: Pool,
): Promise<{ spec: Init<GuestSpec>; displayName: string; warnings: readonly string[] }> {
  const bytes = await pool.fetch(path, VMX_MAX_BYTES);
  const vmx = parseVmx(bytes, path);
  const { config, warnings } = readGuestConfig(vmx, `/${dirname(path)}`);
  refuseSharedFolders(config, path);
  // Each begins with file and line.
  const said = warnings.map(({ message }) => message);
  const disks: { slot: string; path: string }[] = [];
  for (const { slot, file, kind } of config.disks) {
    if (file === undefined) continue;
    const disk = { slot, path: file.path.replace(/^\/+/, '') };
    disks.push(disk);
    // A CD-ROM's image is no disk; whether it is there is asked when there are CD-ROM drives.
    if (kind === 'cdrom') continue;
    const info = await pool.calls.info({ path: disk.path }, { deadlineMs: CALL_MS });
    said.push(...info.warnings);
  }
  return {
    spec: {
      vmxPath: path,
      vmxText: textOf(bytes, vmx),
      memoryMib: config.memoryMiB,
      vcpus: config.vcpus,
      disks,
      serialPorts: config.serialPorts.filter((port) => port.connected).map((port) => port.index),
      vnc: config.vnc,
      resizable: config.virtio.gpu,
    },
    displayName: config.displayName,
    warnings: said,
  };
}

/** The contracts speak UTF-8: a file in another character set is written anew, key by key. */
function textOf(bytes: Uint8Array, vmx: VmxFile): string {
  if (isUtf8(bytes)) return Buffer.from(bytes).toString('utf8');
  const entries = vmx.entries.map(({ key, value }) => [key, key === '.encoding' ? 'UTF-8' : value] as const);
  return Buffer.from(formatVmx(createVmx(entries, vmx.fileName))).toString('utf8');
}

/** The console gateway opens one TCP port a guest. */
function refusePortOfAnother(guest: Guest, others: readonly Guest[]): void {
  const port = guest.spec?.vnc?.port;
  if (port === undefined || port === 0) return;
  const other = others.find(({ spec }) => spec?.vnc?.port === port);
  if (other === undefined) return;
  throw new TomeiError(
    'guest.port-taken',
    `RemoteDisplay.vnc.port = "${port}": the guest ${JSON.stringify(other.name)} has this port already; give another one`,
  );
}
