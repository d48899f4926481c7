/**
 * Virtio sockets under Debian's stock driver: streams between programs of guest and host in both directions, ends of every kind, a
 * snapshot, and a recording.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { KEEP, KEPT, SYSCALL, linuxProgram, set, u32 } from './linux-program.ts';
import { Console } from './tiny-guest.ts';
import { SLOW, TinyLab, boot, sh } from './tiny-lab.ts';

const lab = TinyLab.forTests();
const servers: Server[] = [];
afterAll(() => servers.forEach((server) => server.close()));
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const ECONNRESET = 104;
const GUEST_PORT = 52;

const AF_VSOCK = 40;
const address = (cid: number, port: number): number[] => [AF_VSOCK, 0, 0, 0, ...u32(port), ...u32(cid), 0, 0, 0, 0];
const ADDRESS_BYTES = 16;
const SOCKET = [...set.eax(359), ...set.ebx(AF_VSOCK), ...set.ecx(1), ...set.edx(0), ...SYSCALL, ...KEEP];
/** Runs the applet of busybox that its arguments name, with the socket in EDI as its input and output. */
const run = (path: number): number[] => [
  ...[...set.eax(63), ...KEPT, ...set.ecx(0), ...SYSCALL], // dup2(socket, 0)
  ...[...set.eax(63), ...KEPT, ...set.ecx(1), ...SYSCALL], // dup2(socket, 1)
  ...[...set.eax(11), ...set.ebx(path), 0x8d, 0x4c, 0x24, 8, ...set.edx(0), ...SYSCALL], // execve(path, argv + 1, nothing)
];
/** NEG EAX; exit(EAX) */
const FAIL = [0xf7, 0xd8, 0x89, 0xc3, ...set.eax(1), ...SYSCALL];
const BUSYBOX = [...Buffer.from('/bin/busybox\0')];
const TEST = [0x85, 0xc0];
const JNZ = 0x75,
  JS = 0x78;

/** Connects to a port of the host. Its exit status is the error. */
const callProgram = (port: number): Uint8Array =>
  linuxProgram(
    (data) => [
      ...SOCKET,
      ...[...set.eax(362), ...KEPT, ...set.ecx(data), ...set.edx(ADDRESS_BYTES), ...SYSCALL], // connect
      ...[...TEST, JNZ, run(0).length],
      ...run(data + ADDRESS_BYTES),
      ...FAIL,
    ],
    [...address(2, port), ...BUSYBOX],
  );
/** Waits for one client at a port of the guest. */
const serveProgram = (port: number): Uint8Array => {
  const accepting = [...set.eax(364), ...KEPT, ...set.ecx(0), ...set.edx(0), ...set.esi(0), ...SYSCALL, ...KEEP];
  const listening = [...set.eax(363), ...KEPT, ...set.ecx(1), ...SYSCALL];
  const rest = (path: number): number[] => [...listening, ...accepting, ...TEST, JS, run(0).length, ...run(path)];
  return linuxProgram(
    (data) => [
      ...SOCKET,
      ...[...set.eax(361), ...KEPT, ...set.ecx(data), ...set.edx(ADDRESS_BYTES), ...SYSCALL], // bind
      ...[...TEST, JNZ, rest(0).length],
      ...rest(data + ADDRESS_BYTES),
      ...FAIL,
    ],
    [...address(0xffff_ffff, port), ...BUSYBOX],
  );
};
async function install(guest: Console, name: string, bytes: Uint8Array): Promise<void> {
  await sh(guest, `echo ${Buffer.from(bytes).toString('base64')} | base64 -d > /root/${name}; chmod 755 /root/${name}`);
}

/** Listens for what the guest wants of a port of the host. */
async function listenFor(path: string, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }).listen(`${path}_${port}`);
  servers.push(server);
  await once(server, 'listening');
  return server;
}
/** All that a socket gives, to its end. */
async function all(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
/** The next client of a server. */
const client = async (server: Server): Promise<Socket> => ((await once(server, 'connection')) as [Socket])[0];
/** A program of the host that wants to a port of the guest, behind the line that says that it is there. */
async function reach(path: string, port: number): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.write(`CONNECT ${port}\n`);
  let line = '';
  while (!line.endsWith('\n')) {
    await once(socket, 'readable');
    for (let byte = socket.read(1) as Buffer | null; byte !== null; byte = socket.read(1) as Buffer | null) {
      line += byte.toString();
      if (line.endsWith('\n')) break;
    }
  }
  expect(line).toMatch(/^OK [0-9]+\n$/);
  return socket;
}
const keys = (path: string): string[] => ['tomei.vsock.present = "TRUE"', 'tomei.vsock.cid = "7"', `tomei.vsock.fileName = "${path}"`];

test('programs of guest and host speak to each other', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const path = join(lab.folder, 'v.sock');
  const vmx = await lab.guestOf('sockets', ...keys(path));
  await using guest = await boot(vmx, 1);
  await sh(guest, 'modprobe vmw_vsock_virtio_transport');
  await install(guest, 'call', callProgram(1234));
  await install(guest, 'serve', serveProgram(GUEST_PORT));

  // Nobody listens.
  expect(await sh(guest, '/root/call true; echo status $?')).toMatch(new RegExp(`status ${ECONNRESET}\\r?\\n`));

  // To the host, and more than either end has room for.
  const server = await listenFor(path, 1234);
  const sum = /([0-9a-f]{32}) /.exec(await sh(guest, 'md5sum < /bin/busybox'))![1];
  guest.send('/root/call cat /bin/busybox; echo CALLED-$((1+1))\n');
  const from = await client(server);
  expect(md5(await all(from))).toBe(sum);
  from.end();
  await guest.expect(/CALLED-2/);

  // Both ways over one connection: the host says that it has said all, and hears the answer.
  const much = randomBytes(3 << 20);
  guest.send('/root/call md5sum; echo SUMMED-$((1+1))\n');
  const both = await client(server);
  both.end(much);
  expect(String(await all(both))).toBe(`${md5(much)}  -\n`);
  await guest.expect(/SUMMED-2/);

  // From the host.
  guest.send('/root/serve md5sum &\n');
  await expect.poll(async () => sh(guest, 'ps | grep -c "[/]root/serve"'), { timeout: 60_000 }).toMatch(/^1\r?$/m);
  const to = await reach(path, GUEST_PORT);
  to.end(much);
  expect(String(await all(to))).toBe(`${md5(much)}  -\n`);
  const refused = connect({ path });
  refused.write('CONNECT 53\n');
  expect(String(await all(refused))).toBe('');

  // A connection does not outlive a snapshot, and new ones can be made after it.
  guest.send('(/root/call cat; echo cat ended) 2>&1 &\n');
  const held = await client(server);
  held.write('half a word');
  expect(String((await once(held, 'data'))[0])).toBe('half a word');
  const ended = once(held, 'end');
  const snapshot = join(lab.folder, 'sockets.snapshot');
  await guest.guest.save(snapshot, { stop: true });
  await guest.guest.ended;
  await ended;
  held.destroy();
  await using again = new Console(vmx, { restore: snapshot });
  again.send('\n');
  await again.expect(/cat ended/);
  const echo = client(server);
  again.send('/root/call echo still here\n');
  expect(String(await all(await echo))).toBe('still here\n');
  expect([...guest.warnings, ...again.warnings].filter((text) => /driver|socket/i.test(text))).toEqual([]);
});

test('a recording has what came by sockets', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const path = join(lab.folder, 'r.sock');
  const vmx = await lab.guestOf('recorded', ...keys(path));
  const recording = join(lab.folder, 'sockets.rec');
  await using guest = await boot(vmx, 2, { timing: { record: recording } });
  await sh(guest, 'modprobe vmw_vsock_virtio_transport');
  await install(guest, 'call', callProgram(1234));
  const server = await listenFor(path, 1234);
  const much = randomBytes(200_000);
  guest.send('/root/call tee /root/heard; md5sum /root/heard; echo DONE-$((1+1))\n');
  const socket = await client(server);
  socket.end(much);
  expect((await all(socket)).equals(much)).toBe(true);
  expect(await guest.expect(/DONE-2/)).toContain(md5(much));
  guest.send('poweroff\n');
  const before = await guest.guest.ended;
  server.close();

  await using again = new Console(vmx, { timing: { replay: recording } });
  const after = await again.guest.ended;
  expect(after.end).toEqual({ ...before.end, replayed: true });
  expect(after.stats.instructions).toBe(before.stats.instructions);
  expect(again.output).toBe(guest.output);
});
