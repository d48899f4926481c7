/** The bench that the device battery works on: a real board with one device, virtual time, and everything written down. */
import { Alarms, ManualClock, pod, type Alarm, type Fields } from '@tomei/kit';
import { Board, type Backend } from './board.ts';
import {
  defineDevice,
  typed,
  type ApicMessage,
  type Device,
  type DeviceDef,
  type Parts,
  type Width,
} from './device.ts';
import { IRQ_LINES, type LineSource } from './irq-lines.ts';
import { PCI_BAR0 } from './pci-config.ts';

/** A repeatable source of numbers: `next(n)` gives a whole number in `0 .. n - 1`. */
export interface Random {
  next(limit: number): number;
}

/** Mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    next(limit) {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
    },
  };
}

/** Alarms that can be asked for the time of each. */
export class RecordingAlarms extends Alarms {
  readonly times: (number | null)[] = [];

  override create(fire: () => void): Alarm {
    const index = this.times.push(null) - 1;
    const alarm = super.create(() => {
      this.times[index] = null;
      fire();
    });
    return {
      set: (at) => {
        this.times[index] = Math.max(0, Math.ceil(at));
        alarm.set(at);
      },
      cancel: () => {
        this.times[index] = null;
        alarm.cancel();
      },
    };
  }
}

class RecordingClock extends ManualClock {
  override readonly alarms = new RecordingAlarms();
}

/** The host side of a device under test. */
export interface Bench {
  readonly backends: readonly Backend[];
  /** Everything the device gave to its backends so far, oldest first, as plain data. */
  readonly output?: () => readonly unknown[];
  /** Memory outside RAM whose contents the machine saves, not the device: video memory. */
  readonly memory?: Uint8Array;
}

/** What a battery needs to know about one device. */
export interface BatteryCase<C, P extends Parts> {
  readonly config: C;
  /** Brings the device far away from its reset state; every part of the state should be in use afterwards. */
  readonly disturb: (device: Device<P>, rig: Rig<P>) => void;
  readonly bench?: () => Bench;
  /** Further things that may happen to the device in random runs (a key, a mouse move); the answer is compared. */
  readonly actions?: readonly ((device: Device<P>, random: Random) => unknown)[];
  readonly seed?: number;
  /** RAM of the board in bytes; 1 MiB when absent. */
  readonly ramBytes?: number;
}

/** A place where the guest reaches the device. */
interface Target {
  readonly read: (offset: number, width: Width) => number;
  readonly write: (offset: number, width: Width, value: number) => void;
  readonly size: number;
}

const WIDTHS = [1, 2, 4] as const;
/** Values that registers treat specially more often than random ones. */
const TELLING = [0, 1, 0xff, 0xffff, 0xffff_ffff, 0x80, 0x8000_0000, 0x55, 0xaa];

/** Sits on the APIC bus and writes down what passes. */
const busProbe = defineDevice({
  kind: 'bus-probe',
  version: 1,
  config: typed<string[]>(),
  state: pod({}),
  attach: ({ config: events }) => ({
    apicMessage(message: ApicMessage): boolean {
      events.push(`message ${JSON.stringify(message)}`);
      return false;
    },
    apicEoi: (vector: number) => void events.push(`end of interrupt ${vector}`),
  }),
});

export class Rig<P extends Parts = Parts> {
  readonly clock: ManualClock;
  readonly board: Board;
  readonly device: Device<P>;
  readonly ram: Uint8Array;
  /** Line changes, signals and interrupt requests, oldest first. */
  readonly events: string[] = [];
  private readonly recording = new RecordingClock();
  private readonly wires: LineSource;
  private readonly wired = new Set<number>();
  private readonly bench: Bench;
  private readonly actions: BatteryCase<unknown, P>['actions'];
  private readonly targets: readonly Target[];
  private readonly input: ((bytes: Uint8Array) => number) | undefined;

  constructor(def: DeviceDef<unknown, Fields, P>, given: BatteryCase<unknown, P>) {
    this.clock = this.recording;
    this.ram = new Uint8Array(given.ramBytes ?? 1 << 20);
    this.bench = given.bench?.() ?? { backends: [] };
    this.actions = given.actions;
    this.board = new Board({
      ram: this.ram,
      clock: this.clock,
      alarms: this.recording.alarms,
      signal: (signal, value) => this.events.push(`signal ${signal} ${value}`),
      interruptRequest: (level) => this.events.push(`interrupt request ${level}`),
    });
    this.wires = this.board.lines.source();
    this.device = this.board.add(def, given.config, { backends: this.bench.backends });
    this.board.add(busProbe, this.events);
    this.board.lines.listen((line, level) => this.events.push(`line ${line} ${level}`));
    this.board.reset();
    this.targets = this.findTargets();
    this.input = this.device.parts.input;
  }

  /** What the outside sees: lines, alarms, backends. */
  outside(): unknown {
    return {
      lines: Array.from({ length: IRQ_LINES }, (_, line) => this.board.lines.level(line)),
      interruptRequested: this.board.interruptRequested,
      alarms: this.recording.alarms.times,
    };
  }
  get alarmTimes(): readonly (number | null)[] {
    return this.recording.alarms.times;
  }
  output(): readonly unknown[] {
    return this.bench.output?.() ?? [];
  }

  /** Drives a line as another device would. */
  wire(line: number, level: boolean): void {
    this.wires.set(line, level);
    if (level) this.wired.add(line);
    else this.wired.delete(line);
  }

  /** Lets go of all lines that `wire` drives. */
  releaseWires(): void {
    for (const line of [...this.wired]) this.wire(line, false);
  }

  /** Puts the surroundings of the device into the state they have on another bench: time, RAM and the other lines. */
  surroundLike(other: Rig<P>): void {
    this.clock.advance(other.clock.now() - this.clock.now());
    this.ram.set(other.ram);
    if (other.bench.memory !== undefined) this.bench.memory?.set(other.bench.memory);
    for (const line of other.wired) this.wire(line, true);
  }

  /** One random thing that a guest, the host or time does; the answer is what it showed. Never advances more than 10 ms. */
  step(random: Random): unknown {
    const { parts } = this.device;
    const dice = random.next(100);
    if (dice < 6) return void this.clock.advance(random.next(random.next(2) === 0 ? 2_000 : 10_000_000));
    if (dice < 12 && this.input !== undefined) {
      return this.input(Uint8Array.from({ length: 1 + random.next(4) }, () => random.next(256)));
    }
    if (dice < 20 && parts.interruptLine !== undefined) return this.wire(random.next(IRQ_LINES), random.next(2) === 1);
    if (dice < 26 && parts.acknowledge !== undefined) return this.board.acknowledge();
    if (dice < 30 && parts.apicEoi !== undefined) return void parts.apicEoi(random.next(256));
    if (dice < 40 && this.actions !== undefined && this.actions.length > 0) {
      return this.actions[random.next(this.actions.length)]!(this.device, random);
    }
    return this.access(random);
  }

  private access(random: Random): unknown {
    if (this.targets.length === 0) return undefined;
    const target = this.targets[random.next(this.targets.length)]!;
    const width = WIDTHS[random.next(3)]!;
    // Registers crowd at the start of large windows; the last bytes are a favourite place for mistakes.
    const reach = [target.size, Math.min(target.size, 64), Math.min(target.size, 1024)][random.next(3)]!;
    const offset = random.next(40) === 0 ? Math.max(0, target.size - width) : random.next(reach);
    if (random.next(2) === 0) {
      const value = target.read(offset, width);
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * width)) {
        throw new Error(`reading ${width} bytes at offset ${offset} gave ${value}`);
      }
      return value;
    }
    const value = random.next(3) === 0 ? TELLING[random.next(TELLING.length)]! : random.next(2 ** 32);
    target.write(offset, width, value % 2 ** (8 * width));
    return undefined;
  }

  private findTargets(): Target[] {
    const { board } = this;
    const { parts } = this.device;
    const port = (base: number, size: number): Target => ({
      size,
      read: (offset, width) => board.portRead(base + offset, width),
      write: (offset, width, value) => board.portWrite(base + offset, width, value),
    });
    const memory = (base: number, size: number): Target => ({
      size,
      read: (offset, width) => board.memoryRead(base + offset, width),
      write: (offset, width, value) => board.memoryWrite(base + offset, width, value),
    });
    const bars = (parts.pci?.bars ?? []).flatMap((bar, index) => {
      if (bar === undefined || bar.videoMemory !== undefined) return [];
      board.portWrite(0xcf8, 4, 0x8000_0000 + this.devfn(parts) * 256 + PCI_BAR0 + 4 * index);
      const base = (board.portRead(0xcfc, 4) & -bar.size) >>> 0;
      return [bar.space === 'io' ? port(base, bar.size) : memory(base, bar.size)];
    });
    const config = (offset: number, width: Width): number => {
      board.portWrite(0xcf8, 4, 0x8000_0000 + this.devfn(parts) * 256 + (offset & 0xfc));
      return board.portRead(0xcfc + (offset & 3), width);
    };
    const windows = (parts.pci?.windows ?? []).flatMap(({ base, size }) => {
      const at = base(config);
      return at === undefined ? [] : [port(at, size)];
    });
    return [
      ...(parts.ports ?? []).map((claim) => port(claim.base, claim.count)),
      ...(parts.memory ?? []).map((claim) => memory(claim.base, claim.size)),
      ...bars,
      ...windows,
    ];
  }

  private devfn(parts: Parts): number {
    for (let devfn = 0; devfn < 256; devfn++) {
      this.board.portWrite(0xcf8, 4, 0x8000_0000 + devfn * 256);
      if (this.board.portRead(0xcfc, 4) === parts.pci!.vendorId + parts.pci!.deviceId * 65_536) return devfn;
    }
    throw new Error('the device under test is not on the PCI bus');
  }
}
