import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allRows } from '../packages/paravirt-core/src/isa/instructions/index.ts';
import { INSTRUCTIONS_DOC, NOT_YET_DOC, instructionsDoc, notYetDoc, openSlots } from './gen-isa-doc.ts';

describe('the generated pages about instructions', () => {
  it('are as the table gives them today: run pnpm gen', () => {
    expect(readFileSync(INSTRUCTIONS_DOC, 'utf8') === instructionsDoc(), 'docs/reference/instructions.md is old').toBe(
      true,
    );
    expect(readFileSync(NOT_YET_DOC, 'utf8')).toBe(notYetDoc());
  });

  it('find a slot that loses its row', () => {
    const without = allRows.filter((row) => row.mnemonic !== 'daa');

    const names = (rows?: typeof allRows): string[] => openSlots(rows).map(({ slot }) => slot.mnemonic);

    expect(names(without).filter((name) => !names().includes(name))).toEqual(['daa']);
  });
});
