/**
 * Paravirtual devices under the drivers of Debian's stock kernel: packed rings, random numbers, a named port to a program of the host,
 * two guests that reach each other by virtio network cards,
 * a balloon, a tablet and a keyboard.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Console } from './tiny-guest.ts';
import { SLOW, TinyLab, boot, sh, stream } from './tiny-lab.ts';

const RING_PACKED = 34,
  EVENT_IDX = 29;
/** Of a network card: checksums, and TCP of IPv4 and IPv6 in long packets, in both directions. */
const NET_OFFLOADS = [0, 1, 7, 8, 11, 12];
/** The control queue, receive modes, and the address. */
const NET_CONTROL = [17, 18, 23];
const lab = TinyLab.forTests();
const CARD = 'ethernet0.virtualDev = "virtio"';

/** A program of the host at a port. */
async function programAt(path: string): Promise<{ socket: Socket; heard: () => string }> {
  const socket = connect(path);
  let heard = '';
  socket.on('data', (bytes: Buffer) => void (heard += bytes.toString('latin1')));
  await once(socket, 'connect');
  return { socket, heard: () => heard };
}

/** Address of the card, and frames that it has received. */
const CARD_FILES = '/sys/class/net/eth0';
test('the stock driver says on the control queue what its card is to hear, and by which address', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const [first, second] = [await lab.guestOf('named', CARD), await lab.guestOf('namer', CARD)];
  await using a = await boot(first, 1);
  await using b = await boot(second, 2);
  const features = /[01]{64}/.exec(await sh(a, `cat ${CARD_FILES}/device/features`))![0];
  expect(NET_CONTROL.map((bit) => features[bit])).toEqual(NET_CONTROL.map(() => '1'));

  // An address of its own, by which the other one reaches it.
  await sh(a, 'ip link set eth0 address 02:00:00:00:00:07');
  expect(await sh(a, `cat ${CARD_FILES}/address`)).toMatch(/^02:00:00:00:00:07\r?$/m);
  expect(await sh(b, 'ping -c 3 -w 60 10.0.0.1; ip neigh')).toMatch(/ 3 packets received[^]*lladdr 02:00:00:00:00:07/);

  // Frames to somebody else are heard by a promiscuous card alone.
  const pings = 40;
  await sh(b, 'arp -s 10.0.0.9 02:00:00:00:00:09');
  const heard = async (): Promise<number> => {
    const count = async (): Promise<number> =>
      Number(/^([0-9]+)\r?$/m.exec(await sh(a, `cat ${CARD_FILES}/statistics/rx_packets`))![1]);
    const before = await count();
    await sh(b, `ping -c ${pings} -i 0.05 -W 1 10.0.0.9`);
    return (await count()) - before;
  };
  expect(await heard()).toBeLessThan(pings / 2);
  await sh(a, 'ip link set eth0 promisc on');
  expect(await heard()).toBeGreaterThanOrEqual(pings);
  await sh(a, 'ip link set eth0 promisc off');
  expect(await heard()).toBeLessThan(pings / 2);
});

test('stock drivers use every device', { timeout: SLOW }, async ({ skip }) => {
  skip(lab.unavailable !== undefined, lab.unavailable);
  const path = join(lab.folder, 'agent.sock');
  const first = await lab.guestOf('first', CARD, 'tomei.rng.present = "TRUE"', 'tomei.balloon.present = "TRUE"', 'tomei.input.present = "TRUE"', 'tomei.port0.name = "org.example.agent"', `tomei.port0.fileName = "${path}"`); // prettier-ignore
  const second = await lab.guestOf('second', CARD, 'tomei.rng.present = "TRUE"');
  const recording = join(lab.folder, 'run.rec');
  await using a = await boot(first, 1);
  await using b = await boot(second, 2, { timing: { record: recording } });

  // Linux takes packed rings and event indexes of each.
  const features = await sh(a, 'cat /sys/bus/virtio/devices/*/features');
  const words = features.split(/\r?\n/).filter((line) => /^[01]{64}$/.test(line));
  expect(words).toHaveLength(7);
  expect(words.map((bits) => [bits[RING_PACKED], bits[EVENT_IDX]])).toEqual(words.map(() => ['1', '1']));
  const card = /[01]{64}/.exec(await sh(a, 'cat /sys/class/net/eth0/device/features'))![0];
  expect(NET_OFFLOADS.map((bit) => card[bit])).toEqual(NET_OFFLOADS.map(() => '1'));

  // Random numbers: as many as asked for, and no two times the same.
  expect(await sh(a, 'cat /sys/class/misc/hw_random/rng_current')).toMatch(/virtio_rng/);
  const random = 'dd if=/dev/hwrng bs=32 count=8 2>/dev/null | md5sum';
  const sums = [await sh(a, random), await sh(a, random)].map((text) => /[0-9a-f]{32}(?=  -)/.exec(text)![0]);
  expect(sums[0]).not.toBe(sums[1]);
  expect(sums).not.toContain('348a9791dc41b89796ec3808b5b5262f');

  // A named port, both ways.
  const { socket, heard } = await programAt(path);
  const port = '/dev/virtio-ports/org.example.agent';
  await sh(a, `[ -e ${port} ] || { mkdir -p /dev/virtio-ports; ln -s /dev/vport* ${port}; }`);
  await sh(a, `md5sum /bin/busybox > ${port}; dd if=/bin/busybox of=${port} bs=64k count=4 2>/dev/null`);
  await expect.poll(() => heard().length, { timeout: 60_000 }).toBe(4 * 65_536 + 32 + 2 + '/bin/busybox\n'.length);
  socket.write('words from the host\n');
  expect(await sh(a, `head -n 1 < ${port}`)).toMatch(/\r?\nwords from the host\r?\n/);
  socket.destroy();

  // The balloon: statistics, pages that the host wants and gets back, free pages that are zeroed.
  await a.guest.balloon();
  const megabytes = 2 ** 20;
  await expect.poll(async () => (await a.guest.balloon())?.statistics?.totalMemory, { timeout: 60_000 }).toBeGreaterThan(90 * megabytes); // prettier-ignore
  await a.guest.balloon(4096);
  await expect.poll(async () => (await a.guest.balloon())?.actualPages, { timeout: 60_000 }).toBe(4096);
  expect((await a.guest.balloon())!.givenBytes).toBeGreaterThanOrEqual(4096 * 4096);
  await a.guest.balloon(0);
  await expect.poll(async () => (await a.guest.balloon())?.actualPages, { timeout: 60_000 }).toBe(0);

  // An absolute pointer and a key, as a program reads them.
  const devices = await sh(a, 'cat /proc/bus/input/devices');
  const handlerOf = (name: string): string => new RegExp(`${name}"[^]*?Handlers=.*?(event[0-9]+)`).exec(devices)![1]!;
  let turn = 0;
  /** Has the guest print events of a device, of 16 bytes each, and moves until it has them: what comes before a program reads is lost. */
  const eventsOf = async (name: string, move: () => void): Promise<string> => {
    const from = a.output.length;
    a.send(`dd if=/dev/input/${handlerOf(name)} bs=16 count=8 2>/dev/null | xxd -p -c 16; echo READ-$((1+1))\n`);
    const isDone = (): boolean => {
      turn ^= 1;
      move();
      return a.output.includes('READ-2', from);
    };
    await expect.poll(isDone, { timeout: 60_000 }).toBe(true);
    await a.expect(/READ-2\r?\n/);
    return a.output.slice(from);
  };
  const tablet = await eventsOf('Tomei virtio tablet', () => a.guest.input({ kind: 'pointer', x: 0x1234 + turn, y: 0x5678 - turn, wheel: 0, buttons: 0 })); // prettier-ignore
  expect(tablet).toMatch(/0300000035120000\r?\n[0-9a-f]{16}0300010077560000\r?\n[0-9a-f]{16}0{16}\r?\n/);
  // A console's pointer is the tablet's, too.
  const place = (): { x: number; y: number } => ({ x: 2 * (0x2345 + turn), y: 2 * (0x6789 - turn) });
  const console = await eventsOf('Tomei virtio tablet', () => a.guest.input({ kind: 'mouse', dx: 1, dy: 1, dz: 0, buttons: 0, at: place() })); // prettier-ignore
  expect(console).toMatch(/0300000046230000\r?\n[0-9a-f]{16}0300010088670000\r?\n[0-9a-f]{16}0{16}\r?\n/);
  const keys = await eventsOf('Tomei virtio keyboard', () => a.guest.input({ kind: 'key', code: 0xe04b, down: turn === 1 })); // prettier-ignore
  expect(keys).toMatch(/0100690001000000\r?\n[0-9a-f]{16}0{16}\r?\n[0-9a-f]{16}0100690000000000/);

  // Frames of all sizes, and a stream in fewer packets than it has frames on a wire.
  expect(await sh(b, 'ping -c 3 -w 60 10.0.0.1')).toMatch(/ 3 packets received/);
  expect(await sh(a, 'ping -c 2 -w 60 -s 5000 10.0.0.2')).toMatch(/ 2 packets received/);
  const [sent, received] = await stream(b, a, '10.0.0.1');
  expect(received).toBe(sent);
  const bytes = Number(/\r?\n([0-9]+)\r?\n/.exec(await sh(b, 'wc -c < /bin/busybox; httpd -p 80 -h /bin'))![1]),
    framesBefore = (await b.guest.stats()).frames!.sent;
  // Its writes are large, and so are the packets that they become.
  expect(await sh(a, 'wget -q -O - http://10.0.0.2/busybox | md5sum')).toContain(sent);
  expect((await b.guest.stats()).frames!.sent - framesBefore).toBeLessThan(bytes / 1460 / 2);

  // What came from outside is in a recording, random numbers too.
  await sh(b, random);
  b.send('poweroff\n');
  const before = await b.guest.ended;
  await using again = new Console(second, { timing: { replay: recording } });
  const after = await again.guest.ended;
  expect(after.end).toEqual({ ...before.end, replayed: true });
  expect(after.stats.instructions).toBe(before.stats.instructions);
  expect(again.output).toBe(b.output);

  // Everything goes on from a snapshot.
  const snapshot = join(lab.folder, 'first.snapshot');
  await a.guest.save(snapshot, { stop: true });
  await a.guest.ended;
  await using a2 = new Console(first, { restore: snapshot });
  a2.send('\n');
  await a2.expect(/# /);
  await using b2 = await boot(await lab.guestOf('plain'), 3);
  expect(await sh(a2, 'ping -c 3 -w 60 10.0.0.3')).toMatch(/ 3 packets received/);
  // A card that takes frames of a wire alone.
  const [whole, cut] = await stream(a2, b2, '10.0.0.3');
  expect(cut).toBe(whole);
  expect(await sh(a2, random)).toMatch(/[0-9a-f]{32}  -/);
  const later = await programAt(path);
  await sh(a2, `echo still here > ${port}`);
  await expect.poll(later.heard, { timeout: 60_000 }).toBe('still here\n');
  later.socket.destroy();
  expect([...a.warnings, ...b.warnings, ...a2.warnings, ...b2.warnings].filter((text) => /driver|port/.test(text))).toEqual([]);
});
