import { expect, test } from 'vitest';
import { parseVmx } from './dictionary.ts';
import { collectGuestConfig } from './guest-config.ts';
import { Problems } from './problem.ts';

function read(text: string) {
  const problems = new Problems('a.vmx');
  const { bootOrder } = collectGuestConfig(parseVmx(new TextEncoder().encode(text), 'a.vmx'), '/', problems);
  return { bootOrder, problems: problems.list.map((p) => p.message) };
}

test.each([
  ['', undefined],
  ['bios.bootOrder = "cdrom,hdd"', ['cdrom', 'hdd']],
  ['bios.bootOrder = "ethernet0, ethernet1 ,HDD"', ['ethernet', 'hdd']],
  ['bios.bootOrder = "allow:floppy"', ['floppy']],
  ['firmware = "BIOS"', undefined],
])('boot order of %j', (text, expected) => {
  expect(read(text)).toEqual({ bootOrder: expected, problems: [] });
});

test('words that are no device, four devices, and other firmware are found', () => {
  expect(read('bios.bootOrder = "usb"').problems.join()).toMatch(/"usb" is not one of floppy, hdd, cdrom, ethernet/);
  expect(read('bios.bootOrder = "floppy,hdd,cdrom,ethernet0"')).toMatchObject({
    bootOrder: ['floppy', 'hdd', 'cdrom'],
    problems: [expect.stringMatching(/first three/)],
  });
  expect(read('firmware = "efi"').problems.join()).toMatch(/write "bios"/);
});
