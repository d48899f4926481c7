import { describe, expect, it } from 'vitest';
import { parseVmx } from './dictionary.ts';
import { readGuestConfig } from './guest-config.ts';

const read = (...lines: string[]) => {
  const text = ['.encoding = "UTF-8"', ...lines, ''].join('\n');
  const { config, warnings } = readGuestConfig(parseVmx(new TextEncoder().encode(text), '/g/a.vmx'), '/g');
  return { ...config, warnings: warnings.map((w) => w.message) };
};

describe('floppy drives', () => {
  it('are absent unless they are present', () => {
    expect(read('floppy0.fileName = "a.img"').floppies).toBeUndefined();
    expect(read('floppy0.present = "FALSE"').floppies).toBeUndefined();
  });
  it('name an image, by default of type "file"', () => {
    const { floppies } = read('floppy0.present = "TRUE"', 'floppy0.fileName = "a.img"', 'floppy1.present = "TRUE"');
    expect(floppies).toEqual([
      {
        slot: 'floppy0',
        drive: 0,
        line: 2,
        file: { key: 'floppy0.fileName', line: 3, fileName: 'a.img', path: '/g/a.img' },
      },
      { slot: 'floppy1', drive: 1, line: 4 },
    ]);
  });
  it('are empty while they are not connected, and where they would be the host s', () => {
    const apart = read('floppy0.present = "TRUE"', 'floppy0.fileName = "a.img"', 'floppy0.startConnected = "FALSE"');
    expect(apart.floppies).toEqual([{ slot: 'floppy0', drive: 0, line: 2 }]);
    const host = read('floppy0.present = "TRUE"', 'floppy0.fileType = "device"', 'floppy0.fileName = "/dev/fd0"');
    expect(host.floppies).toEqual([{ slot: 'floppy0', drive: 0, line: 2 }]);
    expect(host.warnings.join()).toMatch(/floppy0: drives of the host/);
  });
  it('have one of two file types', () => {
    expect(() => read('floppy0.present = "TRUE"', 'floppy0.fileType = "tape"')).toThrow(/floppy0.fileType/);
  });
});

describe('a CD-ROM image', () => {
  it('is in the drive unless it is not connected', () => {
    const cd = ['ide1:0.present = "TRUE"', 'ide1:0.deviceType = "cdrom-image"', 'ide1:0.fileName = "x.iso"'];
    expect(read(...cd).disks.map((d) => [d.kind, d.file?.fileName])).toEqual([['cdrom', 'x.iso']]);
    const apart = read(...cd, 'ide1:0.startConnected = "FALSE"');
    expect(apart.disks.map((d) => [d.kind, d.file?.fileName])).toEqual([['cdrom', undefined]]);
  });
});
