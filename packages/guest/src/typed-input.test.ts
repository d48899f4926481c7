import { ByteRing } from '@tomei/kit';
import { expect, test } from 'vitest';
import { TypedInput } from './typed-input.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

test('each port gets what was typed at it, as much as it takes, and the rest later', () => {
  const rings = [ByteRing.allocate(64), ByteRing.allocate(64)],
    typed = new TypedInput(rings),
    heard: string[] = [];
  new ByteRing(rings[0]!).write(new TextEncoder().encode('abcde'));
  new ByteRing(rings[1]!).write(new TextEncoder().encode('xy'));
  const give = (most: number): void =>
    typed.give(
      (port, bytes) => (port === 0 ? Math.min(most, bytes.length) : bytes.length),
      (port, bytes) => void heard.push(`${port}${text(bytes)}`),
    );

  give(2);
  expect([heard.splice(0), typed.isWaiting]).toEqual([['0ab', '1xy'], true]);
  give(0);
  expect([heard, typed.isWaiting]).toEqual([[], true]);
  give(9);
  expect([heard, typed.isWaiting]).toEqual([['0cde'], false]);
});
test('what is typed while a part of what came before is held is not left in the ring', () => {
  const ring = ByteRing.allocate(64),
    end = new ByteRing(ring),
    typed = new TypedInput([ring]),
    heard: string[] = [];
  const give = (): void =>
    typed.give(
      (_port, bytes) => Math.min(3, bytes.length),
      (_port, bytes) => void heard.push(text(bytes)),
    );
  end.write(new TextEncoder().encode('abcde'));
  give();
  end.write(new TextEncoder().encode('fg'));

  while (typed.isWaiting) give();

  expect(heard).toEqual(['abc', 'de', 'fg']);
});
test('a port that is not there, and one whose bytes nobody is to hear', () => {
  const ring = ByteRing.allocate(64),
    typed = new TypedInput([ring]);
  new ByteRing(ring).write(Uint8Array.of(1, 2));
  typed.give(
    () => undefined,
    () => expect.unreachable(),
  );
  expect(typed.isWaiting).toBe(true);

  typed.drop();

  expect([typed.isWaiting, new ByteRing(ring).used]).toEqual([false, 0]);
});
