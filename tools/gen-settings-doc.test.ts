import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { settingsPage } from './gen-settings-doc.ts';

test('docs/reference/configuration.md says what the services say', () => {
  expect(readFileSync(join(import.meta.dirname, '../docs/reference/configuration.md'), 'utf8')).toBe(settingsPage());
});
