/**
 * Folders of the host that a guest finds: `sharedFolder0.*` to `sharedFolder7.*`, by VMware's names and defaults. VMware's guests reach
 * them by its tools; here each is a virtio 9P device.
 */
import { TomeiError } from '@tomei/kit';
import type { VmxEntry } from './dictionary.ts';
import type { FileReference, GuestConfig } from './guest-config.ts';
import type { Problems } from './problem.ts';
import type { ParavirtMode } from './tomei-keys.ts';
import type { Values } from './values.ts';

const SHARED_FOLDERS = 8;
/** VMware has no more than that; those beyond `SHARED_FOLDERS` are warned of. */
const NUMBERED = 64;
const MOST_TAG_BYTES = 255;

export interface ShareConfig {
  /** `guestName`, by which the guest mounts it (9P's mount tag): 1 to 255 bytes. */
  readonly tag: string;
  /** `hostPath`. */
  readonly folder: FileReference;
  /** Whether `writeAccess` is not TRUE. */
  readonly readOnly: boolean;
}

/** Those that are present, enabled and may be read. Whatever keeps a present one from the guest is warned of. */
export function readSharedFolders(values: Values, problems: Problems, paravirt: ParavirtMode): ShareConfig[] {
  const shares: ShareConfig[] = [];
  const most = values.whole('sharedFolder.maxNum') ?? NUMBERED;
  const isOff = values.boolean('isolation.tools.hgfs.disable') ?? false;
  for (let index = 0; index < NUMBERED; index++) {
    const name = `sharedFolder${index}`;
    const present = values.find(`${name}.present`);
    if (present === undefined || values.boolean(`${name}.present`) !== true) continue;
    const enabled = values.boolean(`${name}.enabled`);
    // Switched off in VMware's dialogue: nobody wonders where it is.
    if (enabled === false) continue;
    const without = (entry: VmxEntry, why: string): void =>
      problems.warn('vmx.unused', entry, `${why}: the guest does not find ${name}`);
    if (paravirt === 'off') without(present, `${present.key} does nothing with tomei.paravirt = "off"`);
    else if (isOff) without(present, 'isolation.tools.hgfs.disable is TRUE');
    else if (index >= most) without(present, `sharedFolder.maxNum is ${most}`);
    else if (index >= SHARED_FOLDERS) without(present, `a machine has ${SHARED_FOLDERS} shared folders at most`);
    else if (enabled !== true) without(present, `${name}.enabled is not TRUE`);
    else if (values.boolean(`${name}.readAccess`) !== true) without(present, `${name}.readAccess is not TRUE`);
    else {
      const share = readShare(values, problems, name, present);
      const other = shares.some(({ tag }) => tag === share?.tag);
      if (other)
        problems.error('vmx.value', present, `${name}.guestName = "${share!.tag}": another folder has this name`);
      else if (share !== undefined) shares.push(share);
    }
  }
  return shares;
}

/**
 * For guests of a cluster: whoever may register one must not reach into the machine on which it happens to run. Throws
 * `vmx.unsupported`, naming file, line and key.
 */
export function refuseSharedFolders({ shares = [] }: GuestConfig, fileName: string): void {
  const [first] = shares;
  if (first === undefined) return;
  const { key, line } = first.folder;
  const what =
    'guests of a lab or a cluster share no folder of a host; remove the sharedFolder keys, or run it by "tomei run"';
  throw new TomeiError('vmx.unsupported', `${fileName}:${line}: ${key}: ${what}`, {
    data: { file: fileName, line, key },
  });
}

function readShare(values: Values, problems: Problems, name: string, present: VmxEntry): ShareConfig | undefined {
  const missing = ['hostPath', 'guestName'].filter((key) => values.text(`${name}.${key}`) === undefined);
  for (const key of missing)
    problems.error('vmx.missing-key', present, `${name}.present is TRUE, but ${name}.${key} is not set`);
  const folder = values.file(`${name}.hostPath`);
  const tag = values.text(`${name}.guestName`);
  if (folder === undefined || tag === undefined) return undefined;
  const named = values.find(`${name}.guestName`)!;
  // eslint-disable-next-line no-control-regex -- what no mount command can name
  if (/[\x00-\x1f\x7f]/.test(tag) || new TextEncoder().encode(tag).length > MOST_TAG_BYTES) {
    const what = `${named.key} = "${tag.slice(0, 40)}": a name has 1 to ${MOST_TAG_BYTES} bytes and no control characters`;
    problems.error('vmx.value', named, what);
    return undefined;
  }
  const expiration = values.find(`${name}.expiration`);
  if (expiration !== undefined && !['', 'never'].includes(expiration.value.trim().toLowerCase())) {
    const what = `${expiration.key} = "${expiration.value.slice(0, 40)}": this version shares a folder without an end; write "never"`;
    problems.error('vmx.unsupported', expiration, what);
  }
  if (values.boolean(`${name}.followSymlinks`) === true) {
    const what = 'symbolic links are followed by the guest, within its own files, and never on the host';
    problems.warn('vmx.unsupported', values.find(`${name}.followSymlinks`)!, `${name}.followSymlinks: ${what}`);
  }
  return { tag, folder, readOnly: values.boolean(`${name}.writeAccess`) !== true };
}
