/** Where this machine keeps SeaBIOS and its video BIOS (Debian's package `seabios`; QEMU's own builds are the same images). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TomeiError } from '@tomei/kit';
import type { FirmwareImages } from '@tomei/paravirt-core';

export const FIRMWARE_FOLDERS = ['/usr/share/seabios', '/usr/share/qemu', '/usr/local/share/qemu'] as const;
const BIOS = 'bios-256k.bin';
const VIDEO_BIOS = 'vgabios-stdvga.bin';

const read = (path: string): Promise<Uint8Array | undefined> =>
  readFile(path).then(
    (bytes) => new Uint8Array(bytes),
    () => undefined,
  );

/** The images of the first folder that has both. Throws `firmware.missing`, saying what to install. */
export async function findFirmware(folders: readonly string[] = FIRMWARE_FOLDERS): Promise<FirmwareImages> {
  for (const folder of folders) {
    const bios = await read(join(folder, BIOS));
    const videoBios = await read(join(folder, VIDEO_BIOS));
    if (bios !== undefined && videoBios !== undefined) return { bios, videoBios };
  }
  throw new TomeiError(
    'firmware.missing',
    `a guest without tomei.kernel starts from SeaBIOS, which is in none of ${folders.join(', ')}: install it with "apt-get install seabios"`,
    { data: { folders } },
  );
}
