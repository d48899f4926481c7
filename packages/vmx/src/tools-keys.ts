/**
 * What VMware's tools in a guest find at its backdoor: `isolation.tools.*`, `monitor_control.restrict_backdoor` and `guestinfo.*`. Names
 * and defaults are VMware's.
 */
import { vmxKey, type VmxFile } from './dictionary.ts';
import type { Problems } from './problem.ts';
import type { Values } from './values.ts';

export interface ToolsConfig {
  /** Texts of the guest's clipboard do not come to the host; those of the host's do not come to the guest. */
  readonly noCopy: boolean;
  readonly noPaste: boolean;
  /** Programs need their system's leave to reach the backdoor. */
  readonly restricted: boolean;
  /** `guestinfo.*`, by names in lower case without that. */
  readonly info: Readonly<Record<string, string>>;
}

const PREFIX = 'guestinfo.';
const LONGEST_NAME = 128;
/** In bytes of UTF-8: a message to a guest is 64 KiB at most. */
const LONGEST_VALUE = 60_000;

export function readTools(vmx: VmxFile, values: Values, problems: Problems): ToolsConfig {
  const is = (key: string): boolean => values.boolean(key) ?? false;
  return {
    noCopy: is('isolation.tools.copy.disable'),
    noPaste: is('isolation.tools.paste.disable'),
    restricted: is('monitor_control.restrict_backdoor'),
    info: readGuestInfo(vmx, problems),
  };
}

function readGuestInfo(vmx: VmxFile, problems: Problems): Record<string, string> {
  const info: (readonly [string, string])[] = [];
  for (const entry of vmx.entries) {
    const key = vmxKey(entry.key);
    if (!key.startsWith(PREFIX) || key.length === PREFIX.length) continue;
    const name = key.slice(PREFIX.length),
      bytes = new TextEncoder().encode(entry.value).length;
    if (name.length > LONGEST_NAME)
      problems.error('vmx.value', entry, `${entry.key.slice(0, 40)}...: a name has ${LONGEST_NAME} characters at most`);
    else if (bytes > LONGEST_VALUE)
      problems.error('vmx.value', entry, `${entry.key} has ${bytes} bytes: ${LONGEST_VALUE} can be given to a guest`);
    else info.push([name, entry.value]);
  }
  return Object.fromEntries(info);
}
