/**
 * A board with every device there is and a guest, a host and a clock that do anything at all: random accesses to ports, trapped
 * memory and configuration space (address registers among them), random tables in RAM for the devices to find, keys, frames and
 * serial input, and time. Everything follows from the seed. For tests and for `tools/fuzz-devices.ts`.
 */
import { Alarms, ManualClock, type Alarm, type Fields } from '@tomei/kit';
import { blankDisplayState } from '../display/display-state.ts';
import { renderFrame } from '../display/render.ts';
import type { Scanout } from '../display/scanout.ts';
import { seededRandom, type Random } from '../machine/battery-rig.ts';
import { backend, Board, type Backend, type Placement } from '../machine/board.ts';
import { backendKind, type DeviceDef, type Parts, type Width } from '../machine/device.ts';
import { drive, SLOTS } from './chaos-drivers.ts';
import { debugconBackend } from './debugcon.ts';
import { devices } from './index.ts';
import { ideDrives } from './ide/index.ts';
import { nicBackend } from './nic-backend.ts';
import { keyboardBackend } from './ps2.ts';
import { serialBackend } from './uart16550.ts';
import { videoMemoryBackend } from './vga.ts';
import { shareBackend } from './virtio/9p-backend.ts';
import { blockBackend, type BlockBackend } from './virtio/block-backend.ts';
import { consoleEnd } from './virtio/console-backend.ts';
import { gpuMemory } from './virtio/gpu.ts';
import { MemoryDisk } from './virtio/memory-disk.ts';
import { randomSource } from './virtio/random-source.ts';
import { vsockBackend } from './virtio/vsock-backend.ts';

const RAM_BYTES = 2 << 20;
const VIDEO_BYTES = 8 << 20;
const GPU_BYTES = 1 << 20;
const DISK_SECTORS = 2_880;
/** What one access may make a device move, and how many alarms may fire in the longest step of time. */
const MOST_BYTES = 16 << 20;
const LONGEST_NS = 10_000_000;
const MOST_ALARMS = 6_000;
/** A saved board is never larger; nor has it more stretches of trapped memory. */
const MOST_STATE = 4 << 20;
const MOST_RANGES = 200;

const WIDTHS = [1, 2, 4] as const;
const TELLING = [0, 1, 0xff, 0xffff, 0xffff_ffff, 0x80, 0x8000_0000, 0x55, 0xaa, 7, 0xfff0_0000, 0xfee0_0000];
/** Where address registers have been seen to put things. */
const WANDERING_PORTS = [0xc000, 0xc040, 0x600, 0x700, 0xb000, 0xafe0];

class CountingAlarms extends Alarms {
  fired = 0;

  override create(fire: () => void): Alarm {
    return super.create(() => {
      this.fired++;
      fire();
    });
  }
}
class CountingClock extends ManualClock {
  override readonly alarms = new CountingAlarms();
}

/** One board in its chaos. */
export class Chaos {
  readonly clock = new CountingClock();
  readonly ram = new Uint8Array(RAM_BYTES);
  readonly video = new Uint8Array(VIDEO_BYTES);
  readonly gpu = new Uint8Array(GPU_BYTES);
  readonly board: Board;
  private readonly words = new DataView(this.ram.buffer);
  private readonly disks: MemoryDisk[] = [];
  private readonly fixed: readonly (readonly [base: number, count: number])[];
  private readonly parts: ReadonlyMap<string, Parts>;
  private bring: (frame: Uint8Array) => boolean = () => false;
  private bringVirtio: (frame: Uint8Array) => boolean = () => false;
  private give: (bytes: Uint8Array) => void = () => undefined;
  private answer: (id: number, answer: Uint8Array) => void = () => undefined;
  /** Messages of the share without an answer, and those that a reset made forgotten. */
  private readonly asked: number[] = [];
  private done: (id: number) => void = () => undefined;
  /** Packets of the socket device's driver, likewise. */
  private readonly sent: number[] = [];
  private moved = 0;
  private resets = false;

  constructor() {
    this.board = new Board({
      ram: this.ram,
      clock: this.clock,
      alarms: this.clock.alarms,
      ramWritten: (_address, length) => void (this.moved += length),
      signal: (signal) => void (this.resets ||= signal === 'reset'),
    });
    const parts = new Map<string, Parts>();
    for (const [name, def] of devices) {
      const any = def as unknown as DeviceDef<unknown, Fields>;
      const example = any.config.example ?? {};
      const place: Placement = { ...PLACES[name], backends: this.backendsOf(name) };
      parts.set(name, this.board.add(any, { ...(example as object), ...CONFIGURATIONS[name] }, place).parts);
    }
    this.parts = parts;
    this.fixed = [...parts.values()].flatMap((p) => (p.ports ?? []).map(({ base, count }) => [base, count] as const));
    this.board.reset();
  }

  private disk(): MemoryDisk {
    const memory = { view: (address: number, length: number) => this.board.ioView(address, length) };
    const disk = new MemoryDisk({ memory, sectors: DISK_SECTORS, immediate: true });
    this.disks.push(disk);
    return disk;
  }
  private backendsOf(name: string): Backend[] {
    switch (name) {
      case 'debugcon':
        return [backend(debugconBackend, { write: () => undefined })];
      case 'e1000': {
        const onReceive = (handler: (frame: Uint8Array) => boolean): void => void (this.bring = handler);
        return [backend(nicBackend, { linkUp: true, send: () => undefined, onReceive })];
      }
      case 'fdc82077':
        return [
          backend(backendKind<{ drives: readonly BlockBackend[] }>('floppy-drives'), {
            drives: [this.disk(), this.disk()],
          }),
        ];
      case 'piix-ide':
        return [
          backend(ideDrives, {
            drives: [{ kind: 'disk', disk: this.disk() }, undefined, { kind: 'cdrom', disc: this.disk() }],
          }),
        ];
      case 'ps2':
        return [backend(keyboardBackend, { leds: () => undefined })];
      case 'uart16550':
        return [backend(serialBackend, { write: () => undefined })];
      case 'vga':
        return [backend(videoMemoryBackend, { bytes: this.video, size: VIDEO_BYTES })];
      case 'virtio-9p': {
        const onAnswer = (handler: (id: number, answer: Uint8Array) => void): void => void (this.answer = handler);
        return [
          backend(shareBackend, {
            tag: 'share',
            submit: (id) => void this.asked.push(id),
            reset: () => undefined,
            onAnswer,
          }),
        ];
      }
      case 'virtio-block':
        return [backend(blockBackend, this.disk())];
      case 'virtio-console': {
        const port = { name: 'port', isOpen: true, room: 4_096, write: () => undefined, onChange: () => undefined };
        return [backend(consoleEnd, { ports: [port] })];
      }
      case 'virtio-gpu':
        return [backend(gpuMemory, { bytes: this.gpu })];
      case 'virtio-net': {
        const onReceive = (handler: (frame: Uint8Array) => boolean): void => void (this.bringVirtio = handler);
        return [backend(nicBackend, { linkUp: true, send: () => undefined, onReceive })];
      }
      case 'virtio-rng':
        return [backend(randomSource, { request: () => undefined, onBytes: (give) => void (this.give = give) })];
      case 'virtio-vsock': {
        const onDone = (handler: (id: number) => void): void => void (this.done = handler);
        return [
          backend(vsockBackend, { cid: 3, submit: (id) => void this.sent.push(id), reset: () => undefined, onDone }),
        ];
      }
      default:
        return [];
    }
  }

  /** A second board in exactly this one's state. */
  twin(): Chaos {
    const copy = new Chaos();
    copy.clock.advance(this.clock.now() - copy.clock.now());
    copy.ram.set(this.ram);
    copy.video.set(this.video);
    copy.gpu.set(this.gpu);
    for (const [i, disk] of copy.disks.entries()) disk.data.set(this.disks[i]!.data);
    copy.board.restore(structuredClone(this.board.save()));
    copy.resets = this.resets;
    return copy;
  }
  /** Everything outside the saved board that two equal boards must agree on. */
  outside(): unknown {
    return {
      lines: Array.from({ length: 24 }, (_, line) => this.board.lines.level(line)),
      interrupt: this.board.interruptRequested,
      next: this.clock.alarms.next(),
      trapped: this.board.memory.ranges(),
    };
  }
  /** Whether RAM, video memory and disks hold the same. */
  remembersLike(other: Chaos): boolean {
    const same = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i]);
    return (
      same(this.ram, other.ram) &&
      same(this.video, other.video) &&
      same(this.gpu, other.gpu) &&
      this.disks.every((disk, i) => same(disk.data, other.disks[i]!.data))
    );
  }

  /** Does one thing. Answers what was to be seen; throws when a promise is broken. */
  step(random: Random): unknown {
    this.moved = 0;
    for (const disk of this.disks) disk.submitted.length = 0;
    const answer = this.act(random);
    if (this.moved > MOST_BYTES) throw new Error(`one step moved ${this.moved} bytes`);
    return answer;
  }

  /** Throws when something has grown that must not. */
  checkSize(): void {
    const size = sizeOf(this.board.save());
    if (size > MOST_STATE) throw new Error(`the saved board has grown to ${size} bytes`);
    const ranges = this.board.memory.ranges().length;
    if (ranges > MOST_RANGES) throw new Error(`there are ${ranges} stretches of trapped memory`);
  }

  private act(random: Random): unknown {
    const dice = random.next(100);
    if (dice < 30) return this.portAccess(random);
    if (dice < 55) return this.memoryAccess(random);
    if (dice < 68) return this.configAccess(random);
    if (dice < 78) return this.scribble(random);
    if (dice < 84) return drive({ board: this.board, ram: this.ram, random });
    if (dice < 90) return this.pass(random);
    if (dice < 93) return this.board.acknowledge();
    if (dice < 94 && this.resets && random.next(4) === 0) {
      this.resets = false;
      return this.board.reset();
    }
    return this.touch(random);
  }

  private value(random: Random, width: Width): number {
    const choice = random.next(4);
    if (choice === 0) return TELLING[random.next(TELLING.length)]! % 2 ** (8 * width);
    // An address in RAM, aligned as tables are.
    if (choice === 1) return (random.next(RAM_BYTES >> 6) << 6) % 2 ** (8 * width);
    return random.next(choice === 2 ? 256 : 2 ** (8 * width));
  }
  private portAccess(random: Random): unknown {
    const [base, count] =
      random.next(5) === 0
        ? [WANDERING_PORTS[random.next(WANDERING_PORTS.length)]!, 64]
        : this.fixed[random.next(this.fixed.length)]!;
    const port = random.next(50) === 0 ? random.next(65_536) : base + random.next(count);
    const width = WIDTHS[random.next(3)]!;
    if (random.next(2) === 0) return this.board.portWrite(port, width, this.value(random, width));
    return inRange(`port 0x${port.toString(16)}`, width, this.board.portRead(port, width));
  }
  private memoryAccess(random: Random): unknown {
    const ranges = this.board.memory.ranges();
    const { base, size } = ranges[random.next(ranges.length)]!;
    const reach = [size, Math.min(size, 64), Math.min(size, 1024)][random.next(3)]!;
    // Registers of the network card crowd further up.
    const far = size > 0x6000 && random.next(2) === 0 ? 0x2800 + random.next(0x1040) : random.next(reach);
    const address = random.next(50) === 0 ? random.next(2 ** 32) : base + (random.next(2) === 0 ? far & ~3 : far);
    const width = WIDTHS[random.next(3)]!;
    if (random.next(2) === 0) return this.board.memoryWrite(address, width, this.value(random, width));
    return inRange(`memory 0x${address.toString(16)}`, width, this.board.memoryRead(address, width));
  }
  private configAccess(random: Random): unknown {
    // Mostly the slots that are taken.
    const devfn =
      random.next(10) === 0 ? random.next(256) : random.next(10) * 8 + (random.next(3) === 0 ? random.next(4) : 0);
    const offset = random.next(3) === 0 ? 4 + random.next(60) : random.next(256);
    this.board.portWrite(0xcf8, 4, 0x8000_0000 + devfn * 256 + (offset & 0xfc));
    const width = WIDTHS[random.next(3)]!;
    const port = 0xcfc + (offset & 3 & -width);
    if (random.next(3) === 0) return inRange('configuration', width, this.board.portRead(port, width));
    // Often everything on, so that the rest is not in vain.
    const command = offset >> 2 === 1 && random.next(3) !== 0;
    return this.board.portWrite(port, width, command ? 7 : this.value(random, width));
  }
  /** Tables and rings for devices to find. */
  private scribble(random: Random): void {
    const start = random.next((RAM_BYTES - 4096) >> 4) << 4;
    const count = 1 + random.next(64);
    for (let i = 0; i < count; i++) this.words.setUint32(start + 4 * i, this.value(random, 4), true);
  }
  private pass(random: Random): void {
    const before = this.clock.alarms.fired;
    this.clock.advance(random.next(random.next(2) === 0 ? 2_000 : LONGEST_NS));
    const fired = this.clock.alarms.fired - before;
    if (fired > MOST_ALARMS) throw new Error(`${fired} alarms fired within ${LONGEST_NS} ns`);
  }

  /** Somebody looks at the GPU's screen, and asks for another size now and then. Answers how large the picture is. */
  private watch(random: Random): string {
    const gpu = this.parts.get('virtio-gpu') as Parts & {
      resize(width: number, height: number): void;
      scanout(): Scanout | undefined;
    };
    if (random.next(4) === 0) gpu.resize(random.next(6_000), random.next(6_000));
    const scanout = gpu.scanout();
    if (scanout === undefined) return 'none';
    const { width, height } = renderFrame({ display: { ...blankDisplayState(), scanout }, memory: this.gpu });
    return `${width}x${height}`;
  }

  /** The host's side: keys, frames, input, the power button. */
  private touch(random: Random): unknown {
    const bytes = Uint8Array.from({ length: 1 + random.next(8) }, () => random.next(256));
    switch (random.next(10)) {
      case 9: {
        for (const id of this.sent.splice(0)) this.done(id);
        const vsock = this.parts.get('virtio-vsock') as Parts & {
          receive(packet: Uint8Array): number | undefined;
          disconnected(): void;
        };
        if (random.next(4) === 0) vsock.disconnected();
        return vsock.receive(new Uint8Array(44 + random.next(9_000)).fill(random.next(256)));
      }
      case 8:
        // All of them alike: a twin has not those that are forgotten.
        for (const id of this.asked.splice(0)) this.answer(id, bytes);
        return undefined;
      case 7:
        return this.watch(random);
      case 5:
        return this.give(bytes);
      case 6:
        return this.bringVirtio(new Uint8Array(14 + random.next(9_000)).fill(random.next(256)));
      case 0:
        return this.parts.get('uart16550')?.input?.(bytes);
      case 1:
        return (this.parts.get('acpi-pm') as Parts & { powerButton(): boolean }).powerButton();
      case 2: {
        const { key } = this.parts.get('ps2') as Parts & { key(code: number, down: boolean): boolean };
        return key(random.next(128), random.next(2) === 0);
      }
      case 3: {
        const { mouse } = this.parts.get('ps2') as Parts & { mouse(...n: [number, number, number, number]): void };
        return mouse(random.next(512) - 256, random.next(512) - 256, random.next(8) - 4, random.next(32));
      }
      default: {
        const frame = new Uint8Array(14 + random.next(random.next(4) === 0 ? 9_000 : 1_500)).fill(random.next(256));
        if (random.next(2) === 0) frame.fill(0xff, 0, 6);
        return this.bring(frame);
      }
    }
  }
}

/** Devices that go by their places. */
const PLACES: Readonly<Record<string, { slot: number; function?: number }>> = {
  'i440fx-host': { slot: 0 },
  piix3: { slot: SLOTS.isa },
  'piix-ide': { slot: SLOTS.isa, function: 1 },
  'acpi-pm': { slot: SLOTS.isa, function: 3 },
  vga: { slot: SLOTS.video },
  'virtio-9p': { slot: SLOTS.share },
  'virtio-block': { slot: SLOTS.virtio },
  e1000: { slot: SLOTS.network },
  'virtio-balloon': { slot: SLOTS.balloon },
  'virtio-console': { slot: SLOTS.console },
  'virtio-gpu': { slot: SLOTS.gpu },
  'virtio-input': { slot: SLOTS.input },
  'virtio-net': { slot: SLOTS.virtioNet },
  'virtio-rng': { slot: SLOTS.rng },
  'virtio-vsock': { slot: SLOTS.vsock },
};
/** What differs from the usual configuration. */
const CONFIGURATIONS: Readonly<Record<string, object>> = {
  'acpi-pm': { base: 0x600 },
  e1000: { mac: Uint8Array.from([0, 0x0c, 0x29, 1, 2, 3]), rom: new Uint8Array(4_096).fill(0x90) },
  'piix-ide': { decodes: true },
  'rtc-cmos': { memoryBytes: RAM_BYTES },
};

function inRange(where: string, width: Width, value: number): number {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** (8 * width)) return value;
  throw new Error(`reading ${width} bytes of ${where} gave ${value}`);
}

/** About how many bytes plain data holds. */
function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  return Object.values(value).reduce<number>((sum, inner) => sum + sizeOf(inner), 8);
}

/**
 * Runs `steps` steps from `seed`. Every `between` steps the board is saved into a twin, which must go on alike; `told` hears how
 * far it is. Throws an Error that names seed and step.
 */
export function runChaos(
  seed: number,
  steps: number,
  { between = 5_000, told }: { between?: number; told?: (step: number) => void } = {},
): void {
  const random = seededRandom(seed);
  const chaos = new Chaos();
  for (let step = 0; step < steps; step++) {
    try {
      chaos.step(random);
      if (step % between !== between - 1) continue;
      chaos.checkSize();
      goesOnAlike(chaos, seed + step);
      told?.(step + 1);
    } catch (error) {
      throw new Error(`seed ${seed}, step ${step}: ${(error as Error).stack}`, { cause: error });
    }
  }
}

const TWIN_STEPS = 300;

function goesOnAlike(chaos: Chaos, seed: number): void {
  const copy = chaos.twin();
  const differ = (what: string): void => {
    const [mine, its] = [chaos.board.save(), copy.board.save()].map((saved) => JSON.stringify(saved));
    if (mine !== its) throw new Error(`${what}: the twin's state differs: ${firstDifference(mine!, its!)}`);
    const [outside, itsOutside] = [chaos.outside(), copy.outside()].map((o) => JSON.stringify(o));
    if (outside !== itsOutside)
      throw new Error(`${what}: the twin differs outside: ${firstDifference(outside!, itsOutside!)}`);
  };
  differ('after restore');
  const [one, other] = [seededRandom(seed), seededRandom(seed)];
  for (let i = 0; i < TWIN_STEPS; i++) {
    const [answer, its] = [chaos.step(one), copy.step(other)];
    if (answer !== its) throw new Error(`step ${i} after restore answers ${String(answer)} and ${String(its)}`);
  }
  differ(`${TWIN_STEPS} steps after restore`);
  if (!chaos.remembersLike(copy)) throw new Error(`${TWIN_STEPS} steps after restore memory differs`);
}

function firstDifference(a: string, b: string): string {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  return `...${a.slice(Math.max(0, at - 200), at + 40)}... and ...${b.slice(Math.max(0, at - 40), at + 40)}...`;
}
