/** Network cards of a `.vmx`: `ethernet0.*` to `ethernet9.*`. */
import type { VmxEntry } from './dictionary.ts';
import type { Problems } from './problem.ts';
import type { ParavirtMode } from './tomei-keys.ts';
import type { Values } from './values.ts';

/** VMware's kinds of card, and virtio's. This version has `NetworkDevice`. */
const DEVICES = ['e1000', 'virtio', 'e1000e', 'vlance', 'vmxnet', 'vmxnet2', 'vmxnet3', 'flexible'] as const;
export type NetworkDevice = 'e1000' | 'virtio';

export interface NetworkConfig {
  /** 0..9. */
  readonly index: number;
  readonly device: NetworkDevice;
  /** Six bytes in hexadecimal, lower case, with colons. */
  readonly address: string;
  /** `networkName`, or `vnet`: cards of the same name are meant to reach each other. */
  readonly network?: string;
  /** `startConnected`; true when absent. */
  readonly connected: boolean;
  readonly line: number;
}

export const NETWORK_CARDS = 10;
/** VMware's range for addresses that it generates. */
const GENERATED_PREFIX = [0x00, 0x0c, 0x29] as const;
/** VMware keeps the addresses of one guest's cards this far apart. */
const GENERATED_STEP = 10;

/**
 * `guest.name` stands for the guest where it has no UUID. Cards beyond what the machine has room for are its business. A guest that
 * is to find nothing paravirtual has no virtio cards.
 */
export function readNetworks(
  values: Values,
  problems: Problems,
  guest: { readonly name: string; readonly paravirt: ParavirtMode },
): NetworkConfig[] {
  const cards: NetworkConfig[] = [];
  for (let index = 0; index < NETWORK_CARDS; index++) {
    const name = `ethernet${index}`;
    const present = values.find(`${name}.present`);
    if (present === undefined || values.boolean(`${name}.present`) !== true) continue;
    const device = values.word(`${name}.virtualDev`, DEVICES);
    const isVirtio = device === 'virtio' && guest.paravirt !== 'off';
    if (device !== undefined && device !== 'e1000' && !isVirtio) {
      const entry = values.find(`${name}.virtualDev`) ?? present;
      const where = device === 'virtio' ? ' with tomei.paravirt = "off"' : '';
      problems.warn('vmx.unsupported', entry, `${entry.key} = "${device}"${where}: the guest gets an e1000 instead`);
    }
    const network = given(values.text(`${name}.networkName`)) ?? given(vnetOf(values.text(`${name}.vnet`)));
    cards.push({
      index,
      device: isVirtio ? 'virtio' : 'e1000',
      address:
        readAddress(values, problems, name, present) ?? formatAddress(generatedAddress(values, guest.name, index)),
      ...(network === undefined ? {} : { network }),
      connected: values.boolean(`${name}.startConnected`) ?? true,
      line: present.line,
    });
  }
  return cards;
}

const given = (text: string | undefined): string | undefined => (text === '' ? undefined : text);
/** `vmnet2` is `VMnet2` on Windows and may be `/dev/vmnet2` on Linux. */
const vnetOf = (text: string | undefined): string | undefined => text?.toLowerCase().replace(/^\/dev\//, '');

/** The address as written, by `addressType`; undefined where one is to be made up. */
function readAddress(values: Values, problems: Problems, name: string, present: VmxEntry): string | undefined {
  const type = values.word(`${name}.addressType`, ['generated', 'static', 'vpx']) ?? 'generated';
  const key = type === 'static' ? `${name}.address` : `${name}.generatedAddress`;
  const entry = values.find(key);
  if (entry === undefined || entry.value === '') {
    if (type === 'static') {
      problems.error('vmx.missing-key', present, `${name}.addressType is "static", but ${key} is not set`);
    }
    return undefined;
  }
  const bytes = parseAddress(entry.value);
  if (bytes === undefined) {
    const what = `${entry.key} = "${entry.value.slice(0, 40)}" is not an address like "00:50:56:12:34:56"`;
    problems.error('vmx.value', entry, what);
    return undefined;
  }
  if ((bytes[0]! & 1) !== 0) {
    const what = `${entry.key} = "${entry.value}" is a group's address; a card's has an even first byte`;
    problems.error('vmx.value', entry, what);
    return undefined;
  }
  return formatAddress(bytes);
}

function parseAddress(text: string): number[] | undefined {
  const parts = text.trim().split(/[:-]/);
  if (parts.length !== 6 || !parts.every((part) => /^[0-9a-f]{1,2}$/i.test(part))) return undefined;
  return parts.map((part) => parseInt(part, 16));
}

const formatAddress = (bytes: readonly number[]): string =>
  bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');

/** As VMware makes it: the last three bytes of the guest's UUID, moved on for further cards; without a UUID, of a hash of its name. */
function generatedAddress(values: Values, name: string, index: number): number[] {
  const uuid = ['uuid.location', 'uuid.bios']
    .map((key) => (values.text(key) ?? '').replaceAll(/[^0-9a-f]/gi, ''))
    .find((digits) => digits.length === 32);
  const tail = uuid === undefined ? hash(name) & 0xff_ffff : parseInt(uuid.slice(26), 16);
  const moved = (tail + index * GENERATED_STEP) & 0xff_ffff;
  return [...GENERATED_PREFIX, moved >> 16, (moved >> 8) & 0xff, moved & 0xff];
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c_9dc5;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x0100_0193) >>> 0;
  return value;
}
