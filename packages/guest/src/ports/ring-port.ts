/** A port of the virtio console, as the vCPU thread has it: rings to the I/O thread, and a word that says whether somebody listens. */
import { ByteRing } from '@tomei/kit';
import type { ConsolePort } from '@tomei/paravirt-core';

/** Shared memory of one port, named from the vCPU's side. */
export interface PortRings {
  readonly output: SharedArrayBuffer;
  readonly input: SharedArrayBuffer;
  /** One Int32: 1 while somebody is connected. */
  readonly open: SharedArrayBuffer;
}
const RING_BYTES = 1 << 16;
/** Bytes for the guest at one look. */
const AT_ONCE = 1 << 14;
export const allocatePortRings = (): PortRings => ({
  output: ByteRing.allocate(RING_BYTES),
  input: ByteRing.allocate(RING_BYTES),
  open: new SharedArrayBuffer(4),
});

/** What changed at the host's end since the last look. */
export interface PortChange {
  readonly open?: boolean;
  /** Bytes that the host's end has taken. */
  readonly room?: number;
}

/**
 * What the guest sees of the host's end changes by `change` alone, so that a recording can do it again: a reader that is slow is slow
 * at the same places then.
 */
export class RingPort implements ConsolePort {
  readonly name: string;
  isOpen = false;
  room = RING_BYTES;
  private readonly output: ByteRing;
  private readonly input: ByteRing;
  private readonly open: Int32Array;
  private readonly isMute: boolean;
  private held: Uint8Array = new Uint8Array(0);
  /** Bytes that are known to wait in the ring. */
  private inRing = 0;
  private isFresh = false;
  private changed: () => void = () => undefined;

  /** `isMute`: what the guest sends reaches nobody. */
  constructor(name: string, rings: PortRings, isMute: boolean) {
    this.name = name;
    this.output = new ByteRing(rings.output);
    this.input = new ByteRing(rings.input);
    this.open = new Int32Array(rings.open);
    this.isMute = isMute;
  }
  write(bytes: Uint8Array): void {
    this.room -= bytes.length;
    if (this.isMute) return;
    // The ring has at least as much room as the guest was told.
    this.inRing += this.output.write(bytes);
    this.isFresh = true;
  }
  onChange(handler: () => void): void {
    this.changed = handler;
  }
  /** Whether something was sent since the last question. */
  flush(): boolean {
    const was = this.isFresh;
    this.isFresh = false;
    return was;
  }

  /** What is different at the host's end; undefined for nothing. */
  look(): PortChange | undefined {
    const open = Atomics.load(this.open, 0) === 1;
    const taken = this.inRing - this.output.used;
    if (open === this.isOpen && taken === 0) return undefined;
    this.inRing -= taken;
    return { ...(open === this.isOpen ? {} : { open }), ...(taken === 0 ? {} : { room: taken }) };
  }
  /** Has it happen for the guest. False when it cannot be. */
  change({ open, room = 0 }: PortChange): boolean {
    if (this.room + room > RING_BYTES) return false;
    this.isOpen = open ?? this.isOpen;
    this.room += room;
    this.changed();
    return true;
  }
  /** What waits for the guest, as much as is given at a look; `took` says how much of it the guest had room for. */
  get waiting(): Uint8Array {
    if (this.held.length === 0 && this.input.used > 0) this.held = this.input.read(AT_ONCE);
    return this.held;
  }
  took(count: number): void {
    this.held = this.held.subarray(count);
  }
}
