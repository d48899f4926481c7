import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findFirmware } from './firmware-files.ts';

test('findFirmware takes the first folder that has both images, and names what to install when none has', async () => {
  const root = await mkdtemp(join(tmpdir(), 'tomei-firmware-'));
  try {
    const [half, whole] = [join(root, 'half'), join(root, 'whole')];
    await mkdir(half);
    await mkdir(whole);
    await writeFile(join(half, 'bios-256k.bin'), 'no video BIOS beside it');
    await writeFile(join(whole, 'bios-256k.bin'), 'bios');
    await writeFile(join(whole, 'vgabios-stdvga.bin'), 'video');

    const found = await findFirmware([join(root, 'none'), half, whole]);

    expect([found.bios, found.videoBios!].map((b) => new TextDecoder().decode(b))).toEqual(['bios', 'video']);
    await expect(findFirmware([half])).rejects.toThrow(/apt-get install seabios/);
  } finally {
    await rm(root, { recursive: true });
  }
});
