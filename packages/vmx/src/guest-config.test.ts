import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TomeiError } from '@tomei/kit';
import { parseVmx } from './dictionary.ts';
import { readGuestConfig } from './guest-config.ts';
import { checkVmx, loadVmx } from './load.ts';

const read = (...lines: string[]) =>
  readGuestConfig(parseVmx(new TextEncoder().encode(lines.join('\n')), '/guests/g/tiny.vmx'), '/guests/g');
const failure = (...lines: string[]): string => {
  try {
    read(...lines);
  } catch (error) {
    if (error instanceof TomeiError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'nothing thrown';
};

const NO_TOOLS = { noCopy: false, noPaste: false, restricted: false, info: {} };

describe('readGuestConfig', () => {
  it('gives VMware defaults for an empty file', () => {
    expect(read('')).toEqual({
      config: {
        displayName: 'tiny',
        guestOS: 'other',
        memoryMiB: 256,
        vcpus: 1,
        coresPerSocket: 1,
        disks: [],
        serialPorts: [],
        engine: 'compiled',
        paravirt: 'kvm',
        virtio: { rng: false, balloon: false, input: false, gpu: false, ports: [] },
        tools: NO_TOOLS,
        vmi: false,
      },
      warnings: [],
    });
  });

  it('puts processors into sockets that have room for them', () => {
    const cores = (vcpus: number, value: string): number =>
      read(`numvcpus = "${vcpus}"`, `cpuid.coresPerSocket = "${value}"`).config.coresPerSocket;
    expect([cores(4, '2'), cores(8, '4'), cores(3, '3'), cores(6, '6'), cores(6, '1'), cores(1, '4')]).toEqual([
      ...[2, 4, 3, 6, 1, 1],
    ]);
  });
  it('reads a whole guest', () => {
    const { config, warnings } = read(
      '.encoding = "UTF-8"',
      'config.version = "8"',
      'virtualHW.version = "21"',
      'firmware = "bios"',
      'displayName = "Tiny Debian"',
      'guestOS = "debian12"',
      'memsize = "128"',
      'numvcpus = "1"',
      'scsi0.present = "TRUE"',
      'scsi0:1.present = "yes"',
      'scsi0:1.fileName = "data.vmdk"',
      'scsi0:1.mode = "Independent-NonPersistent"',
      'scsi0:1.deviceType = "scsi-hardDisk"',
      'ide0:0.present = "TRUE"',
      'ide0:0.fileName = "tiny.vmdk"',
      'ide1:0.present = "1"',
      'ide1:0.deviceType = "cdrom-image"',
      'ide1:0.fileName = "/iso/debian.iso"',
      'ide1:1.present = "FALSE"',
      'serial0.present = "TRUE"',
      'serial1.present = "TRUE"',
      'serial1.fileType = "FILE"',
      'serial1.fileName = "com2.log"',
      'serial1.startConnected = "FALSE"',
      'tomei.kernel = "vmlinuz"',
      'tomei.initrd = "initrd.img"',
      'tomei.cmdline = "root=/dev/vda console=ttyS0"',
      'tomei.engine = "Interpreter"',
      'tomei.paravirt = "OFF"',
      'vmi.present = "TRUE"',
    );

    const file = (key: string, line: number, fileName: string, path: string) => ({ key, line, fileName, path });
    expect(warnings).toEqual([]);
    expect(config).toEqual({
      displayName: 'Tiny Debian',
      guestOS: 'debian12',
      memoryMiB: 128,
      vcpus: 1,
      coresPerSocket: 1,
      disks: [
        {
          ...{ slot: 'ide0:0', bus: 'ide', controller: 0, unit: 0, kind: 'disk', mode: 'persistent', persistent: true },
          ...{ deviceType: 'disk', line: 14, file: file('ide0:0.fileName', 15, 'tiny.vmdk', '/guests/g/tiny.vmdk') },
        },
        {
          ...{
            slot: 'ide1:0',
            bus: 'ide',
            controller: 1,
            unit: 0,
            kind: 'cdrom',
            mode: 'persistent',
            persistent: false,
          },
          ...{ deviceType: 'cdrom-image', line: 16 },
          file: file('ide1:0.fileName', 18, '/iso/debian.iso', '/iso/debian.iso'),
        },
        {
          ...{ slot: 'scsi0:1', bus: 'scsi', controller: 0, unit: 1, kind: 'disk', persistent: false, line: 10 },
          ...{ mode: 'independent-nonpersistent', deviceType: 'scsi-hardDisk' },
          file: file('scsi0:1.fileName', 11, 'data.vmdk', '/guests/g/data.vmdk'),
        },
      ],
      serialPorts: [
        { index: 0, type: 'console', endPoint: 'server', connected: true, line: 20 },
        {
          ...{ index: 1, type: 'file', endPoint: 'server', connected: false, line: 21, fileName: 'com2.log' },
          file: file('serial1.fileName', 23, 'com2.log', '/guests/g/com2.log'),
        },
      ],
      boot: {
        kernel: file('tomei.kernel', 25, 'vmlinuz', '/guests/g/vmlinuz'),
        initrd: file('tomei.initrd', 26, 'initrd.img', '/guests/g/initrd.img'),
        commandLine: 'root=/dev/vda console=ttyS0',
      },
      engine: 'interpreter',
      paravirt: 'off',
      virtio: { rng: false, balloon: false, input: false, gpu: false, ports: [] },
      tools: NO_TOOLS,
      vmi: true,
    });
  });

  it.each([
    ['memsize = "8192"', 'memsize = "8192": memory can be 4 to 3072 MiB in steps of 4'],
    ['memsize = "0"', 'memory can be'],
    ['memsize = "-64"', 'memory can be'],
    ['memsize = "255"', 'memory can be'],
    ['memsize = "999999999999999999999999"', 'memory can be'],
    ['memsize = "64M"', 'memsize = "64M" is not a whole number'],
    ['numvcpus = "0"', 'numvcpus = "0": a guest has 1 to 8 processors'],
    ['numvcpus = "9"', 'numvcpus = "9": a guest has 1 to 8 processors'],
    ['numvcpus = "4"\ncpuid.coresPerSocket = "3"', 'of 4 processors (numvcpus), 1, 2, 4 can share a socket'],
    ['numvcpus = "6"\ncpuid.coresPerSocket = "3"', 'of 6 processors (numvcpus), 1, 2, 6 can share a socket'],
    ['numvcpus = "2"\ncpuid.coresPerSocket = "0"', 'cpuid.coresPerSocket = "0": of 2 processors'],
    ['vmi.present = "maybe"', 'vmi.present = "maybe" is neither TRUE nor FALSE'],
    ['tomei.engine = "jit"', 'tomei.engine = "jit" is not one of "interpreter", "compiled"'],
    ['tomei.paravirt = "xen"', 'tomei.paravirt = "xen" is not one of "off", "kvm"'],
    ['tomei.kernal = "x"', 'tomei.kernal is not a key of Tomei; did you mean tomei.kernel?'],
    ['Tomei.CmdLin = "x"', 'Tomei.CmdLin is not a key of Tomei; did you mean tomei.cmdline?'],
    ['tomei.kernel = "a|00b"', 'has a zero byte'],
    ['scsi0:7.present = "TRUE"', 'there is no slot scsi0:7; scsi has controllers 0..3 with units 0..15 without 7'],
    ['ide2:0.present = "TRUE"', 'there is no slot ide2:0'],
    ['ide0:2.present = "TRUE"', 'there is no slot ide0:2'],
    ['ide00:0.present = "TRUE"', 'there is no slot ide00:0'],
    ['ide0:0.present = "TRUE"', 'ide0:0 is present, but ide0:0.fileName is not set'],
    ['ide0:0.present = "TRUE"\nide0:0.deviceType = "tape"', 'ide0:0.deviceType = "tape" is not one of disk, hardDisk'],
    ['ide0:0.present = "TRUE"\nide0:0.deviceType = "rawDisk"', 'disks of the host itself are not given to guests'],
    [
      'sata0:0.present = "TRUE"\nsata0:0.fileName = "a"\nsata0:0.mode = "undoable"',
      'mode = "undoable" is not supported',
    ],
    ['nvme0:0.present = "TRUE"\nnvme0:0.fileName = "a"\nnvme0:0.mode = "x"', 'nvme0:0.mode = "x" is not one of'],
    [
      'serial0.present = "TRUE"\nserial0.fileType = "pipe"',
      'serial0.fileType is "pipe", but serial0.fileName is not set',
    ],
    ['serial0.present = "TRUE"\nserial0.fileType = "modem"', 'serial0.fileType = "modem" is not one of'],
    [
      'ide0:0.present = "1"\nide0:0.fileName = "a"\nide0:1.present = "1"\nide0:1.fileName = "./a"',
      'ide0:1 and ide0:0 name the same file, ./a',
    ],
  ])('refuses %s', (text, error) => {
    const message = failure(...text.split('\n'));
    expect(message).toContain(error);
    expect(message).toMatch(/^vmx\.[a-z-]+: \/guests\/g\/tiny\.vmx:[1-4]: /);
  });

  it.each([
    [['scsi0.present = "FALSE"', 'scsi0:0.present = "TRUE"'], 'scsi0:0 is left out: scsi0.present is "FALSE"', 0],
    [['ide1:0.present = "TRUE"', 'ide1:0.deviceType = "atapi-cdrom"'], 'the CD-ROM drive stays empty', 1],
    [['tomei.cmdline = "quiet"'], 'tomei.cmdline does nothing without tomei.kernel', 0],
  ])('warns: %j', (lines, warning, disks) => {
    const { config, warnings } = read(...lines);
    expect(config.disks.length).toBe(disks);
    expect(warnings.map((w) => w.message)).toEqual([expect.stringContaining(warning)]);
  });
});

describe('files on disk', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tomei-vmx-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('loads a guest relative to its own directory', async () => {
    await writeFile(join(directory, 'g.vmx'), 'tomei.kernel = "k"\n');
    const { config } = await loadVmx(join(directory, 'g.vmx'));
    expect(config.boot?.kernel.path).toBe(join(directory, 'k'));
  });

  it('finds all problems at once, in line order', async () => {
    const path = join(directory, 'g.vmx');
    await writeFile(join(directory, 'k'), '');
    await writeFile(
      path,
      [
        'memsize = "5"',
        'nonsense',
        'tomei.kernel = "k"',
        'tomei.initrd = "initrd"',
        'ide0:0.present = "TRUE"',
        'ide0:0.fileName = "."',
        'tomei.kernell = "k"',
        'ide0:1.present = "TRUE"',
        'ide0:1.fileName = "gone.vmdk"',
        'memsize = "6"',
      ].join('\n'),
    );

    const { problems, ok, config } = await checkVmx(path);

    expect(ok).toBe(false);
    expect(config?.memoryMiB).toBe(256);
    expect(problems.map((p) => `${p.severity} ${p.line} ${p.code} ${p.key ?? ''}`)).toEqual([
      'error 2 vmx.syntax ',
      'error 4 vmx.missing-file tomei.initrd',
      'error 6 vmx.missing-file ide0:0.fileName',
      'error 7 vmx.unknown-key tomei.kernell',
      'error 9 vmx.missing-file ide0:1.fileName',
      'warning 10 vmx.duplicate memsize',
      'error 10 vmx.value memsize',
    ]);
    expect(problems[2]!.message).toBe(`${path}:6: ide0:0.fileName = ".": ${directory} is not a file`);
  });

  it('passes a good file', async () => {
    await writeFile(join(directory, 'g.vmx'), 'memsize = "64"\n');
    expect(await checkVmx(join(directory, 'g.vmx'))).toMatchObject({ problems: [], ok: true });
  });

  it.each([
    ['none.vmx', 'vmx.missing'],
    ['.', 'vmx.unreadable'],
  ])('says so when %s cannot be read', async (name, code) => {
    const path = join(directory, name);
    await expect(loadVmx(path)).rejects.toMatchObject({ code, data: { file: path } });
    expect((await checkVmx(path)).problems.map((p) => p.code)).toEqual([code]);
  });
});
