import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FileReference } from '@tomei/vmx';
import { createVmdk } from '@tomei/vmdk';
import { openDrives } from '../drives.ts';
import { localSource } from './local-source.ts';
import { nonpersistent } from './nonpersistent.ts';

let folder = '';
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'images-'))));
afterEach(() => rm(folder, { recursive: true }));

const source = () => localSource(join(folder, 'a.vmx'));
async function file(name: string, bytes: Uint8Array, key = 'ide1:0.fileName'): Promise<FileReference> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return { key, line: 7, fileName: name, path };
}
const iso = (length: number): Uint8Array => {
  const bytes = Uint8Array.from({ length }, (_, i) => (i * 5) & 0xff);
  bytes.set(new TextEncoder().encode('\u0001CD001'), 16 * 2048);
  return bytes;
};

describe('an image of a CD', () => {
  it('is a read-only disk, without a word when it is one', async () => {
    const bytes = iso(20 * 2048);
    const disc = await source().openCd(await file('a.iso', bytes));
    expect([disc.sizeBytes, disc.readOnly, disc.warnings]).toEqual([20 * 2048, true, []]);
    const got = new Uint8Array(2048);
    await disc.read(3 * 2048, got);
    expect(Buffer.from(got).equals(Buffer.from(bytes.slice(3 * 2048, 4 * 2048)))).toBe(true);
    await expect(disc.write(0, got)).rejects.toMatchObject({ code: 'disk.read-only' });
    await disc.close();
  });
  it('is served to its last byte where it is cut short, with a warning that names file and key', async () => {
    const bytes = iso(20 * 2048 + 700);
    const disc = await source().openCd(await file('a.iso', bytes));
    expect(disc.sizeBytes).toBe(21 * 2048);
    expect(disc.warnings).toEqual([expect.stringMatching(/a\.vmx:7: ide1:0\.fileName: a\.iso has 41660 bytes/)]);
    const got = new Uint8Array(2048);
    await disc.read(20 * 2048, got);
    expect([...got.slice(0, 700)]).toEqual([...bytes.slice(20 * 2048)]);
    expect(got.slice(700).every((b) => b === 0)).toBe(true);
    await disc.close();
  });
  it('is served where it is no file system of CDs, with a warning', async () => {
    const disc = await source().openCd(await file('a.iso', new Uint8Array(100 * 2048)));
    expect(disc.warnings).toEqual([expect.stringMatching(/a\.iso is no ISO 9660/)]);
    await disc.close();
  });
  it('is refused where there is nothing', async () => {
    await expect(source().openCd(await file('a.iso', new Uint8Array(0)))).rejects.toMatchObject({ code: 'disk.empty' });
    const nowhere = { key: 'ide1:0.fileName', line: 1, fileName: 'b', path: join(folder, 'b') };
    await expect(source().openCd(nowhere)).rejects.toMatchObject({ code: 'disk.missing' });
  });
});

describe('an image of a floppy disk', () => {
  it('is written', async () => {
    const at = await file('a.img', new Uint8Array(1_474_560), 'floppy0.fileName');
    const disk = await source().openFloppy(at);
    expect([disk.sizeBytes, disk.readOnly, disk.warnings]).toEqual([1_474_560, false, []]);
    await disk.write(512, new Uint8Array(512).fill(9));
    await disk.close();
    const again = await source().openFloppy(at);
    const got = new Uint8Array(1024);
    await again.read(0, got);
    expect([got[511], got[512]]).toEqual([0, 9]);
    await again.close();
  });
  it('is protected where the file is, odd sizes are told, and large ones refused', async () => {
    const at = await file('a.img', new Uint8Array(1_296_384), 'floppy0.fileName');
    await chmod(at.path, 0o444);
    const disk = await source().openFloppy(at);
    expect([disk.readOnly, disk.warnings.length]).toEqual([true, 2]);
    expect(disk.warnings.join('\n')).toMatch(
      /floppy0\.fileName: a\.img may not be written.*\n.*1296384 bytes, which is no format/,
    );
    await disk.close();
    const large = await file('b.img', new Uint8Array(3 << 20), 'floppy0.fileName');
    await expect(source().openFloppy(large)).rejects.toMatchObject({ code: 'disk.no-floppy' });
  });
});

describe('a nonpersistent disk', () => {
  it('reads what was written, and leaves the file as it was', async () => {
    const path = join(folder, 'a.vmdk');
    await createVmdk(path, { type: 'monolithicFlat', sizeBytes: 1 << 20 });
    const reference = { key: 'ide0:0.fileName', line: 1, fileName: 'a.vmdk', path };
    const disk = { slot: 'ide0:0', bus: 'ide', controller: 0, unit: 0, kind: 'disk', mode: 'nonpersistent' } as const;
    const config = { ...disk, persistent: false, deviceType: 'disk', line: 1, file: reference };
    const base = await source().openDisk(config, reference);
    expect(base.readOnly).toBe(true);
    const overlay = await nonpersistent(base, 'ide0:0', folder);
    expect(await overlay.pinContentId()).toBe(await base.pinContentId());
    await overlay.write(1024, new Uint8Array(1024).fill(7));
    const got = new Uint8Array(4096);
    await overlay.read(0, got);
    expect([got[1023], got[1024], got[2047], got[2048]]).toEqual([0, 7, 7, 0]);
    await base.read(0, got);
    expect(got.every((b) => b === 0)).toBe(true);
    await expect(overlay.pinContentId()).rejects.toMatchObject({ code: 'snapshot.nonpersistent' });
    await expect(overlay.write(1 << 20, new Uint8Array(512))).rejects.toMatchObject({ code: 'disk.out-of-range' });
    await overlay.close();
  });
});

describe('the drives of a guest', () => {
  const vmx = async (...lines: string[]) => {
    await writeFile(join(folder, 'a.vmx'), ['.encoding = "UTF-8"', ...lines, ''].join('\n'));
    const warnings: string[] = [];
    const { config } = await source().config();
    const drives = await openDrives(source(), config, (text) => warnings.push(text));
    await Promise.all(drives.disks.map((d) => d.close()));
    return { ...drives, warnings };
  };
  const some = [
    'ide0:0.present = "TRUE"',
    'ide0:0.fileName = "a.vmdk"',
    'scsi0:0.present = "TRUE"',
    'scsi0:0.fileName = "b.vmdk"',
  ];
  const cds = [
    'ide1:0.present = "TRUE"',
    'ide1:0.deviceType = "cdrom-image"',
    'ide1:0.fileName = "a.iso"',
    'sata0:1.present = "TRUE"',
    'sata0:1.deviceType = "cdrom-image"',
  ];
  beforeEach(async () => {
    for (const name of ['a', 'b'])
      await createVmdk(join(folder, `${name}.vmdk`), { type: 'monolithicFlat', sizeBytes: 1 << 20 });
    await writeFile(join(folder, 'a.iso'), iso(20 * 2048));
    await writeFile(join(folder, 'a.img'), new Uint8Array(737_280));
  });

  it('are IDE drives for firmware, and the other buses disks virtio ones', async () => {
    const { names, places, empty } = await vmx(
      ...some,
      ...cds,
      'floppy0.present = "TRUE"',
      'floppy0.fileName = "a.img"',
      'floppy1.present = "TRUE"',
    );
    expect(names).toEqual(['ide0:0', 'ide1:0', 'scsi0:0', 'floppy0']);
    expect(places).toEqual([
      { bus: 'ide', drive: 0, kind: 'disk' },
      { bus: 'ide', drive: 2, kind: 'cdrom' },
      { bus: 'virtio' },
      { bus: 'floppy', drive: 0 },
    ]);
    expect(empty).toEqual([
      { bus: 'ide', drive: 3, kind: 'cdrom' },
      { bus: 'floppy', drive: 1 },
    ]);
  });
  it('are virtio disks for a kernel that is loaded directly, and CD-ROM drives are IDE all the same', async () => {
    await writeFile(join(folder, 'k'), '');
    const { places } = await vmx(...some, ...cds, 'tomei.kernel = "k"');
    expect(places.map((p) => p.bus)).toEqual(['ide', 'virtio', 'virtio']);
  });
});
