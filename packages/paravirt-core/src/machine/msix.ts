/**
 * MSI-X of a PCI function (PCI Local Bus 3.0, 6.8.2): its capability, and the table of messages and the pending bits that lie in one of
 * its base address registers. The device says which vector has something to tell; what that leads to is the driver's choice.
 */
import { array, bool, nested, pod, u32, type StateOf } from '@tomei/kit';
import type { ApicMessage, PciCapability, PciSlot, Registers, Width } from './device.ts';
import { decodeMessage } from './message-interrupt.ts';

/** Capability identifier (PCI 3.0, appendix H). */
export const CAPABILITY_MSIX = 0x11;

/** Offsets in the capability, and bits of Message Control (6.8.2.3). */
const MESSAGE_CONTROL = 2;
const TABLE = 4;
const PENDING = 8;
const CAPABILITY_BYTES = 12;
const CONTROL_FUNCTION_MASK = 1 << 14;
const CONTROL_ENABLE = 1 << 15;

/** One entry of the table (6.8.2.6 to 6.8.2.9): message address, upper address, data, vector control. */
export const MSIX_ENTRY_BYTES = 16;
const VECTOR_MASKED = 1 << 0;

const entry = nested(
  pod({ addressLow: u32(), addressHigh: u32(), data: u32(), masked: bool(true), pending: bool() }).check(
    (e) => (e.addressLow & 3) === 0 || "field 'addressLow' is not a multiple of 4",
  ),
);

/** What a function with so many vectors remembers. As at reset: switched off, each vector masked. */
export const msixState = (vectors: number) =>
  pod({
    enabled: bool(),
    /** All vectors are masked, whatever each entry says. */
    masked: bool(),
    entries: array(vectors, () => entry),
  });
export type MsixState = StateOf<ReturnType<typeof msixState>>;

export interface MsixParts {
  /** The state at this moment: a restore replaces the object. */
  readonly state: () => MsixState;
  readonly vectors: number;
  /** Which base address register holds table and pending bits, and where in it: multiples of 8. */
  readonly bar: number;
  readonly table: number;
  readonly pending: number;
  /** The driver switched MSI-X on or off: INTx is not used meanwhile. */
  readonly switched: () => void;
  /** Told once of each message that reaches no local APIC. */
  readonly trouble: (what: string) => void;
}

export class Msix {
  readonly capability: PciCapability;
  /** The table and the pending bits, by offset in the base address register. Ask `covers` first. */
  readonly registers: Registers;
  private readonly parts: MsixParts;
  private readonly tableBytes: number;
  private readonly pendingBytes: number;
  /** What each entry says; null where no local APIC listens, undefined where nobody has looked since it was written. */
  private readonly messages: (ApicMessage | null | undefined)[];
  private slot: PciSlot | undefined;

  constructor(parts: MsixParts) {
    this.parts = parts;
    this.tableBytes = parts.vectors * MSIX_ENTRY_BYTES;
    this.pendingBytes = 8 * Math.ceil(parts.vectors / 64);
    this.messages = Array.from({ length: parts.vectors }, () => undefined);
    this.registers = {
      read: (offset, width) => this.read(offset, width),
      write: (offset, width, value) => this.write(offset, width, value),
    };
    this.capability = this.makeCapability();
  }

  plugged(slot: PciSlot): void {
    this.slot = slot;
  }

  /** After reset and restore. */
  settle(): void {
    this.messages.fill(undefined);
  }

  get enabled(): boolean {
    return this.parts.state().enabled;
  }

  /** Whether `offset` in the base address register is one of table or pending bits. */
  covers(offset: number): boolean {
    const { table, pending } = this.parts;
    return (
      (offset >= table && offset < table + this.tableBytes) ||
      (offset >= pending && offset < pending + this.pendingBytes)
    );
  }

  /** Sends the message of a vector, or remembers it while it is masked. Does nothing while MSI-X is off, or for a vector that is none. */
  notify(vector: number): void {
    const { enabled, masked, entries } = this.parts.state();
    const entry = entries[vector];
    if (!enabled || entry === undefined) return;
    if (masked || entry.masked) entry.pending = true;
    else this.send(vector);
  }

  /** The device was reset: what masked vectors had to tell is out of date. */
  forgetPending(): void {
    for (const entry of this.parts.state().entries) entry.pending = false;
  }

  private send(vector: number): void {
    let message = this.messages[vector];
    if (message === undefined) {
      const entry = this.parts.state().entries[vector]!;
      message = decodeMessage(entry) ?? null;
      this.messages[vector] = message;
      if (message === null) {
        const address = entry.addressHigh * 2 ** 32 + entry.addressLow;
        this.parts.trouble(
          `the message of its MSI-X vector ${vector} (0x${entry.data.toString(16)} to address 0x${address.toString(16)}) reaches no local APIC: it does not interrupt`,
        );
      }
    }
    if (message !== null) this.slot?.message(message);
  }

  /** Sends what waits for vectors that are not masked any more. */
  private sendPending(): void {
    const { enabled, masked, entries } = this.parts.state();
    if (!enabled || masked) return;
    for (const [vector, entry] of entries.entries()) {
      if (!entry.pending || entry.masked) continue;
      entry.pending = false;
      this.send(vector);
    }
  }

  private read(offset: number, width: Width): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.byteAt(offset + i);
    return value;
  }

  private byteAt(offset: number): number {
    const { table, pending, state } = this.parts;
    const { entries } = state();
    const inTable = offset - table;
    if (inTable >= 0 && inTable < this.tableBytes) {
      const { addressLow, addressHigh, data, masked } = entries[Math.floor(inTable / MSIX_ENTRY_BYTES)]!;
      const word = [addressLow, addressHigh, data, masked ? VECTOR_MASKED : 0][(inTable >> 2) & 3]!;
      return (word >>> (8 * (inTable & 3))) & 0xff;
    }
    let bits = 0;
    const first = 8 * (offset - pending);
    for (let bit = 0; bit < 8; bit++) if (entries[first + bit]?.pending === true) bits |= 1 << bit;
    return bits;
  }

  /** Whole aligned words alone count: what others lead to is undefined (6.8.2). Pending bits are read-only. */
  private write(offset: number, width: Width, value: number): void {
    const inTable = offset - this.parts.table;
    if (width !== 4 || (offset & 3) !== 0 || inTable < 0 || inTable >= this.tableBytes) return;
    const vector = Math.floor(inTable / MSIX_ENTRY_BYTES);
    const entry = this.parts.state().entries[vector]!;
    switch ((inTable >> 2) & 3) {
      case 0:
        entry.addressLow = (value & ~3) >>> 0;
        break;
      case 1:
        entry.addressHigh = value;
        break;
      case 2:
        entry.data = value;
        break;
      default:
        entry.masked = (value & VECTOR_MASKED) !== 0;
        this.sendPending();
        return;
    }
    this.messages[vector] = undefined;
  }

  private get control(): number {
    const { enabled, masked } = this.parts.state();
    return (this.parts.vectors - 1) | (masked ? CONTROL_FUNCTION_MASK : 0) | (enabled ? CONTROL_ENABLE : 0);
  }

  private writeControl(value: number): void {
    const state = this.parts.state();
    const before = state.enabled;
    state.enabled = (value & CONTROL_ENABLE) !== 0;
    state.masked = (value & CONTROL_FUNCTION_MASK) !== 0;
    if (state.enabled !== before) this.parts.switched();
    this.sendPending();
  }

  private makeCapability(): PciCapability {
    const { vectors, bar, table, pending } = this.parts;
    const body = new Uint8Array(CAPABILITY_BYTES - 2);
    const view = new DataView(body.buffer);
    view.setUint16(MESSAGE_CONTROL - 2, vectors - 1, true);
    view.setUint32(TABLE - 2, table | bar, true);
    view.setUint32(PENDING - 2, pending | bar, true);
    return {
      id: CAPABILITY_MSIX,
      body,
      read: (offset, width) => {
        view.setUint16(MESSAGE_CONTROL - 2, this.control, true);
        let value = 0;
        for (let i = width - 1; i >= 0; i--) value = value * 256 + (body[offset - 2 + i] ?? 0);
        return value;
      },
      write: (offset, width, value) => {
        // The upper byte of Message Control holds all that can be written.
        if (offset === MESSAGE_CONTROL && width === 2) this.writeControl(value);
        else if (offset === MESSAGE_CONTROL + 1) this.writeControl((value & 0xff) << 8);
      },
    };
  }
}
