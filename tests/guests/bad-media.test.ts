/** Media that do not boot, and boot sectors of noise: what SeaBIOS says of them, here and in QEMU alike, and a machine that lives on. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { qemuMissing } from '@tomei/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Random } from '../conformance/random.ts';
import { type PcOptions } from './pc.ts';
import { QemuPc } from './qemu-pc.ts';
import { TomeiPc } from './tomei-pc.ts';

const SECTOR = 512,
  CD_SECTOR = 2048;
const MiB = 2 ** 20;
/** Where a CD has its volume descriptors (ECMA-119, 6.2.1). */
const VOLUME_DESCRIPTORS = 16 * CD_SECTOR;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-bad-media-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function image(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}
const noise = (seed: number, length: number): Uint8Array => new Random(`bad media ${seed}`).bytes(length);

/** The signature that makes a sector a boot sector. */
function bootSector(code: Uint8Array): Uint8Array {
  const sector = new Uint8Array(SECTOR);
  sector.set(code.subarray(0, 510));
  sector.set([0x55, 0xaa], 510);
  return sector;
}
/** A CD whose first volume descriptors say something, and whose boot record leads nowhere (El Torito 1.0, figure 7). */
function disc(catalog: number): Uint8Array {
  const bytes = new Uint8Array(MiB);
  const at = VOLUME_DESCRIPTORS;
  bytes.set([1, ...Buffer.from('CD001'), 1], at);
  bytes.set([0, ...Buffer.from('CD001'), 1, ...Buffer.from('EL TORITO SPECIFICATION')], at + CD_SECTOR);
  new DataView(bytes.buffer).setUint32(at + CD_SECTOR + 0x47, catalog, true);
  bytes.set([255, ...Buffer.from('CD001'), 1], at + 2 * CD_SECTOR);
  return bytes;
}

/** What SeaBIOS says of each device, in whatever order it tries them. */
const verdicts = (screen: string): string[] =>
  [...screen.matchAll(/Booting from (.*)\.\.\.\n(.*)/g)].map(([, device, verdict]) => `${device}: ${verdict}`).sort();

describe.for<[string, () => Promise<PcOptions>, RegExp]>([
  ['nothing at all', () => Promise.resolve({}), /No bootable device/],
  [
    'a disk of zeros',
    async () => ({ disk: { path: await image('zeros.img', new Uint8Array(MiB)), format: 'raw' } }),
    /Booting from Hard Disk\.\.\.\nBoot failed: not a bootable disk/,
  ],
  [
    'a disk of noise',
    async () => ({ disk: { path: await image('noise.img', noise(1, MiB)), format: 'raw' } }),
    /Boot failed: not a bootable disk/,
  ],
  [
    'a disk of one sector and a half',
    async () => ({ disk: { path: await image('short.img', noise(2, 768)), format: 'raw' } }),
    /Boot failed: (not a bootable disk|could not read the boot disk)/,
  ],
  ['a CD that is none', async () => ({ cd: await image('noise.iso', noise(3, MiB)) }), /Boot failed: Could not read from CDROM/],
  ['a CD that ends before its descriptors', async () => ({ cd: await image('short.iso', noise(4, 20 * SECTOR)) }), /Boot failed/],
  ['a CD whose boot catalog is noise', async () => ({ cd: await image('catalog.iso', disc(20)) }), /Boot failed/],
  ['a CD whose boot catalog is outside', async () => ({ cd: await image('outside.iso', disc(0xffff_fff0)) }), /Boot failed/],
  ['a floppy of noise', async () => ({ floppy: await image('noise.flp', noise(5, 1440 * 1024)) }), /Boot failed: not a bootable disk/],
])('%s', ([, make, says]) => {
  test('is refused by SeaBIOS with the same words', async ({ skip }) => {
    const options = await make();
    await using here = await TomeiPc.start(options);
    const screen = await here.until(/No bootable device/);

    expect(screen).toMatch(says);
    skip(qemuMissing() !== undefined, qemuMissing());
    await using there = await QemuPc.start(options);
    expect(verdicts(screen)).toEqual(verdicts(await there.until(/No bootable device/)));
  });
});

describe('a boot sector of noise', () => {
  test.for([1, 4, 5, 8])('does what it does, and after a reset the machine starts anew (seed %i)', async (seed) => {
    const disk = { path: await image('sector.img', bootSector(noise(100 + seed, SECTOR))), format: 'raw' } as const;
    await using pc = await TomeiPc.start({ disk, memoryMiB: 16 });
    await pc.until(/Booting from Hard Disk/);

    // Mostly a storm of exceptions, which the BIOS answers.
    await pc.wait(0.03);

    pc.machine.powerOn();
    pc.end = undefined;
    expect(await pc.until(/Booting from Hard Disk/)).toMatch(/SeaBIOS/);
  });
});
