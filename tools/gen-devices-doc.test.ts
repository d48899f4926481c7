import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DEVICES_DOC, devicesDoc } from './gen-devices-doc.ts';

test('docs/reference/devices.md is as the registry generates it (node tools/gen-devices-doc.ts)', () => {
  expect(readFileSync(DEVICES_DOC, 'utf8')).toBe(devicesDoc());
});
