/**
 * PCI bus 0 behind configuration mechanism #1 (PCI Local Bus 3.0, 3.2.2.3.2; Intel 82441FX datasheet, 3.1): configuration
 * space, placement of base address registers and routing of INTx. The four wires PIRQA..D go where the PIIX3's registers
 * 0x60..0x63 say (Intel 82371SB datasheet, 2.2.9), to the PIC and the I/O APIC alike: the I/O APIC's inputs 10 and 11 are the
 * same wires, level-triggered, as on QEMU's i440FX machine.
 */
import { assert, bytes, list, nested, pod, TomeiError, u32, u8 } from '@tomei/kit';
import type { ApicMessage, PciFunction, PciSlot, PortClaim, Saved, Width } from './device.ts';
import type { LineSource } from './irq-lines.ts';
import type { MemorySpace } from './memory-space.ts';
import { assignResources, type ResourceWindows } from './pci-resources.ts';
import {
  COMMAND_INTX_DISABLE,
  PCI_BAR0,
  PCI_COMMAND,
  PCI_CONFIG_SIZE,
  PCI_ROM,
  PCI_SPECIFIC,
  PciConfigSpace,
} from './pci-config.ts';
import { lineOf, PIRQ_ROUTE } from './pci-routing.ts';
import { OPEN_BUS, type Claimed, type PortSpace } from './port-space.ts';

/** CONFIG_ADDRESS and CONFIG_DATA. */
export const CONFIG_ADDRESS = 0xcf8;
export const CONFIG_DATA = 0xcfc;
const ADDRESS_ENABLE = 0x8000_0000;
/** Reserved bits 30:24 and the two lowest read as zero. */
const ADDRESS_WRITABLE = 0x80ff_fffc;
/** More than the indexes of what one function decodes. */
const FUNCTION_WINDOWS = 16;

/** Where video memory of a function lies now; `base` is undefined while the guest has it switched off. */
export interface VideoMapping {
  readonly owner: string;
  readonly bar: number;
  readonly base: number | undefined;
  readonly size: number;
  /** Offset of the window from the start of video memory. */
  readonly offset: number;
}

export interface PciBusOptions {
  readonly ports: PortSpace;
  readonly memory: MemorySpace;
  /** A new driver of interrupt lines; one for each function. */
  readonly source: () => LineSource;
  /** Takes message signalled interrupts to local APICs. */
  readonly message: (message: ApicMessage) => void;
  /** Told when video memory appears, moves or goes. */
  readonly videoMemory?: ((mapping: VideoMapping) => void) | undefined;
}

interface Plugged {
  readonly owner: string;
  readonly devfn: number;
  readonly space: PciConfigSpace;
  readonly source: LineSource;
  claims: Claimed[];
  video: VideoMapping[];
  line: number | undefined;
}

const busState = pod({
  address: u32(),
  functions: list(256, nested(pod({ devfn: u8(), config: bytes(PCI_CONFIG_SIZE) }))),
});

const BUS_VERSION = 2;
/** In whose states no function has the capability of MSI-X. */
const BUS_VERSION_WITHOUT_MSIX = 1;

export class PciBus {
  readonly kind = 'pci-bus';
  private readonly options: PciBusOptions;
  private readonly functions = new Map<number, Plugged>();
  /** The function whose registers 0x60..0x63 route PIRQA..D. */
  private router: Plugged | undefined;
  private address = 0;

  constructor(options: PciBusOptions) {
    this.options = options;
    for (const claim of this.claims()) options.ports.claim(this.kind, claim);
  }

  /**
   * Puts a function into `slot` (0..31); the first free one from 2 up when absent, as 0 and 1 belong to the bridges.
   * @throws TomeiError `pci.slot-taken` or `pci.bus-full`.
   */
  plug(owner: string, fn: PciFunction, at: { slot?: number; function?: number } = {}): PciSlot {
    const devfn = at.slot === undefined ? this.freeSlot(owner) : at.slot * 8 + (at.function ?? 0);
    const other = this.functions.get(devfn);
    if (other !== undefined) {
      throw new TomeiError(
        'pci.slot-taken',
        `${owner} and ${other.owner} both want PCI slot ${at.slot}; move one of them`,
      );
    }
    assert(devfn >= 0 && devfn < 256, `PCI slot of ${owner} is 0..31 and its function 0..7`);
    const space = new PciConfigSpace(fn);
    const plugged: Plugged = {
      owner,
      devfn,
      space,
      source: this.options.source(),
      claims: [],
      video: [],
      line: undefined,
    };
    this.functions.set(devfn, plugged);
    if (fn.specific?.[PIRQ_ROUTE] !== undefined && fn.classCode === 0x060100) this.router = plugged;
    return {
      interrupt: (level) => {
        space.interruptAsserted = level;
        this.route(plugged);
      },
      message: (message) => {
        if (space.isBusMaster) this.options.message(message);
      },
      config: (offset, width) => space.read(offset, width),
    };
  }

  /** Places all BARs, routes the PIRQ wires and fills the interrupt line registers, as firmware does on a real board. */
  assignResources(windows?: Partial<ResourceWindows>): void {
    const all = [...this.functions.values()].sort((a, b) => a.devfn - b.devfn);
    assignResources(all, this.router, this.options.ports, windows);
    for (const plugged of all) this.remap(plugged);
    this.rerouteAll();
  }

  reset(): void {
    this.address = 0;
    for (const plugged of this.functions.values()) {
      plugged.space.reset();
      this.remap(plugged);
    }
    this.rerouteAll();
  }

  save(): Saved {
    const functions = [...this.functions.values()].sort((a, b) => a.devfn - b.devfn);
    return {
      kind: this.kind,
      version: BUS_VERSION,
      state: {
        address: this.address,
        functions: functions.map(({ devfn, space }) => ({ devfn, config: space.save() })),
      },
    };
  }

  /** @throws TomeiError `snapshot.device` or `state.invalid`; the bus is untouched then. */
  restore(saved: Saved): void {
    if (saved.kind !== this.kind || (saved.version !== BUS_VERSION && saved.version !== BUS_VERSION_WITHOUT_MSIX)) {
      throw new TomeiError(
        'snapshot.device',
        `cannot restore ${saved.kind}@${saved.version} into ${this.kind}@${BUS_VERSION}`,
      );
    }
    const state = busState.parse(saved.state);
    if (saved.version === BUS_VERSION_WITHOUT_MSIX) {
      state.functions = state.functions.map(({ devfn, config }) => ({
        devfn,
        config: this.functions.get(devfn)?.space.withLaterCapabilities(config) ?? config,
      }));
    }
    const present = new Set(state.functions.map((f) => f.devfn));
    if (state.functions.length !== this.functions.size || present.size !== this.functions.size) {
      throw new TomeiError(
        'state.invalid',
        `field 'functions' does not hold the ${this.functions.size} functions present`,
      );
    }
    for (const { devfn, config } of state.functions) {
      const why =
        this.functions.get(devfn)?.space.refuse(config) ?? (this.functions.has(devfn) ? undefined : 'is absent');
      if (why !== undefined) throw new TomeiError('state.invalid', `PCI function ${devfn >> 3}.${devfn & 7}: ${why}`);
    }
    this.address = (state.address & ADDRESS_WRITABLE) >>> 0;
    for (const { devfn, config } of state.functions) this.functions.get(devfn)!.space.load(config);
    for (const plugged of this.functions.values()) this.remap(plugged);
    this.rerouteAll();
  }

  private claims(): PortClaim[] {
    return [
      {
        base: CONFIG_ADDRESS,
        count: 4,
        exactly: 4,
        read: () => this.address,
        write: (_offset, _width, value) => {
          this.address = (value & ADDRESS_WRITABLE) >>> 0;
        },
      },
      {
        base: CONFIG_DATA,
        count: 4,
        read: (offset, width) => this.selected()?.space.read((this.address & 0xfc) + offset, width) ?? OPEN_BUS[width],
        write: (offset, width, value) => this.configure((this.address & 0xfc) + offset, width, value),
      },
    ];
  }

  private selected(): Plugged | undefined {
    const enabledOnBus0 = (this.address & ADDRESS_ENABLE) !== 0 && (this.address & 0x00ff_0000) === 0;
    return enabledOnBus0 ? this.functions.get((this.address >>> 8) & 0xff) : undefined;
  }

  private configure(offset: number, width: Width, value: number): void {
    const plugged = this.selected();
    if (plugged === undefined) return;
    plugged.space.write(offset, width, value);
    const touches = (from: number, length: number): boolean => offset < from + length && from < offset + width;
    if (touches(PCI_COMMAND, 2) || touches(PCI_BAR0, 24) || touches(PCI_ROM, 4)) this.remap(plugged);
    else if (plugged.space.function.windows !== undefined && offset >= PCI_SPECIFIC) this.remap(plugged);
    if (touches(PCI_COMMAND, 2)) this.route(plugged);
    if (plugged === this.router && touches(PIRQ_ROUTE, 4)) this.rerouteAll();
  }

  private freeSlot(owner: string): number {
    for (let slot = 2; slot < 32; slot++) if (!this.functions.has(slot * 8)) return slot * 8;
    throw new TomeiError('pci.bus-full', `no PCI slot is left for ${owner}; remove a device`);
  }

  /** Gives up what the function decoded and claims what it decodes now. */
  private remap(plugged: Plugged): void {
    const { owner, space } = plugged;
    for (const claim of plugged.claims) claim.release();
    plugged.claims = [];
    const video: VideoMapping[] = [];
    for (const { index, bar, base } of space.windows()) {
      const { size } = bar;
      // By place, not by age: which of two functions at one address answers is the same after a restore.
      const order = plugged.devfn * FUNCTION_WINDOWS + index;
      if (bar.videoMemory !== undefined) {
        video.push({ owner, bar: index, base, size, offset: bar.videoMemory.offset });
      } else if (bar.space === 'io') {
        plugged.claims.push(this.options.ports.claim(owner, registers(bar, { base, count: size }), order));
      } else {
        plugged.claims.push(this.options.memory.claim(owner, registers(bar, { base, size }), order));
      }
    }
    this.tellVideo(plugged, video);
  }

  private tellVideo(plugged: Plugged, video: VideoMapping[]): void {
    const before = plugged.video;
    plugged.video = video;
    const find = (list: VideoMapping[], bar: number): VideoMapping | undefined => list.find((m) => m.bar === bar);
    for (const old of before) {
      if (find(video, old.bar) === undefined) this.options.videoMemory?.({ ...old, base: undefined });
    }
    for (const now of video) if (find(before, now.bar)?.base !== now.base) this.options.videoMemory?.(now);
  }

  private rerouteAll(): void {
    for (const plugged of this.functions.values()) this.route(plugged);
  }

  /** Drives the interrupt line that the function's INTx pin leads to, and lets go of the one it led to before. */
  private route(plugged: Plugged): void {
    const { space, source } = plugged;
    const pin = space.function.interruptPin;
    if (pin === undefined) return;
    const level = space.interruptAsserted && (space.command & COMMAND_INTX_DISABLE) === 0;
    const line = lineOf(this.router?.space, plugged.devfn, pin);
    if (plugged.line !== undefined && plugged.line !== line) source.set(plugged.line, false);
    plugged.line = line;
    if (line !== undefined) source.set(line, level);
  }
}

/** A BAR's registers at the place where they are decoded now. */
function registers<P extends object>(bar: NonNullable<PciFunction['bars'][number]>, place: P) {
  return {
    ...place,
    ...(bar.unit === undefined ? {} : { unit: bar.unit }),
    read: (offset: number, width: Width) => bar.read(offset, width),
    write: (offset: number, width: Width, value: number) => bar.write(offset, width, value),
  };
}
