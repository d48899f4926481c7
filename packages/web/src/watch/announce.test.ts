import { expect, test } from 'vitest';
import type { GuestView } from '../api/views.ts';
import { changesInWords } from './announce.ts';

const guests = (...list: Partial<GuestView>[]): Map<string, GuestView> =>
  new Map(list.map((guest) => [guest.id!, { name: guest.id!, phase: 'off', message: '', ...guest } as GuestView]));

test('changes are told once each, with the reason, and what stays is not told', () => {
  const before = guests({ id: 'a' }, { id: 'b', phase: 'running' }, { id: 'c' }, { id: 'd' });
  const after = guests(
    { id: 'a' },
    { id: 'b', phase: 'crashed', message: 'Triple fault.' },
    { id: 'd', memoryMiB: 7 },
    { id: 'e' },
  );

  expect(changesInWords(before, after)).toEqual(['b: Crashed. Triple fault.', 'e was added.', 'c was removed.']);
});
