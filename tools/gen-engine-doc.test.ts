import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ENGINE_DOC, engineDoc } from './gen-engine-doc.ts';

it('the page about the engine is as the processor is today: run pnpm gen', () => {
  expect(readFileSync(ENGINE_DOC, 'utf8')).toBe(engineDoc());
});
