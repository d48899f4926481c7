/** A small machine for tests of one PCI device: RAM, a clock and a bus. All of it is the real part except the end of the interrupt wire. */
import { ManualClock, assert } from '@tomei/kit';
import { type BackendKind, type Device, type Host, type Width } from '../../machine/device.ts';
import { RamWindow } from '../../machine/guest-memory.ts';
import { MemorySpace } from '../../machine/memory-space.ts';
import { CONFIG_ADDRESS, CONFIG_DATA, PciBus } from '../../machine/pci-bus.ts';
import { PortSpace } from '../../machine/port-space.ts';

const SLOT = 3;

export class Rig {
  readonly ram: Uint8Array;
  readonly memory: RamWindow;
  readonly clock = new ManualClock();
  readonly ports = new PortSpace();
  readonly space = new MemorySpace();
  readonly device: Device;
  /** Ranges that devices reported as written. */
  readonly written: { address: number; length: number }[] = [];
  /** Level of the interrupt wire. */
  interrupt = false;
  /** How often the wire rose. */
  interrupts = 0;

  constructor(options: {
    ramBytes: number;
    build: (host: Host) => Device;
    backend?: (memory: RamWindow) => unknown;
    ram?: Uint8Array;
  }) {
    this.ram = options.ram ?? new Uint8Array(options.ramBytes);
    this.memory = new RamWindow(this.ram, (address, length) => this.written.push({ address, length }));
    const backend = options.backend?.(this.memory);
    this.device = options.build(this.host(backend));
    const bus = new PciBus({
      ports: this.ports,
      memory: this.space,
      source: () => ({
        set: (_line: number, level: boolean) => {
          if (level && !this.interrupt) this.interrupts++;
          this.interrupt = level;
        },
      }),
    });
    const { pci, plugged } = this.device.parts;
    assert(pci !== undefined, 'the device is a PCI function');
    plugged?.(bus.plug(this.device.kind, pci, { slot: SLOT }));
    bus.assignResources();
    this.device.reset();
  }

  configRead(offset: number, width: Width): number {
    this.ports.write(CONFIG_ADDRESS, 4, (0x8000_0000 | (SLOT << 11) | (offset & 0xfc)) >>> 0);
    return this.ports.read(CONFIG_DATA + (offset & 3), width);
  }

  configWrite(offset: number, width: Width, value: number): void {
    this.ports.write(CONFIG_ADDRESS, 4, (0x8000_0000 | (SLOT << 11) | (offset & 0xfc)) >>> 0);
    this.ports.write(CONFIG_DATA + (offset & 3), width, value);
  }

  private host(backend: unknown): Host {
    const nothing = (): void => undefined;
    return {
      irq: nothing,
      interruptRequest: nothing,
      apic: nothing,
      apicEoi: nothing,
      signal: nothing,
      memory: this.memory,
      clock: this.clock,
      alarm: (fire) => this.clock.alarms.create(fire),
      backend: <T>(_kind: BackendKind<T>) => backend as T | undefined,
    };
  }
}
