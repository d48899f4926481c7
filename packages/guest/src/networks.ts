/** The network cards of a guest: what of a `.vmx` becomes which card with a cable to whom. */
import { readFile } from 'node:fs/promises';
import type { GuestConfig } from '@tomei/vmx';
import type { NicShape } from './protocol.ts';

/** What a board has room for. */
const MOST_CARDS = 8;
/** Option ROMs that boot a card of this kind: Debian's package `ipxe-qemu`, and QEMU's own. */
export const BOOT_ROMS = [
  '/usr/lib/ipxe/82540em.rom',
  '/usr/share/qemu/pxe-e1000.rom',
  '/usr/local/share/qemu/pxe-e1000.rom',
] as const;

export interface GuestNic extends NicShape {
  /** As the `.vmx` names it. */
  readonly name: string;
  /** Of whom this card is to reach the others; undefined: nobody. */
  readonly network?: string;
}
export interface NetworkOptions {
  /** The `.vmx`, for messages. */
  readonly vmx: string;
  /** Whether guests of this machine meet. */
  readonly meets: boolean;
  readonly roms?: readonly string[];
}

/** Cards of which nobody is at the other end are told of: the guest has them all the same. */
export async function networkCards(
  config: GuestConfig,
  { vmx, meets, roms = BOOT_ROMS }: NetworkOptions,
  warn: (text: string) => void,
): Promise<GuestNic[]> {
  const cards = config.networks ?? [];
  if (cards.length === 0) return [];
  const rom = await bootRom(config, roms, (text) => warn(`${vmx}: ${text}`));
  return cards.flatMap(({ index, device, address, network, connected, line }, i) => {
    const name = `ethernet${index}`,
      here = `${vmx}:${line}: ${name}`;
    if (i >= MOST_CARDS) {
      warn(`${here}: the machine has room for ${MOST_CARDS} cards; the guest runs without this one`);
      return [];
    }
    if (connected && network === undefined)
      warn(`${here} has nobody at the other end: ${name}.networkName joins guests that name the same network`);
    if (connected && network !== undefined && !meets)
      warn(`${here} has nobody at the other end: guests of a cluster do not meet on a network yet`);
    return {
      ...{ name, device, mac: Uint8Array.from(address.split(':'), (byte) => parseInt(byte, 16)), connected },
      ...(network === undefined || !connected || !meets ? {} : { network }),
      ...(rom === undefined || device !== 'e1000' ? {} : { rom }),
    };
  });
}

/** A card has a boot ROM where the firmware is to boot from it: with one, every start takes seconds longer. */
async function bootRom(
  config: GuestConfig,
  roms: readonly string[],
  warn: (text: string) => void,
): Promise<Uint8Array | undefined> {
  if (config.boot !== undefined || config.bootOrder?.includes('ethernet') !== true) return undefined;
  for (const path of roms) {
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes !== undefined) return new Uint8Array(bytes);
  }
  warn(
    `bios.bootOrder names the network, and there is no boot ROM for it in ${roms.join(', ')}: install it with "apt-get install ipxe-qemu"`,
  );
  return undefined;
}
