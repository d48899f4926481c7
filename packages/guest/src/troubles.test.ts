import { expect, it } from 'vitest';
import { tellSome } from './troubles.ts';

it('tells the first few troubles of each device, and says when it stops', () => {
  const told: string[] = [];
  const trouble = tellSome((text) => void told.push(text));

  for (let i = 0; i < 100; i++) trouble('disk0', 'broken');
  trouble('disk1', 'broken');

  const once = 'disk0: broken';
  expect(told).toEqual([once, once, once, once, `${once}; more of this device is not told`, 'disk1: broken']);
});
