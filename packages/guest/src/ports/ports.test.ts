/** A port of the virtio console from the processor's thread to a program at its socket, here in one thread. */
import { writeFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Doorbell } from '@tomei/kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PortServers } from './port-servers.ts';
import { RingPort, allocatePortRings } from './ring-port.ts';

let folder = '';
const closing: { close(): unknown }[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-port-'));
});
afterEach(async () => {
  for (const one of closing.splice(0)) one.close();
  await rm(folder, { recursive: true });
});

async function portAt(socket: string, { isMute = false, warnings = [] as string[] } = {}) {
  const rings = allocatePortRings();
  const servers = new PortServers([{ name: 'agent', socket, rings }], new Doorbell(Doorbell.allocate()));
  closing.push(servers);
  await servers.listen((text) => void warnings.push(text));
  return { port: new RingPort('agent', rings, isMute), servers, warnings };
}
async function client(path: string): Promise<{ socket: Socket; heard: () => string }> {
  const socket = connect(path);
  let heard = '';
  socket.on('data', (bytes: Buffer) => void (heard += bytes.toString('latin1')));
  socket.on('error', () => undefined);
  closing.push({ close: () => socket.destroy() });
  await once(socket, 'connect');
  return { socket, heard: () => heard };
}
/** As the processor's thread does between two slices. */
const look = (port: RingPort): void => {
  const change = port.look();
  if (change !== undefined) port.change(change);
};

describe('a port', () => {
  it('is open while a program is there, and carries bytes both ways', async () => {
    const path = join(folder, 'a.sock');
    const { port, servers } = await portAt(path);
    const before = port.isOpen;
    const { socket, heard } = await client(path);
    await expect.poll(() => (look(port), port.isOpen)).toBe(true);
    port.write(Buffer.from('to the program'));
    servers.poll();
    socket.write('to the guest');
    await expect.poll(heard).toBe('to the program');
    await expect.poll(() => Buffer.from(port.waiting).toString()).toBe('to the guest');
    port.took(3);

    expect(Buffer.from(port.waiting).toString()).toBe('the guest');
    socket.destroy();
    await expect.poll(() => (look(port), port.isOpen)).toBe(false);
    expect(before).toBe(false);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('takes no more of the guest than a slow program leaves room for, and loses nothing', async () => {
    const path = join(folder, 'a.sock');
    const { port, servers } = await portAt(path);
    const { socket, heard } = await client(path);
    socket.pause();
    const total = 3_000_000;
    let sent = 0;
    const pump = (): void => {
      look(port);
      const count = Math.min(port.room, total - sent);
      if (count > 0) port.write(Buffer.from(Array.from({ length: count }, (_, i) => 97 + ((sent + i) % 26))));
      sent += count;
      servers.poll();
    };
    for (let i = 0; i < 1000; i++) pump();
    const stuck = sent;
    socket.resume();

    await expect.poll(() => (pump(), heard().length), { interval: 1, timeout: 20_000 }).toBe(total);
    expect(stuck).toBeLessThan(total);
    expect([...heard()].every((letter, i) => letter.charCodeAt(0) === 97 + (i % 26))).toBe(true);
  });

  it('has one program at a time, and the next when that has gone', async () => {
    const path = join(folder, 'a.sock');
    const { port } = await portAt(path);
    const first = await client(path);
    await expect.poll(() => (look(port), port.isOpen)).toBe(true);
    const second = await client(path);
    await once(second.socket, 'close');
    first.socket.destroy();
    await expect.poll(() => (look(port), port.isOpen)).toBe(false);
    const third = await client(path);
    third.socket.write('hello');

    await expect.poll(() => Buffer.from(port.waiting).toString()).toBe('hello');
  });

  it('refuses a change that no host can have made', async () => {
    const { port } = await portAt(join(folder, 'a.sock'));
    port.write(Buffer.alloc(10));

    expect([port.change({ room: 11 }), port.change({ room: 10 }), port.room]).toEqual([false, true, 1 << 16]);
  });
});

describe('the socket of a port', () => {
  it('takes the place of one that nobody answers', async () => {
    const path = join(folder, 'a.sock');
    const old = createServer().listen(path);
    await once(old, 'listening');
    const taken = await portAt(path);
    old.close();
    await once(old, 'close');
    await writeFile(join(folder, 'file'), 'precious');
    const overFile = await portAt(join(folder, 'file'));
    const long = await portAt(join(folder, 'x'.repeat(108)));

    expect(taken.warnings).toEqual([
      expect.stringMatching(/agent cannot listen at .*a\.sock: another program listens/),
    ]);
    expect(overFile.warnings).toEqual([expect.stringMatching(/agent cannot listen at .*file: /)]);
    expect(long.warnings).toEqual([expect.stringMatching(/longer than 107 bytes/)]);
    expect((await portAt(path)).warnings).toEqual([]);
  });
});
