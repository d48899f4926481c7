/** Guest processes on one network, here in one process: they meet, talk, go, and come back; strangers change nothing. */
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Doorbell } from '@tomei/kit';
import { HEAD_BYTES, encodeFrame, type Offload } from '@tomei/paravirt-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NetworkCards } from './cards.ts';
import { greeting } from './frame-stream.ts';
import { folderName, meetingPlace, runtimeFolder } from './meeting-place.ts';
import { RingNic, allocateNicRings } from './ring-nic.ts';
import { NetworkSegment } from './segment.ts';

let runtime: string;
const segments: NetworkSegment[] = [];
beforeEach(async () => {
  runtime = await mkdtemp(join(tmpdir(), 'tomei-net-'));
});
afterEach(async () => {
  for (const segment of segments.splice(0)) segment.close();
  await rm(runtime, { recursive: true });
});
interface Member {
  readonly segment: NetworkSegment;
  readonly heard: string[];
  readonly trouble: string[];
}
async function enter(network = 'lan'): Promise<Member> {
  const heard: string[] = [],
    trouble: string[] = [];
  const segment = await NetworkSegment.join({
    folder: await meetingPlace(network, runtime),
    onFrame: (frame) => void heard.push(Buffer.from(frame.subarray(0, 14)).toString('latin1').trim()),
    onTrouble: ({ code }) => void trouble.push(code),
  });
  segments.push(segment);
  return { segment, heard, trouble };
}
const frame = (text: string): Uint8Array => Buffer.from(text.padEnd(60), 'latin1');
const connected = (...members: Member[]): Promise<void> =>
  expect.poll(() => members.map(({ segment }) => segment.others)).toEqual(members.map(() => members.length - 1));
const socketsOf = async (network = 'lan'): Promise<string[]> => readdir(await meetingPlace(network, runtime));

describe('a network of guest processes', () => {
  it('takes what one sends to all others, and to nobody of another network', async () => {
    const [a, b, c, other] = [await enter(), await enter(), await enter(), await enter('another')];
    await connected(a, b, c);
    a.segment.send(frame('from a'));
    c.segment.send(frame('from c'));
    await expect.poll(() => b.heard.toSorted()).toEqual(['from a', 'from c']);
    await expect.poll(() => [a.heard, c.heard]).toEqual([['from c'], ['from a']]);
    expect(other.heard).toEqual([]);
  });
  it('has one connection between two that come at the same time', async () => {
    const members = await Promise.all(Array.from({ length: 6 }, () => enter()));
    await connected(...members);
    for (const [i, { segment }] of members.entries()) segment.send(frame(`from ${i}`));
    for (const [i, { heard }] of members.entries()) {
      const others = members.flatMap((_, j) => (i === j ? [] : [`from ${j}`]));
      await expect.poll(() => heard.toSorted()).toEqual(others);
    }
  });
  it('goes on when one leaves, and knows it again when it comes back', async () => {
    const [a, b, c] = [await enter(), await enter(), await enter()];
    await connected(a, b, c);
    a.segment.close();
    await connected(b, c);
    b.segment.send(frame('still here'));
    await expect.poll(() => c.heard).toEqual(['still here']);
    await connected(b, c, await enter());
    expect(await socketsOf()).toHaveLength(3);
  });
  it('takes away what a process left that died, but not what has only just been made', async () => {
    const folder = await meetingPlace('lan', runtime);
    const dead = join(folder, 'dead'),
      young = join(folder, 'young');
    for (const path of [dead, young]) await writeFile(path, '');
    await utimes(dead, 0, 0);
    await enter();
    await expect.poll(() => [existsSync(dead), existsSync(young)]).toEqual([false, true]);
  });
  it('sends strangers away and is not disturbed by those who say nothing', async () => {
    const [a, b] = [await enter(), await enter()];
    await connected(a, b);
    for (const name of await socketsOf()) {
      const path = join(await meetingPlace('lan', runtime), name);
      connect(path);
      connect(path).write('GET / HTTP/1.1\r\nHost: nobody\r\n\r\n');
      // Frames are taken of a member alone, and of one connection of it.
      connect(path).write(Buffer.concat([greeting('00'.repeat(8)), Buffer.from([1, 0, 0, 0, 1])]));
    }
    await expect.poll(() => [a.trouble.length, b.trouble.length]).toEqual([2, 2]);
    expect(new Set([...a.trouble, ...b.trouble])).toEqual(new Set(['network.bad-peer']));
    a.segment.send(frame('unharmed'));
    await expect.poll(() => b.heard).toEqual(['unharmed']);
  });
  it('loses what somebody is too slow to take, and does not grow', async () => {
    const folder = await meetingPlace('lan', runtime);
    const server = createServer((socket) => void socket.pause().write(greeting('ff'.repeat(8))));
    await new Promise<void>((resolve) => server.listen(join(folder, 'slow'), resolve));
    const a = await enter();
    await expect.poll(() => a.segment.others).toBe(1);
    for (let n = 0; n < 1000; n++) a.segment.send(new Uint8Array(10_000));
    expect(a.segment.lost).toBeGreaterThan(500);
    server.close();
  });
});

describe('the place where guests meet', () => {
  it('is a folder of the user alone, whatever the network is called', () => {
    expect(runtimeFolder({ XDG_RUNTIME_DIR: '/run/user/7' })).toBe('/run/user/7/tomei');
    expect(runtimeFolder({ XDG_RUNTIME_DIR: 'relative' })).toMatch(/\/tomei-\d+$/);
    expect(folderName('../../etc')).toMatch(/^______etc-[0-9a-f]{8}$/);
    expect(folderName('a b')).not.toBe(folderName('a_b'));
    expect(folderName('lan/'.repeat(100)).length).toBeLessThan(40);
  });
  it('is refused where others may look, or where it is a link', async () => {
    const folder = await meetingPlace('lan', runtime);
    await chmod(folder, 0o755);
    await expect(meetingPlace('lan', runtime)).rejects.toMatchObject({ code: 'network.folder' });
    await rm(folder, { recursive: true });
    await symlink(runtime, folder);
    await expect(meetingPlace('lan', runtime)).rejects.toMatchObject({ code: 'network.folder' });
    await expect(meetingPlace('lan', join(runtime, 'x'.repeat(80)))).rejects.toMatchObject({ code: 'network.folder' });
  });
});

describe('the cards of a guest', () => {
  it('reach each other on one network, and nobody without one', () => {
    const rings = Array.from({ length: 4 }, allocateNicRings);
    const names = ['lan', 'lan', 'other', undefined];
    const cards = new NetworkCards(
      rings.map((each, i) => ({
        name: `ethernet${i}`,
        rings: each,
        ...(names[i] === undefined ? {} : { network: names[i] }),
      })),
      new Doorbell(Doorbell.allocate()),
    );
    const nics = rings.map((each) => new RingNic(each, { linkUp: true, isMute: false }));
    for (const [i, nic] of nics.entries()) nic.send(frame(`from ${i}`));
    cards.poll();
    const heard = nics.map((nic) =>
      Buffer.from(nic.next()?.subarray(HEAD_BYTES) ?? [])
        .toString('latin1')
        .trim(),
    );
    expect(heard).toEqual(['from 1', 'from 0', '', '']);
  });
  it('are left for other work when they never stop sending', () => {
    const rings = allocateNicRings();
    const cards = new NetworkCards([{ name: 'ethernet0', rings }], new Doorbell(Doorbell.allocate()));
    const nic = new RingNic(rings, { linkUp: true, isMute: false });
    for (let n = 0; n < 300; n++) nic.send(frame('again'));
    expect([cards.poll(), cards.poll()]).toEqual([true, false]);
  });
  it('lose what finds no room, and say how much that was', () => {
    const nic = new RingNic(allocateNicRings(), { linkUp: true, isMute: false });
    for (let n = 0; n < 800; n++) nic.send(new Uint8Array(1500));
    nic.deliver(encodeFrame(frame('nobody listens'), undefined));
    expect(nic.counts).toEqual({ sent: 800, received: 0, lost: 800 - 693 + 1 });
    nic.onReceive(() => true);
    nic.deliver(encodeFrame(frame('taken'), undefined));
    nic.deliver(frame('no frame of another card'));
    expect(nic.counts).toMatchObject({ received: 1, lost: 800 - 693 + 2 });
  });
  it('take a frame where it was put together, and a copy of any other', () => {
    const rings = allocateNicRings(),
      nic = new RingNic(rings, { linkUp: true, isMute: false }),
      far = new RingNic({ output: rings.input, input: rings.output }, { linkUp: true, isMute: false });
    const offload: Offload = { checksumStart: 14, checksumAt: 16 };
    nic.frame(60)!.set(frame('never sent'));
    nic.send(frame('an array of its own'));
    const place = nic.frame(60)!;
    place.set(frame('in its place'));
    nic.send(place, offload);
    // Once sent, its place belongs to the reader: sent again, the array is copied as any other.
    nic.send(place.fill(65));
    const heard: unknown[] = [];
    far.onReceive((bytes) => heard.push(Buffer.from(bytes).toString('latin1').trim()) > 0);
    far.onOffloaded((bytes, left) => heard.push(Buffer.from(bytes).toString('latin1').trim(), left) > 0);
    for (let bytes = far.next(); bytes !== undefined; bytes = far.next()) {
      far.deliver(bytes);
      far.taken();
    }
    expect(heard).toEqual(['an array of its own', 'A'.repeat(60), offload, 'A'.repeat(60)]);
    while (nic.frame(65_000) !== undefined) nic.send(new Uint8Array(65_000));
    const { lost } = nic.counts;
    nic.send(new Uint8Array(65_000));
    expect(nic.counts.lost).toBe(lost + 1);
  });
  it('get a packet of TCP whole, or cut and with its checksums where they cannot do that', () => {
    const nic = new RingNic(allocateNicRings(), { linkUp: true, isMute: false });
    // IPv4 without options, and a TCP header without any.
    const packet = Uint8Array.from({ length: 54 + 250 }, (_, i) => (i < 54 ? 0 : i & 255));
    packet.set([0x08, 0x00, 0x45, 0, (packet.length - 14) >> 8, (packet.length - 14) & 255], 12);
    packet.set([64, 6], 22);
    packet[46] = 0x50;
    const offload: Offload = { checksumStart: 34, checksumAt: 50, segmentSize: 100 };
    const wire: Uint8Array[] = [];
    nic.onReceive((frame) => wire.push(frame) > 0);
    nic.deliver(encodeFrame(packet, offload));
    expect(wire.map(({ length }) => length)).toEqual([154, 154, 104]);
    const taken: unknown[] = [];
    nic.onOffloaded((frame, left) => taken.push(frame, left) > 0);
    nic.deliver(encodeFrame(packet, offload));
    expect(taken).toEqual([packet, offload]);
    expect(nic.counts).toMatchObject({ received: 4, lost: 0 });
  });
  it('are heard by nobody where they only repeat what they did', () => {
    const rings = allocateNicRings();
    new RingNic(rings, { linkUp: true, isMute: true }).send(frame('mute'));
    expect(
      new RingNic({ output: rings.input, input: rings.output }, { linkUp: true, isMute: false }).next(),
    ).toBeUndefined();
  });
});
