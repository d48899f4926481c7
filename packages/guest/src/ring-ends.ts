/** The far ends of a machine's serial ports and disks, as the vCPU thread has them: rings to the I/O thread. */
import { ByteRing } from '@tomei/kit';
import type { BlockBackend, BlockRequest, SerialBackend } from '@tomei/paravirt-core';
import { encodeRequest } from './disk-messages.ts';
import type { DiskShape } from './protocol.ts';

/** What serial output may wait for a slow reader before bytes are lost, as on a line without flow control. */
const SERIAL_BACKLOG = 1 << 20;

/** A serial port whose far end is a ring. */
export class RingSerial implements SerialBackend {
  private readonly ring: ByteRing;
  private backlog: number[] = [];

  constructor(memory: SharedArrayBuffer) {
    this.ring = new ByteRing(memory);
  }
  write(byte: number): void {
    if (this.backlog.length < SERIAL_BACKLOG) this.backlog.push(byte);
  }
  get isEmpty(): boolean {
    return this.backlog.length === 0;
  }
  /** Passes on what was written; true when there was something. */
  flush(): boolean {
    if (this.backlog.length === 0) return false;
    const written = this.ring.write(Uint8Array.from(this.backlog));
    this.backlog = this.backlog.slice(written);
    return written > 0;
  }
}

/** A disk at the other end of the request ring. */
export class RingDisk implements BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly id: string;
  private readonly number: number;
  /** RAM, and the devices' staging memory behind it. */
  private readonly reach: Uint8Array;
  private readonly send: (message: Uint8Array) => void;
  /** Requests without an answer yet. */
  private readonly open = new Map<number, BlockRequest>();
  private handler: (id: number, ok: boolean) => void = () => undefined;

  constructor(number: number, shape: DiskShape, reach: Uint8Array, send: (message: Uint8Array) => void) {
    this.number = number;
    this.sectors = shape.sectors;
    this.readOnly = shape.readOnly;
    this.id = shape.id;
    this.reach = reach;
    this.send = send;
  }
  get outstanding(): number {
    return this.open.size;
  }
  submit(request: BlockRequest): void {
    this.open.set(request.id, request);
    this.send(encodeRequest({ ...request, disk: this.number }));
  }
  onComplete(handler: (id: number, ok: boolean) => void): void {
    this.handler = handler;
  }
  completed(id: number, ok: boolean): void {
    this.open.delete(id);
    this.handler(id, ok);
  }

  private windows(id: number): Uint8Array[] {
    const request = this.open.get(id);
    if (request?.kind !== 'read') return [];
    return request.segments.map(({ address, length }) => this.reach.subarray(address, address + length));
  }
  /** What a read brought, before `completed`; nothing for other requests. */
  data(id: number): Uint8Array {
    return Buffer.concat(this.windows(id));
  }
  /** Puts there what a read is to bring. False when there is no such request. */
  fill(id: number, data: Uint8Array): boolean {
    if (!this.open.has(id)) return false;
    let at = 0;
    const windows = this.windows(id);
    if (windows.reduce((sum, window) => sum + window.length, 0) !== data.length) return false;
    for (const window of windows) {
      window.set(data.subarray(at, at + window.length));
      at += window.length;
    }
    return true;
  }
}
