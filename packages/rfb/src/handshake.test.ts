import { describe, expect, test } from 'vitest';
import { TestScene, hex } from './test-scene.ts';
import { encryptChallenge } from './vnc-authentication.ts';

const VERSION = hex('52 46 42 20 30 30 33 2e 30 30 38 0a');
const says = (version: string): Uint8Array => Buffer.from(`RFB ${version}\n`);
/** 4 x 2, 32 bits, depth 24, little-endian, true colour, 255 255 255, 16 8 0, "guest". */
const SERVER_INIT = hex('0004 0002  20 18 00 01 00ff 00ff 00ff 10 08 00 000000  00000005 6775657374');
const CHALLENGE = hex('00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f');
const RESPONSE = Buffer.from(encryptChallenge('secret', Buffer.from(CHALLENGE, 'hex')));

describe('the handshake', () => {
  test('of 3.8 without a password', () => {
    const scene = new TestScene();
    expect(scene.hex()).toBe(VERSION);
    expect(scene.receive(says('003.008')).hex()).toBe(hex('01 01'));
    expect(scene.receive('01').hex()).toBe(hex('00000000'));
    expect(scene.receive('01').hex()).toBe(SERVER_INIT);
    expect(scene.shared).toBe(true);
  });

  test('of 3.7 without a password has no result', () => {
    const scene = new TestScene();
    scene.hex();
    expect(scene.receive(says('003.007')).hex()).toBe(hex('01 01'));
    expect(scene.receive('01').hex()).toBe('');
    expect(scene.receive('00').hex()).toBe(SERVER_INIT);
    expect(scene.shared).toBe(false);
  });

  test.each(['003.003', '003.005', '003.006'])('of %s has the server choose', (version) => {
    const scene = new TestScene();
    scene.hex();
    expect(scene.receive(says(version)).hex()).toBe(hex('00000001'));
    expect(scene.receive('01').hex()).toBe(SERVER_INIT);
  });

  test('of a version above 3.8 is that of 3.8', () => {
    const scene = new TestScene();
    scene.hex();
    expect(scene.receive(says('003.889'), '01').hex()).toBe(hex('01 01 00000000'));
  });

  test.each([
    ['003.008', hex('01 02'), '02'],
    ['003.007', hex('01 02'), '02'],
    ['003.003', hex('00000002'), ''],
  ])('of %s with the right password', (version, offer, choice) => {
    const scene = new TestScene({ password: 'secret' });
    scene.hex();
    expect(scene.receive(says(version)).hex() + scene.receive(choice).hex()).toBe(offer + CHALLENGE);
    expect(scene.receive(RESPONSE).hex()).toBe(hex('00000000'));
    expect(scene.receive('01').hex()).toBe(SERVER_INIT);
  });

  test.each([
    ['003.008', '02', hex('00000001 0000000e') + Buffer.from('Wrong password').toString('hex')],
    ['003.007', '02', hex('00000001')],
    ['003.003', '', hex('00000001')],
  ])('of %s with a wrong password says so and ends', (version, choice, answer) => {
    const scene = new TestScene({ password: 'secret' });
    scene.receive(says(version), choice).hex();

    expect(scene.receive(Buffer.alloc(16)).hex()).toBe(answer);

    expect(scene.session.closeReason).toBe('the viewer gave a wrong password');
    expect(scene.endings).toEqual(['the viewer gave a wrong password']);
    expect(scene.receive('01').hex()).toBe('');
  });

  const LATER = Buffer.from('later').toString('hex');
  test.each([
    ['003.008', hex('00 00000005') + LATER],
    ['003.007', hex('00 00000005') + LATER],
    ['003.003', hex('00000000 00000005') + LATER],
  ])('of %s does not ask for a password while none is to be tried', (version, answer) => {
    const scene = new TestScene({ password: 'secret', refusal: () => 'later' });
    scene.hex();

    expect(scene.receive(says(version)).hex()).toBe(answer);

    expect(scene.endings).toEqual(['later']);
  });

  test('does not look at a password that comes when none is to be tried any more', () => {
    const refusals: string[] = [];
    const scene = new TestScene({ password: 'secret', refusal: () => refusals[0] });
    scene.receive(says('003.008'), '02').hex();
    refusals.push('later');

    expect(scene.receive(RESPONSE).hex()).toBe(hex('00000001 00000005') + LATER);

    expect(scene.endings).toEqual(['later']);
  });

  test('without a password refuses nobody', () => {
    const scene = new TestScene({ refusal: () => 'later' });
    scene.hex();
    expect(scene.receive(says('003.008')).hex()).toBe(hex('01 01'));
  });

  test('does not let a viewer do without the password', () => {
    const scene = new TestScene({ password: 'secret' });
    scene.receive(says('003.008'), '01', '01');
    expect(scene.session.closeReason).toMatch(/security type 1, which was not offered/);
    expect(scene.shared).toBeUndefined();
  });

  test('asks with a new challenge each time', () => {
    const counts: number[] = [];
    const random = (count: number): Uint8Array => (counts.push(count), new Uint8Array(count));
    new TestScene({ password: 'secret', random }).receive(says('003.008'), '02');
    expect(counts).toEqual([16]);
  });

  test('refuses another protocol than RFB 3 with the reason', () => {
    const scene = new TestScene();
    scene.hex();
    const answer = Buffer.from(scene.receive(says('004.001')).hex(), 'hex');
    expect(answer.subarray(5).toString()).toBe('RFB 4 is not spoken here: use version 3.3, 3.7 or 3.8');
    expect([...answer.subarray(0, 5)]).toEqual([0, 0, 0, 0, answer.length - 5]);
    expect(scene.session.closeReason).toMatch(/a version that is not spoken here/);
  });

  test.each(['GET / HTTP/1.1\r\n\r\n', 'RFB 003.00x\n', 'RFB 003 008\n'])('ends with what is not RFB: %j', (text) => {
    const scene = new TestScene();
    scene.receive(Buffer.from(text));
    expect(scene.session.closeReason).toBe('the viewer sent something else than RFB');
  });

  test('ends at once with somebody who does not even begin like RFB', () => {
    const scene = new TestScene();
    scene.receive(Buffer.from('G'));
    expect(scene.session.closeReason).toBe('the viewer sent something else than RFB');
  });

  test('is not made with an empty password, which would let everybody in', () => {
    expect(() => new TestScene({ password: '' })).toThrow('a VNC password is not empty');
  });

  test('tells a long name in part', () => {
    const scene = new TestScene({ name: 'x'.repeat(5000) });
    scene.receive(says('003.008'), '01').hex();
    expect(scene.receive('01').hex()).toBe(SERVER_INIT.slice(0, 40) + hex('00000400') + '78'.repeat(1024));
  });
});

describe('VNC Authentication', () => {
  test('encrypts as other programs do', () => {
    // From `openssl enc -des-ecb -K <mirrored password> -nopad -provider legacy -provider default`.
    expect(Buffer.from(encryptChallenge('secret', Buffer.from(CHALLENGE, 'hex'))).toString('hex')).toBe(
      'ee22539f33a5983ec12f9c2edbc995dd',
    );
  });

  test('takes the first eight bytes of a password', () => {
    const challenge = Buffer.alloc(16, 7);
    expect(encryptChallenge('longpassword', challenge)).toEqual(encryptChallenge('longpass', challenge));
    expect(encryptChallenge('longpass', challenge)).not.toEqual(encryptChallenge('longpas', challenge));
  });
});
