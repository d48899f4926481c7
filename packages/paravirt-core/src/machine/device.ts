/**
 * What a device is: one file that declares its kind, version, configuration and state, and behaviour that knows only its host.
 * Reset, save and restore come from here, so that no device can get them wrong or forget a field.
 */
import { TomeiError, type Alarm, type Clock, type Fields, type Infer, type Pod } from '@tomei/kit';

/** Bytes in one access. Devices see naturally sized accesses; the spaces split what is wider or crosses a claim. */
export type Width = 1 | 2 | 4;

/** Registers reached by an offset from the start of a claim. Values are unsigned and fit the width. Never throws. */
export interface Registers {
  /** The widest access the registers take; wider ones arrive as several, lowest address first. 4 when absent. */
  readonly unit?: Width;
  read(offset: number, width: Width): number;
  write(offset: number, width: Width, value: number): void;
  /**
   * Many accesses of one register in a row, as string instructions make them: moves at most as many whole `width`s as `into` or
   * `from` holds, as if each were read or written by itself, and returns the bytes that were moved. 0 leaves it to single accesses.
   */
  readBlock?(offset: number, width: Width, into: Uint8Array): number;
  writeBlock?(offset: number, width: Width, from: Uint8Array): number;
}
/** I/O ports `base .. base + count - 1`. */
export interface PortClaim extends Registers {
  readonly base: number;
  readonly count: number;
  /**
   * Answers only accesses of this width at `base`, whole, in front of every other claim; all others pass it by
   * (the configuration address port 0xCF8 and the reset control register 0xCF9 live so).
   */
  readonly exactly?: 4;
}
/** Guest-physical addresses `base .. base + size - 1`, trapped: every access calls the device. */
export interface MemoryClaim extends Registers {
  readonly base: number;
  /** 0 while it is nowhere. A device that changes its base or size says so by `Host.memoryMoved`. */
  readonly size: number;
  /** Answers before all others, as registers of the processor's own do, wherever it has been moved. */
  readonly first?: true;
}

/** Guest memory as a device reaches it (DMA): guest-physical, bounds-checked. */
export interface GuestMemory {
  /** Size of RAM in bytes; RAM starts at guest-physical 0. */
  readonly size: number;
  /** Whether `length` bytes at `address` are RAM. Everything below throws RangeError where this is false: ask first. */
  contains(address: number, length: number): boolean;
  read8(address: number): number;
  read16(address: number): number;
  read32(address: number): number;
  write8(address: number, value: number): void;
  write16(address: number, value: number): void;
  write32(address: number, value: number): void;
  /** Copies out of / into RAM. Writes drop translations of code in those pages. */
  read(address: number, into: Uint8Array): void;
  write(address: number, from: Uint8Array): void;
  /** A window on RAM, shared with every thread of the guest. After writing through it call `written`. */
  view(address: number, length: number): Uint8Array;
  written(address: number, length: number): void;
}

/** Memory of a device's own which the I/O side reaches like guest RAM, and the guest does not. */
export interface Staging {
  /** Where it lies in `BlockRequest.segments`: behind the last byte of RAM. */
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** A channel of the ISA DMA controllers, as the device that uses it sees it. */
export interface DmaChannel {
  /**
   * Moves bytes between `bytes` and where the guest has set the channel up; at most what its count allows, none while it is
   * masked. `terminalCount` says that the count has run out.
   */
  transfer(bytes: Uint8Array, toMemory: boolean): { readonly moved: number; readonly terminalCount: boolean };
}

/**
 * Lines that are not interrupts and that the machine, not a device, answers. `value` is the exit status where one is meant.
 * 'io-wait': the guest asks a device whether the I/O side is done, and it is not. 'nmi', 'init' and 'start-up' are for the processor of a
 * number; 'start-up' has the page where code begins in bits 7:0, and the number above.
 */
export type MachineSignal =
  'reset' | 'power-off' | 'exit' | 'a20' | 'nmi' | 'init' | 'start-up' | 'shadow' | 'io-wait' | 'apic-moved';

/** A message on the APIC bus (Intel SDM vol. 3, 11.11: message format; 11.6.1: ICR). */
export interface ApicMessage {
  readonly destination: number;
  readonly logical: boolean;
  readonly mode: 'fixed' | 'lowest' | 'smi' | 'nmi' | 'init' | 'startup' | 'extint';
  readonly vector: number;
  readonly level: boolean;
  /** Destination shorthand "all excluding self" (ICR bits 19:18 = 11). */
  readonly excludeSender?: boolean;
}

/** A kind of host resource that a device asks for by name: a serial port's far end, a disk, a display. */
export interface BackendKind<T> {
  readonly name: string;
  readonly type?: T;
}
export const backendKind = <T>(name: string): BackendKind<T> => ({ name });

/** All that a device may touch. */
export interface Host {
  /** Drives interrupt input `line` (global system interrupt: 0..15 ISA, 16..23 PCI). Several devices on one line are ORed. */
  irq(line: number, level: boolean): void;
  /** Takes interrupt input `line` over from all other devices, or gives it back (the HPET's legacy replacement). */
  replaceLine(line: number, on: boolean): void;
  /** Drives the interrupt request pin of the device's processor, the bootstrap one mostly (only interrupt controllers do). */
  interruptRequest(level: boolean): void;
  /** Sends on the APIC bus: a message to local APICs, or an end of interrupt to I/O APICs. */
  apic(message: ApicMessage): void;
  apicEoi(vector: number): void;
  /** A claim of this device's lies elsewhere than before. */
  memoryMoved(): void;
  signal(signal: MachineSignal, value: number): void;
  /** Tells whoever runs the guest of what its driver did wrong: a sentence about the device, for a person. */
  trouble(what: string): void;
  readonly memory: GuestMemory;
  /**
   * Memory for data on its way to or from the I/O side that does not go to guest RAM directly. Ask when the device is built.
   * It is not saved: what outlives one access belongs into the state. Throws `device.no-staging` when the machine has too little.
   */
  staging(bytes: number): Staging;
  /** Channel 0..7 of the DMA controllers; undefined when the board has none. Ask when it is needed. */
  dma(channel: number): DmaChannel | undefined;
  /** The machine's time. It stands still within one access. */
  readonly clock: Clock;
  /** A named alarm on the machine's clock. Its time belongs into the device's state; set it again in `restored`. */
  alarm(fire: () => void): Alarm;
  /** The host side, or undefined when the machine was built without one (then the device is there with nothing plugged in). */
  backend<T>(kind: BackendKind<T>): T | undefined;
}

/** One base address register of a PCI function. `size` is a power of two. */
export interface PciBar extends Registers {
  readonly space: 'memory' | 'io';
  readonly size: number;
  readonly prefetchable?: boolean;
  /** Backed by video memory at this offset from its start instead of by `read`/`write`. */
  readonly videoMemory?: { readonly offset: number };
}
/** I/O ports that device-specific configuration registers place, as chip sets of the nineties have them beside base address registers. */
export interface PciWindow extends Registers {
  readonly space: 'io';
  readonly size: number;
  /** Where it lies, out of configuration space as it stands; undefined while it is off. The command register does not gate it. */
  readonly base: (config: (offset: number, width: Width) => number) => number | undefined;
}
/** A capability structure in configuration space (PCI 3.0, 6.7): the bytes after id and next pointer. */
export interface PciCapability {
  readonly id: number;
  readonly body: Uint8Array;
  /** Which bytes the guest may write, by offset from the start of the capability; none when absent. */
  readonly writable?: (offset: number) => boolean;
  /** Takes over the access of a body byte range; offset counts from the start of the capability (id is 0) and is 2 at least. */
  readonly read?: (offset: number, width: Width) => number;
  readonly write?: (offset: number, width: Width, value: number) => void;
}
/** A PCI function (PCI 3.0, 6.1). Configuration space, BAR placement and INTx routing are the bus's business. */
export interface PciFunction {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** Base class, sub-class and programming interface, e.g. 0x010000. */
  readonly classCode: number;
  readonly revision: number;
  readonly headerType?: number;
  /** 1 = INTA. Absent: no interrupt. */
  readonly interruptPin?: 1 | 2 | 3 | 4;
  readonly bars: readonly (PciBar | undefined)[];
  /** Expansion ROM (6.2.5.2): the guest reads its image behind the base address register at 30h, sized to a power of two. */
  readonly rom?: { readonly bytes: Uint8Array };
  readonly capabilities?: readonly PciCapability[];
  /** How many of the last capabilities states of the bus of version 1 do not know. */
  readonly laterCapabilities?: number;
  /** Device-specific configuration registers (0x40..0xff outside capabilities): initial bytes and who is told of writes. */
  readonly specific?: Readonly<Record<number, number>>;
  /** Which bits of those registers the guest may change, where not all of them. */
  readonly specificWritable?: Readonly<Record<number, number>>;
  readonly windows?: readonly PciWindow[];
  readonly configured?: (offset: number, width: Width, value: number) => void;
}
/** What the bus gives back to a device with a `pci` part. */
export interface PciSlot {
  /** Drives INTx of this function. */
  interrupt(level: boolean): void;
  /** Sends a message signalled interrupt. It is lost while the command register does not let the function be a bus master. */
  message(message: ApicMessage): void;
  /** Reads configuration space as the guest sees it. */
  config(offset: number, width: Width): number;
}

/** Present means it takes part. */
export interface Parts {
  readonly ports?: readonly PortClaim[];
  readonly memory?: readonly MemoryClaim[];
  readonly pci?: PciFunction;
  /** Called once by the bus, before any access, with the slot of `pci`. */
  readonly plugged?: (slot: PciSlot) => void;
  /** Interrupt controllers: a global system interrupt changed its level. */
  readonly interruptLine?: (line: number, level: boolean) => void;
  /** Interrupt controllers: the processor's acknowledge cycle; returns the vector and moves it into service. */
  readonly acknowledge?: () => number;
  /** Local APICs: a message from the bus; returns whether this APIC was meant and took it. */
  readonly apicMessage?: (message: ApicMessage) => boolean;
  /** Local APICs: the priority at which the processor is. The lowest one takes a message to any of several. */
  readonly priority?: () => number;
  /** Local APICs: pin LINT0 (the 8259 pair's INTR) or LINT1 changed its level. */
  readonly localPin?: (pin: 0 | 1, level: boolean) => void;
  /** Local APICs: whether the INTR of the 8259 pair reaches the processor now. Call `host.interruptRequest` when it changes. */
  readonly passesExternal?: () => boolean;
  /** I/O APICs: a local APIC ended the interrupt of this vector. */
  readonly apicEoi?: (vector: number) => void;
  /** DMA controllers: channel 0..7. */
  readonly dma?: (channel: number) => DmaChannel;
  /** Bytes from the host side (a serial line, a keyboard). Returns how many of them were taken. */
  readonly input?: (bytes: Uint8Array) => number;
  /** The global system interrupts that it may drive by `host.irq`, for the generated reference. */
  readonly lines?: readonly number[];
  /** After reset and after restore: recompute what is derived from state (lines, alarms). */
  readonly settle?: () => void;
}

/** Names the configuration type so that `attach` can infer it; the example is the usual one, for the generated reference. */
export interface Typed<C> {
  readonly type?: C;
  readonly example?: C;
}
export const typed = <C>(example?: C): Typed<C> => (example === undefined ? {} : { example });

export interface DeviceDef<C, F extends Fields, P extends Parts = Parts> {
  /** Also the key in snapshots and in the docs, e.g. 'uart16550'. */
  readonly kind: string;
  /** Version of the state. Older ones are migrated by `migrate`. */
  readonly version: number;
  readonly config: Typed<C>;
  /** Everything that outlives one access. */
  readonly state: Pod<F>;
  /** One line for the generated reference: what it is. */
  readonly summary?: string;
  /** Fields that a reset leaves as they are (battery-backed memory). */
  readonly retained?: readonly (keyof F & string)[];
  attach(at: { config: C; state: Infer<F>; host: Host }): P;
  /** Turns the state of an older version into the current one. */
  migrate?(version: number, state: unknown): unknown;
}
export interface Saved {
  readonly kind: string;
  readonly version: number;
  readonly state: unknown;
}
/** A device in a machine. */
export interface Device<P extends Parts = Parts> {
  readonly kind: string;
  readonly parts: P;
  reset(): void;
  save(): Saved;
  /** Throws `snapshot.device` or `state.invalid`; the device is untouched then. */
  restore(saved: Saved): void;
}

/** The device that a definition makes. */
export type DeviceOf<D> = D extends { attach(at: never): infer P extends Parts } ? Device<P> : never;

export const defineDevice = <C, F extends Fields, P extends Parts>(def: DeviceDef<C, F, P>): DeviceDef<C, F, P> => def;

/** Puts a device together. It is in its reset state, and `settle` has not been called: `reset` or `restore` does that. */
export function buildDevice<C, F extends Fields, P extends Parts>(
  def: DeviceDef<C, F, P>,
  config: C,
  host: Host,
): Device<P> {
  const state = def.state.initial();
  const parts = def.attach({ config, state, host });
  const load = (next: Infer<F>): void => {
    Object.assign(state as object, next);
    parts.settle?.();
  };
  return {
    kind: def.kind,
    parts,
    reset() {
      const fresh = def.state.initial();
      for (const field of def.retained ?? []) fresh[field] = state[field];
      load(fresh);
    },
    save: () => ({ kind: def.kind, version: def.version, state: def.state.copy(state) }),
    restore(saved) {
      const known = saved.kind === def.kind && saved.version <= def.version;
      if (!known || (saved.version < def.version && def.migrate === undefined)) {
        throw new TomeiError(
          'snapshot.device',
          `cannot restore ${saved.kind}@${saved.version} into ${def.kind}@${def.version}`,
        );
      }
      const raw = saved.version < def.version ? def.migrate!(saved.version, saved.state) : saved.state;
      load(def.state.parse(raw));
    },
  };
}
