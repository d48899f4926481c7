import { expect, it } from 'vitest';
import { parseVmx } from './dictionary.ts';
import { readGuestConfig } from './guest-config.ts';

const read = (...lines: string[]) =>
  readGuestConfig(parseVmx(new TextEncoder().encode(lines.join('\n')), '/guests/g/tiny.vmx'), '/guests/g').config.tools;

it('lets texts pass, programs call, and knows nothing where nothing is said', () => {
  expect(read()).toEqual({ noCopy: false, noPaste: false, restricted: false, info: {} });
});
it('takes VMware’s keys and the values for the guest, whatever their case; of one that comes twice the last', () => {
  const tools = read(
    'Isolation.tools.copy.disable = "TRUE"',
    'isolation.tools.paste.disable = "yes"',
    'monitor_control.restrict_backdoor = "TRUE"',
    'guestinfo.Role = "web"',
    'guestInfo.greeting = "größer"',
    'guestinfo.role = "db"',
    'guestinfo.__proto__ = "x"',
    'guestinfo. = "nobody"',
  );
  expect(tools).toMatchObject({ noCopy: true, noPaste: true, restricted: true });
  expect(Object.entries(tools.info)).toEqual([
    ['role', 'db'],
    ['greeting', 'größer'],
    ['__proto__', 'x'],
  ]);
});
it.each([
  ['isolation.tools.copy.disable = "maybe"', /isolation.tools.copy.disable = "maybe" is neither TRUE nor FALSE/],
  [`guestinfo.${'n'.repeat(129)} = "v"`, /a name has 128 characters at most/],
  [`guestinfo.a = "${'v'.repeat(60_001)}"`, /guestinfo.a has 60001 bytes: 60000 can be given/],
])('refuses %.40s', (line, why) => {
  expect(() => read(line)).toThrow(why);
});
