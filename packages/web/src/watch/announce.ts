/** What a screen reader says when something changes by itself. Pure. */
import type { GuestView } from '../api/views.ts';
import { PHASE_WORDS } from '../ui/format.ts';

/** One sentence for each guest whose phase changed, was added or went away. */
export function changesInWords(
  before: ReadonlyMap<string, GuestView>,
  after: ReadonlyMap<string, GuestView>,
): readonly string[] {
  const sentences: string[] = [];
  for (const guest of after.values()) {
    const old = before.get(guest.id);
    if (old === undefined) sentences.push(`${guest.name} was added.`);
    else if (old.phase !== guest.phase) {
      const reason = guest.message === '' ? '' : ` ${guest.message}`;
      sentences.push(`${guest.name}: ${PHASE_WORDS[guest.phase]}.${reason}`);
    }
  }
  for (const guest of before.values()) if (!after.has(guest.id)) sentences.push(`${guest.name} was removed.`);
  return sentences;
}
