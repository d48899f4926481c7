/** What a `.vmx` says of the firmware: `firmware` and `bios.bootOrder`. */
import type { Problems } from './problem.ts';
import type { Values } from './values.ts';

/** VMware's words for what the BIOS tries. */
export const BOOT_DEVICES = ['floppy', 'hdd', 'cdrom', 'ethernet'] as const;
export type BootDevice = (typeof BOOT_DEVICES)[number];

/**
 * `bios.bootOrder`, e.g. `cdrom,hdd`: at most three kinds of device, each once; undefined when absent. `allow:` in front, as
 * VMware's menu writes it, means the same. Reports words that are none, and firmware that is not a BIOS.
 */
export function readBootOrder(values: Values, problems: Problems): readonly BootDevice[] | undefined {
  const firmware = values.find('firmware');
  if (firmware !== undefined && firmware.value.trim().toLowerCase() !== 'bios') {
    const what = `firmware = "${firmware.value}": this version starts guests from a BIOS; write "bios"`;
    problems.error('vmx.unsupported', firmware, what);
  }
  const entry = values.find('bios.bootOrder');
  const text = values.text('bios.bootOrder');
  if (entry === undefined || text === undefined) return undefined;
  const order: BootDevice[] = [];
  for (const word of text.replace(/^allow:/i, '').split(',')) {
    // One card is as good as another to the BIOS.
    const wanted = word
      .trim()
      .toLowerCase()
      .replace(/^ethernet\d$/, 'ethernet');
    const device = BOOT_DEVICES.find((known) => known === wanted);
    if (device === undefined) {
      const what = `bios.bootOrder = "${entry.value}": "${word.trim()}" is not one of ${BOOT_DEVICES.join(', ')}`;
      problems.error('vmx.value', entry, what);
      return undefined;
    }
    if (!order.includes(device)) order.push(device);
  }
  if (order.length > 3) {
    problems.warn('vmx.unused', entry, `bios.bootOrder = "${entry.value}": the BIOS tries the first three`);
  }
  return order.slice(0, 3);
}
