import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CONTRACTS, generateContracts } from './gen-contracts.ts';

test('the generated contracts are as proto/ gives them today: run pnpm gen', async () => {
  const generated = await generateContracts();

  expect(readFileSync(CONTRACTS, 'utf8') === generated, 'packages/contracts/src/gen/tomei.ts is old').toBe(true);
});
