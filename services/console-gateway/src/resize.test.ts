/** Viewers that ask for a screen of another size (rfbproto, "SetDesktopSize" and "ExtendedDesktopSize Pseudo-encoding"). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Rig } from './testing/rig.ts';

const FORWARDED = 4;
const PROHIBITED = 1;
const OFFERED = { encodings: [0, -223, -308] };

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.start();
});
afterEach(() => rig.close());

test('get it of a guest that can, and so does everybody who watches', async () => {
  const id = await rig.register();
  await rig.powerOn(id, { resizable: true });
  const [asking, watching] = [rig.view(id, OFFERED), rig.view(id)];
  await Promise.all([asking.client.until((c) => c.updates > 0), watching.client.until((c) => c.updates > 0)]);

  asking.client.setSize(100, 80);
  await Promise.all([asking, watching].map(({ client }) => client.until((c) => c.width === 100 && c.height === 80)));

  expect(asking.client.answers).toEqual([FORWARDED]);
});

test.each([
  ['to a viewer that only watches', { resizable: true }, '?viewOnly=true', 100, PROHIBITED],
  ['of a guest that cannot', { resizable: false }, '', 100, PROHIBITED],
  ['without dots, which no guest hears of', { resizable: true }, '', 0, 3],
])('is not given %s', async (_, options, query, width, answer) => {
  const id = await rig.register();
  const guest = await rig.powerOn(id, options);
  const { client } = rig.view(id, { ...OFFERED, query });
  await client.until((c) => c.updates > 0);

  client.setSize(width, 80);
  await client.until((c) => c.answers.length > 0);
  // What was asked for before it has come by the time that this has.
  guest.paint({ x: 0, y: 0, width: 1, height: 1 }, 0x0000ff);
  await client.until((c) => c.dot(0, 0) === 0x0000ff);

  expect(client.answers).toEqual([answer]);
  expect([guest.width, guest.height]).toEqual([64, 48]);
});
