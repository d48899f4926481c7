/** Drivers that put whatever they like into the rings of each device: nothing throws, and nothing outside of RAM is touched. */
import { type Fields } from '@tomei/kit';
import { expect, it } from 'vitest';
import { seededRandom, type Random } from '../../machine/battery.ts';
import { backend, type Backend } from '../../machine/board.ts';
import { type Device, type DeviceDef, type Parts } from '../../machine/device.ts';
import { nicBackend } from '../nic-backend.ts';
import { shareBackend } from './9p-backend.ts';
import { virtio9p } from './9p.ts';
import { virtioBalloon } from './balloon.ts';
import { consoleEnd } from './console-backend.ts';
import { virtioConsole } from './console.ts';
import { GuestDriver } from './guest-driver.ts';
import { gpuMemory, virtioGpu } from './gpu.ts';
import {
  DESC_INDIRECT,
  DESC_NEXT,
  PackedGuestQueue,
  SplitGuestQueue,
  type Buffer,
  type GuestQueue,
} from './guest-queue.ts';
import { virtioInput } from './input.ts';
import { LAYOUTS } from './layouts.ts';
import { virtioNet } from './net.ts';
import { randomSource } from './random-source.ts';
import { Rig, SLOT } from './rig.ts';
import { virtioRng } from './rng.ts';
import { vsockBackend } from './vsock-backend.ts';
import { virtioVsock } from './vsock.ts';

const RAM_BYTES = 1 << 20;
const SIZE = 16;

interface Case {
  readonly def: unknown;
  readonly config: object;
  readonly queues: number;
  readonly backends: () => readonly Backend[];
  /** What the host does now and then. */
  readonly outside: (parts: Parts & Record<string, unknown>, random: Random) => void;
}
let frame: (bytes: Uint8Array) => boolean = () => false;
let answer: (id: number, bytes: Uint8Array) => void = () => undefined;
let asked = 0;
let done: (id: number) => void = () => undefined;
let sent = 0;
let bytes: (bytes: Uint8Array) => void = () => undefined;
const call = (parts: Record<string, unknown>, name: string, ...args: unknown[]): void => {
  (parts[name] as (...args: unknown[]) => void)(...args);
};
const CASES: readonly (readonly [string, Case])[] = [
  ['rng', { def: virtioRng, config: {}, queues: 1, backends: () => [backend(randomSource, { request: () => undefined, onBytes: (h) => void (bytes = h) })], outside: (_parts, random) => bytes(new Uint8Array(1 + random.next(5000))) }],
  ['net', { def: virtioNet, config: { mac: new Uint8Array(6) }, queues: 3, backends: () => [backend(nicBackend, { linkUp: true, send: () => undefined, onReceive: (h) => void (frame = h) })], outside: (_parts, random) => void frame(new Uint8Array(14 + random.next(9000))) }],
  ['console', { def: virtioConsole, config: {}, queues: 10, backends: () => [backend(consoleEnd, { ports: ['a', 'b'].map((name) => ({ name, isOpen: true, room: 1000, write: () => undefined, onChange: () => undefined })) })], outside: (parts, random) => call(parts, 'typed', random.next(4), new Uint8Array(random.next(100))) }],
  ['balloon', { def: virtioBalloon, config: {}, queues: 5, backends: () => [], outside: (parts, random) => call(parts, random.next(2) === 0 ? 'ask' : 'want', random.next(2 ** 32)) }],
  ['gpu', { def: virtioGpu, config: {}, queues: 2, backends: () => [backend(gpuMemory, { bytes: new Uint8Array(1 << 18) })], outside: (parts, random) => call(parts, random.next(2) === 0 ? 'resize' : 'scanout', random.next(9000), random.next(9000)) }],
  ['9p', { def: virtio9p, config: {}, queues: 1, backends: () => [backend(shareBackend, { tag: 'share', submit: (id) => void (asked = id), reset: () => undefined, onAnswer: (h) => void (answer = h) })], outside: (_parts, random) => answer(Math.max(0, asked - random.next(3)), new Uint8Array(7 + random.next(120))) }],
  ['vsock', { def: virtioVsock, config: {}, queues: 3, backends: () => [backend(vsockBackend, { cid: 3, submit: (id) => void (sent = id), reset: () => undefined, onDone: (h) => void (done = h) })], outside: (parts, random) => (random.next(3) === 0 ? call(parts, 'disconnected') : random.next(2) === 0 ? done(Math.max(0, sent - random.next(3))) : call(parts, 'receive', new Uint8Array(44 + random.next(9000)))) }],
  ['input', { def: virtioInput, config: { role: 'tablet' }, queues: 2, backends: () => [], outside: (parts, random) => call(parts, 'point', random.next(40_000), random.next(40_000), random.next(8), random.next(3) - 1) }],
]; // prettier-ignore

function scribble(queue: GuestQueue, random: Random): void {
  const pick = <T>(...choices: readonly T[]): T => choices[random.next(choices.length)]!;
  const buffer: Buffer = {
    address:
      random.next(10) > 0 ? 0x4_0000 + 0x100 * random.next(64) : pick(RAM_BYTES - 1, RAM_BYTES, 2 ** 32 - 8, 2 ** 63),
    length: pick(0, 1, 7, 8, 12, 64, 100, 1600, random.next(30) === 0 ? 2 ** 32 - 1 : 16),
    writable: random.next(2) === 0,
  };
  const flags = pick(0, 0, 0, 0, DESC_NEXT, DESC_INDIRECT);
  if (queue instanceof PackedGuestQueue) queue.exposeRaw(buffer, random.next(0x1_0000), flags);
  if (!(queue instanceof SplitGuestQueue)) return;
  const index = random.next(SIZE);
  queue.describe(queue.desc, index, buffer, flags, random.next(SIZE));
  queue.expose(random.next(40) === 0 ? random.next(0x1_0000) : index);
}

const runs = CASES.flatMap(([name, given]) =>
  LAYOUTS.map(([layout, features]) => [name, layout, given, features] as const),
);
it.each(runs)('%s, %s', (_name, _layout, { def, config, queues, backends, outside }, features) => {
  const random = seededRandom(20_061);
  const rig = new Rig({ ram: new Uint8Array(RAM_BYTES), def: def as DeviceDef<object, Fields>, config, backends });
  const driver = new GuestDriver(rig, SLOT);
  const own = driver.offered().filter((feature) => feature < 24);
  let faults = 0;
  for (let life = 0; life < 60; life++) {
    rig.ram.fill(0, 0x4_0000, 0x5_0000);
    for (let i = 0; i < 400; i++) rig.ram[0x4_0000 + random.next(0x4000)] = random.next(random.next(2) === 0 ? 8 : 256);
    driver.bringUp([...features, ...own.filter(() => random.next(4) > 0)], SIZE, 0x1000, queues);
    driver.useMsix(random.next(2) === 0, random.next(8) === 0);
    for (let index = 0; index <= queues; index++) {
      const masked = random.next(3) === 0;
      driver.setMessage(index, { address: 0xfee0_0000 + random.next(2 ** 21), data: random.next(2 ** 16), masked });
      if (index === 0) driver.setConfigVector(random.next(queues + 2));
      else driver.setQueueVector(index - 1, random.next(queues + 2));
    }
    for (let step = 0; step < 60; step++) {
      const index = random.next(queues);
      scribble(driver.queues[index]!, random);
      if (random.next(2) === 0) driver.kick(index);
      if (random.next(3) === 0) outside((rig.device as Device<Parts & Record<string, unknown>>).parts, random);
      if (random.next(5) === 0) rig.clock.advance(1500);
      if (random.next(6) === 0) driver.maskVector(random.next(queues + 1), random.next(2) === 0);
      if (random.next(15) > 0) continue;
      const isStopped = (driver.status & 64) !== 0;
      const saved = structuredClone(rig.device.save());
      rig.device.restore(saved);
      // A stopped device keeps what it holds; one that runs may go on at once.
      if (isStopped) expect(rig.device.save()).toEqual(saved);
    }
    if ((driver.status & 64) !== 0) faults++;
  }
  expect(faults).toBeGreaterThan(20);
  expect(rig.troubles.filter((text) => !text.includes('MSI-X'))).toHaveLength(faults);
});
