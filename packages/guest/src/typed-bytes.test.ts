import { ByteRing, Doorbell } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { TypedBytes } from './typed-bytes.ts';

describe('TypedBytes', () => {
  it('keeps what finds no room until the guest has read, in order and by port', async () => {
    const memories = [ByteRing.allocate(16), ByteRing.allocate(16)];
    const bell = new Doorbell(Doorbell.allocate());
    const typed = new TypedBytes(memories, bell);
    const guest = memories.map((memory) => new ByteRing(memory));
    const text = 'the quick brown fox jumps over the lazy dog';
    for (const word of text.split(/(?<= )/)) typed.push(0, Buffer.from(word));
    typed.push(1, Buffer.from('x'));
    expect(typed.waiting(0)).toBe(text.length - 16);
    expect(typed.waiting(1)).toBe(0);
    let heard = '';
    while (heard.length < text.length) {
      const { ticket } = bell;
      heard += Buffer.from(guest[0]!.read(5)).toString();
      // Whatever is passed on rings.
      if (typed.waiting(0) > 0) await bell.waitAsync(ticket);
    }
    expect(heard).toBe(text);
    expect(Buffer.from(guest[1]!.read(16)).toString()).toBe('x');
    expect([typed.waiting(0), typed.waiting(2)]).toEqual([0, 0]);
  });
});
