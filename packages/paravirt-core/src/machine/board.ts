/**
 * The board: address spaces, interrupt wires, the PCI bus and the devices on them. It knows nothing of the processor: whoever
 * runs one asks for accesses, watches the interrupt request and fires the alarms. Time is given in.
 */
import { Alarms, TomeiError, type Clock, type Fields } from '@tomei/kit';
import {
  buildDevice,
  type ApicMessage,
  type BackendKind,
  type Device,
  type DeviceDef,
  type DmaChannel,
  type GuestMemory,
  type Host,
  type MachineSignal,
  type Parts,
  type Saved,
  type Staging,
  type Width,
} from './device.ts';
import { RamWindow } from './guest-memory.ts';
import { InterruptPin } from './interrupt-pin.ts';
import { IrqLines } from './irq-lines.ts';
import { MemorySpace } from './memory-space.ts';
import { PciBus, type VideoMapping } from './pci-bus.ts';
import type { ResourceWindows } from './pci-resources.ts';
import { PortSpace, type UnclaimedAccess } from './port-space.ts';

export interface BoardOptions {
  /** Guest RAM from guest-physical 0 up. */
  readonly ram: Uint8Array;
  /** What `Host.staging` gives out: it lies directly behind RAM. Each piece is allocated for itself when absent. */
  readonly staging?: Uint8Array;
  readonly clock: Clock;
  /** The alarms that the owner of `clock` fires; the board makes its own when absent. */
  readonly alarms?: Alarms;
  /** A device wrote RAM: translations of code there are stale. */
  readonly ramWritten?: (address: number, length: number) => void;
  /** The interrupt request pin of a processor changed. */
  readonly interruptRequest?: (level: boolean, processor: number) => void;
  /** A device pulled a line that the machine answers. Called inside the guest's access: note it, act after the instruction. */
  readonly signal?: (signal: MachineSignal, value: number, device: string) => void;
  /** A device's driver did what it must not. The guest decides how often: pass on a few. */
  readonly trouble?: (device: string, what: string) => void;
  /** Video memory appeared, moved or went. */
  readonly videoMemory?: (mapping: VideoMapping) => void;
  /** The map of trapped memory changed: cached lookups are stale. */
  readonly memoryMapChanged?: () => void;
  readonly unclaimedPort?: UnclaimedAccess;
  readonly unclaimedMemory?: UnclaimedAccess;
  /** Whether guest firmware sets up PCI. When absent or false the board does it at every reset. */
  readonly firmware?: boolean;
  readonly pciWindows?: Partial<ResourceWindows>;
}

/** The host side of one backend kind, as handed to `Board.add`. */
export interface Backend {
  readonly kind: string;
  readonly value: unknown;
}
/** Pairs a backend with its kind, checked by the compiler. */
export const backend = <T>(kind: BackendKind<T>, value: T): Backend => ({ kind: kind.name, value });

export interface Placement {
  /** Key in snapshots; the kind when absent, with `#1`, `#2`.. for further ones. */
  readonly name?: string;
  readonly backends?: readonly Backend[];
  /** PCI slot and function for devices with a `pci` part. */
  readonly slot?: number;
  readonly function?: number;
  /** Whose interrupt request pin it drives; 0, the bootstrap processor's, when absent. */
  readonly processor?: number;
}

/** All state of the board. The clock is not part of it: put it back to its saved time before `restore`. */
export interface SavedBoard {
  readonly version: number;
  readonly devices: Readonly<Record<string, Saved>>;
}
const BOARD_VERSION = 1;

export class Board {
  readonly ports: PortSpace;
  readonly memory: MemorySpace;
  readonly lines = new IrqLines();
  readonly pci: PciBus;
  readonly alarms: Alarms;
  readonly clock: Clock;
  readonly ram: GuestMemory;
  private readonly options: BoardOptions;
  /** By processor. */
  private readonly pins: InterruptPin[] = [];
  private readonly devices = new Map<string, Device>();
  private readonly localApics: { readonly name: string; readonly parts: Parts }[] = [];
  /** Messages of PCI functions while devices are restored one after the other. */
  private held: ApicMessage[] | undefined;
  private readonly staged: Staging[] = [];

  constructor(options: BoardOptions) {
    this.options = options;
    this.clock = options.clock;
    this.alarms = options.alarms ?? new Alarms();
    this.ram = new RamWindow(options.ram, options.ramWritten);
    this.ports = new PortSpace(options.unclaimedPort);
    this.memory = new MemorySpace(options.unclaimedMemory, options.memoryMapChanged);
    this.pci = new PciBus({
      ports: this.ports,
      memory: this.memory,
      source: () => this.lines.source(),
      message: (message) => {
        if (this.held === undefined) this.send(message, this.pci.kind);
        else this.held.push(message);
      },
      videoMemory: options.videoMemory,
    });
  }

  /**
   * Puts a device onto the board. Call `reset` or `restore` when all are there.
   * @throws TomeiError when its name, ports, memory or PCI slot are taken.
   */
  add<C, F extends Fields, P extends Parts>(
    def: DeviceDef<C, F, P>,
    config: C,
    { name = this.freeName(def.kind), backends = [], processor = 0, ...at }: Placement = {},
  ): Device<P> {
    if (this.devices.has(name) || name === this.pci.kind) {
      throw new TomeiError('device.name-taken', `two devices are named '${name}'; name one of them differently`);
    }
    const device = buildDevice(def, config, this.hostFor(name, backends, processor));
    const { parts } = device;
    for (const claim of parts.ports ?? []) this.ports.claim(name, claim);
    for (const claim of parts.memory ?? []) this.memory.claim(name, claim);
    if (parts.pci !== undefined) {
      const slot = this.pci.plug(name, parts.pci, at);
      parts.plugged?.(slot);
    }
    if (parts.interruptLine !== undefined) this.lines.listen(parts.interruptLine);
    if (parts.apicMessage !== undefined) this.localApics.push({ name, parts });
    this.pin(processor).connect(name, parts);
    this.devices.set(name, device);
    return device;
  }

  /** The names of all devices, in the order they were added. */
  get names(): string[] {
    return [...this.devices.keys()];
  }
  device(name: string): Device | undefined {
    return this.devices.get(name);
  }

  portRead(port: number, width: Width): number {
    return this.ports.read(port, width);
  }
  portWrite(port: number, width: Width, value: number): void {
    this.ports.write(port, width, value);
  }
  /** Reads an address that is not RAM. */
  memoryRead(address: number, width: Width): number {
    return this.memory.read(address, width);
  }
  memoryWrite(address: number, width: Width, value: number): void {
    this.memory.write(address, width, value);
  }

  /** The level of the bootstrap processor's interrupt request pin. */
  get interruptRequested(): boolean {
    return this.interruptRequestedOf(0);
  }
  /** The same of a processor. */
  interruptRequestedOf(processor: number): boolean {
    return this.pin(processor).level;
  }
  /** A processor's interrupt acknowledge cycle: the vector, moved into service. */
  acknowledge(processor = 0): number {
    return this.pin(processor).acknowledge();
  }
  private pin(processor: number): InterruptPin {
    return (this.pins[processor] ??= new InterruptPin((level) => this.options.interruptRequest?.(level, processor)));
  }

  /** What an address of a `BlockRequest` means, for an I/O side on this thread. Throws RangeError for what is neither RAM nor staging. */
  ioView(address: number, length: number): Uint8Array {
    const from = (s: Staging): number => address - s.address;
    const piece = this.staged.find((s) => from(s) >= 0 && from(s) + length <= s.bytes.length);
    return piece === undefined
      ? this.ram.view(address, length)
      : piece.bytes.subarray(from(piece), from(piece) + length);
  }

  /** Fires every alarm that is due now. */
  fireDue(): void {
    this.alarms.fireDue(this.clock.now());
  }

  /** Power-on or the reset line: every device is as new, except what it keeps by battery. */
  reset(): void {
    this.lines.quietly(() => {
      this.pci.reset();
      for (const device of this.devices.values()) device.reset();
    });
    if (this.options.firmware !== true) this.pci.assignResources(this.options.pciWindows);
  }

  save(): SavedBoard {
    const devices: Record<string, Saved> = { [this.pci.kind]: this.pci.save() };
    for (const [name, device] of this.devices) devices[name] = device.save();
    return { version: BOARD_VERSION, devices };
  }

  /**
   * Makes every device as it was saved. The board must hold the same devices under the same names.
   * @throws TomeiError `snapshot.board`, `snapshot.device` or `state.invalid`; the board is as it was before then.
   */
  restore(saved: SavedBoard): void {
    this.refuseStranger(saved);
    const before = this.save();
    try {
      this.load(saved.devices);
    } catch (error) {
      this.load(before.devices);
      throw error;
    }
  }

  private load(devices: Readonly<Record<string, Saved>>): void {
    const messages: ApicMessage[] = [];
    this.held = messages;
    try {
      this.lines.quietly(() => this.restoreEach(devices));
    } finally {
      this.held = undefined;
    }
    for (const message of messages) this.send(message, this.pci.kind);
  }

  private restoreEach(devices: Readonly<Record<string, Saved>>): void {
    this.pci.restore(devices[this.pci.kind]!);
    for (const [name, device] of this.devices) {
      try {
        device.restore(devices[name]!);
      } catch (error) {
        if (!(error instanceof TomeiError)) throw error;
        throw new TomeiError(error.code, `device '${name}': ${error.message}`, { cause: error });
      }
    }
  }

  private refuseStranger(saved: SavedBoard): void {
    const refuse = (what: string): never => {
      throw new TomeiError('snapshot.board', `cannot restore the board: ${what}`);
    };
    if (typeof saved !== 'object' || saved === null) refuse('the snapshot is not an object');
    if (saved.version !== BOARD_VERSION) refuse(`the snapshot has version ${saved.version}, this is ${BOARD_VERSION}`);
    const { devices } = saved;
    if (typeof devices !== 'object' || devices === null) refuse('the snapshot holds no devices');
    const present = [this.pci.kind, ...this.devices.keys()];
    for (const name of present) {
      const one: unknown = Object.hasOwn(devices, name) ? devices[name] : undefined;
      if (typeof one !== 'object' || one === null) refuse(`the snapshot lacks device '${name}'`);
    }
    for (const name of Object.keys(devices)) {
      if (!present.includes(name)) refuse(`the snapshot holds device '${name}', which this machine lacks`);
    }
  }

  private freeName(kind: string): string {
    let name = kind;
    for (let n = 1; this.devices.has(name); n++) name = `${kind}#${n}`;
    return name;
  }

  private stage(device: string, length: number): Staging {
    const last = this.staged.at(-1);
    const offset = last === undefined ? 0 : last.address + last.bytes.length - this.ram.size;
    const { staging } = this.options;
    if (staging !== undefined && offset + length > staging.length) {
      const what = `${device} needs ${length} bytes of staging memory, ${staging.length - offset} are left; use fewer drives`;
      throw new TomeiError('device.no-staging', what);
    }
    const bytes = staging?.subarray(offset, offset + length) ?? new Uint8Array(length);
    const piece = { address: this.ram.size + offset, bytes };
    this.staged.push(piece);
    return piece;
  }

  private dmaChannel(channel: number): DmaChannel | undefined {
    for (const { parts } of this.devices.values()) if (parts.dma !== undefined) return parts.dma(channel);
    return undefined;
  }

  private hostFor(name: string, backends: readonly Backend[], processor: number): Host {
    const source = this.lines.source(),
      pin = this.pin(processor);
    return {
      irq: (line, level) => source.set(line, level),
      replaceLine: (line, on) => source.replace(line, on),
      interruptRequest: (level) => pin.request(name, level),
      apic: (message) => this.send(message, name),
      apicEoi: (vector) => {
        for (const device of this.devices.values()) device.parts.apicEoi?.(vector);
      },
      memoryMoved: () => this.memory.refresh(),
      signal: (signal, value) => this.options.signal?.(signal, value, name),
      trouble: (what) => this.options.trouble?.(name, what),
      memory: this.ram,
      staging: (bytes) => this.stage(name, bytes),
      dma: (channel) => this.dmaChannel(channel),
      clock: this.clock,
      alarm: (fire) => this.alarms.create(fire),
      backend: <T>(kind: BackendKind<T>) => backends.find((b) => b.kind === kind.name)?.value as T | undefined,
    };
  }

  /** Delivers to every local APIC that is meant; lowest priority to one of them (SDM vol. 3, 11.6.2.4), of equals to the first. */
  private send(message: ApicMessage, sender: string): void {
    const { localApics } = this,
      priority = ({ parts }: { readonly parts: Parts }): number => parts.priority?.() ?? 0;
    const arbitrates = message.mode === 'lowest' && localApics.length > 1;
    const all = arbitrates ? localApics.toSorted((a, b) => priority(a) - priority(b)) : localApics;
    for (const { name, parts } of all) {
      if (message.excludeSender === true && name === sender) continue;
      if (parts.apicMessage!(message) && message.mode === 'lowest') return;
    }
  }
}
