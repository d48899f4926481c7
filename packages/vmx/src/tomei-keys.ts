/** The keys that are this project's own. A `tomei.*` key that nobody reads is a mistake, so it is an error. */
import { vmxKey, type VmxFile } from './dictionary.ts';
import type { Problems } from './problem.ts';

export const PARAVIRT_MODES = ['off', 'kvm'] as const;
export type ParavirtMode = (typeof PARAVIRT_MODES)[number];

/** What executes a guest's code: the interpreter alone, or compiled code for what runs often. */
export const ENGINES = ['interpreter', 'compiled'] as const;
export type EngineKind = (typeof ENGINES)[number];

/** Keys of a port of the virtio console. */
const portKeys = <const N extends number>(n: N) =>
  ({
    [`tomei.port${n}.name`]: 'name of a virtio console port: /dev/virtio-ports/NAME in the guest',
    [`tomei.port${n}.fileName`]: "unix socket at which the host's end of that port listens",
  }) as const;

/** Every `tomei.*` key, with what it is for. */
export const TOMEI_KEYS = {
  'tomei.kernel': 'bzImage or multiboot kernel to boot directly',
  'tomei.initrd': 'initial RAM disk for tomei.kernel',
  'tomei.cmdline': 'kernel command line for tomei.kernel',
  'tomei.engine': '"compiled" (default) or "interpreter": whether code that runs often is compiled',
  'tomei.paravirt': '"kvm" (default) or "off": what the guest may find of its hypervisor',
  'tomei.rng.present': 'TRUE: a virtio entropy device (/dev/hwrng), fed by the host',
  'tomei.balloon.present': 'TRUE: a virtio memory balloon; free pages of the guest stay out of snapshots',
  'tomei.gpu.present': 'TRUE: a virtio GPU beside the VGA, which has the screen while a driver uses it',
  'tomei.input.present': 'TRUE: a virtio tablet with an absolute pointer, and a virtio keyboard',
  'tomei.vsock.present': 'TRUE: a virtio socket device, for streams between programs of guest and host',
  'tomei.vsock.cid': "the guest's context identifier, 3 (default) to 4294967294",
  'tomei.vsock.fileName':
    'unix socket at which programs of the host connect to the guest; with _PORT behind it, those of the guest to the host',
  ...portKeys(0),
  ...portKeys(1),
  ...portKeys(2),
  ...portKeys(3),
} as const;

/** Reports unknown `tomei.*` keys, each with the nearest known one. */
export function checkTomeiKeys(vmx: VmxFile, problems: Problems): void {
  const known = Object.keys(TOMEI_KEYS);
  const keys = known.map(vmxKey);
  for (const entry of vmx.entries) {
    const key = vmxKey(entry.key);
    if (!key.startsWith('tomei.') || keys.includes(key)) continue;
    const nearest = known.reduce((best, k) => (distance(k, key) < distance(best, key) ? k : best));
    problems.error('vmx.unknown-key', entry, `${entry.key} is not a key of Tomei; did you mean ${nearest}?`);
  }
}

/** Levenshtein distance over the first 64 characters. */
function distance(left: string, right: string): number {
  const a = left.slice(0, 64);
  const b = right.slice(0, 64);
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
