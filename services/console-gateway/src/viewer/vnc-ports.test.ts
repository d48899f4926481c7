import { expect, test } from 'vitest';
import { messages, type Guest } from '@tomei/contracts';
import { wantedPorts } from './vnc-ports.ts';

const guest = (id: string, createdMs: number, port: number | undefined, deleting = false): Guest =>
  messages.Guest.make({
    id,
    createdMs,
    spec: port === undefined ? {} : { vnc: { port } },
    desired: { deleting },
  });

test('a port that several want belongs to the guest that was registered first', () => {
  const guests = [guest('late', 20, 5901), guest('early', 10, 5901), guest('other', 30, 5902)];

  const { open, refused } = wantedPorts(guests);

  expect([...open].map(([id, { port }]) => [id, port])).toEqual([
    ['early', 5901],
    ['other', 5902],
  ]);
  expect([...refused]).toEqual([['late', { port: 5901, holder: 'early' }]]);
});

test('guests without VNC, without a port, with one that is none, or on their way out want none', () => {
  const guests = [guest('a', 1, undefined), guest('b', 2, 0), guest('c', 3, 70_000), guest('d', 4, 5901, true)];

  expect(wantedPorts(guests)).toEqual({ open: new Map(), refused: new Map() });
});
