import { describe, expect, it } from 'vitest';
import { TomeiError } from '@tomei/kit';
import { parseVmx } from './dictionary.ts';
import { readGuestConfig } from './guest-config.ts';

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
const ON = 'ethernet0.present = "TRUE"';

describe('ethernetN', () => {
  it('is absent unless present', () => {
    expect(read('').config).not.toHaveProperty('networks');
    expect(read('ethernet0.present = "FALSE"', 'ethernet0.virtualDev = "e1000"').config).not.toHaveProperty('networks');
  });

  it('reads cards with addresses given and generated', () => {
    const { config, warnings } = read(
      ON,
      'ethernet0.virtualDev = "E1000"',
      'ethernet0.addressType = "static"',
      'ethernet0.address = "00:50:56:0A:b:1"',
      'ethernet0.networkName = "lab"',
      'ethernet1.present = "TRUE"',
      'ethernet1.startConnected = "FALSE"',
      'ethernet1.generatedAddress = "00:0c:29:11:22:33"',
      'ethernet1.vnet = "VMnet2"',
    );

    expect(warnings).toEqual([]);
    expect(config.networks).toEqual([
      { index: 0, device: 'e1000', address: '00:50:56:0a:0b:01', network: 'lab', connected: true, line: 1 },
      { index: 1, device: 'e1000', address: '00:0c:29:11:22:33', network: 'vmnet2', connected: false, line: 6 },
    ]);
  });

  it('names a network in each of the ways in which VMware writes it, or none', () => {
    const network = (...lines: string[]) => read(ON, ...lines).config.networks![0]!.network;
    expect(network('ethernet0.connectionType = "custom"', 'ethernet0.vnet = "/dev/vmnet2"')).toBe('vmnet2');
    expect(network('ethernet0.networkName = "Lab A"', 'ethernet0.vnet = "vmnet2"')).toBe('Lab A');
    expect(network('ethernet0.networkName = ""', 'ethernet0.vnet = ""')).toBeUndefined();
  });

  it('makes addresses of the UUID as VMware does, and of the name without one', () => {
    const addresses = (...lines: string[]) =>
      read(ON, 'ethernet2.present = "1"', ...lines).config.networks!.map((n) => n.address);
    const uuid = 'uuid.bios = "56 4d 3a 81 00 11 22 33-44 55 66 77 88 fe ff ff"';

    expect(addresses(uuid)).toEqual(['00:0c:29:fe:ff:ff', '00:0c:29:ff:00:13']);
    const named = addresses('displayName = "one"');
    expect(named[0]).toMatch(/^00:0c:29:(..:){2}..$/);
    expect(addresses('displayName = "one"')).toEqual(named);
    expect(addresses('displayName = "two"')[0]).not.toBe(named[0]);
  });

  it('gives an e1000 for cards that are not there, and says so', () => {
    const { config, warnings } = read(ON, 'ethernet0.virtualDev = "vmxnet3"');

    expect(config.networks![0]!.device).toBe('e1000');
    expect(warnings.map((w) => w.message)).toEqual([
      '/guests/g/tiny.vmx:2: ethernet0.virtualDev = "vmxnet3": the guest gets an e1000 instead',
    ]);
  });

  it.each([
    ['vmx.value: /guests/g/tiny.vmx:2: ethernet0.virtualDev', ['ethernet0.virtualDev = "ne2000"']],
    ['vmx.missing-key: /guests/g/tiny.vmx:1: ethernet0.addressType is "static"', ['ethernet0.addressType = "static"']],
    ['vmx.value: /guests/g/tiny.vmx:2: ethernet0.generatedAddress', ['ethernet0.generatedAddress = "00:0c:29:11:22"']],
    [
      'vmx.value: /guests/g/tiny.vmx:2: ethernet0.generatedAddress',
      ['ethernet0.generatedAddress = "01:0c:29:11:22:33"'],
    ],
  ])('refuses: %s', (message, lines) => {
    expect(failure(ON, ...lines)).toContain(message);
  });
});
