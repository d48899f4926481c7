/**
 * The recording file: what came to a guest from outside, each at its exact work and time, so that it can be given again. A header
 * that can be read as text, then events; a checksum runs along. Files are hostile. Bytes in, bytes out: nothing here touches files.
 *
 *   'TOMEIREC', u32 version, u32 bytes of header, header (JSON), then events:
 *   u8 kind, u32 bytes of payload, f64 work, f64 time, payload, u32 CRC-32 of the file up to here      (little-endian)
 */
import { crc32 } from 'node:zlib';
import { TomeiError, bool, list, nested, pod, text, u32, whole, type Infer, type StateOf } from '@tomei/kit';
import { isFrame } from '../network/frame-stream.ts';
import type { PortChange } from '../ports/ring-port.ts';
import { LONGEST_SELECTION, VSOCK_HEADER_BYTES, type PointerEvent } from '@tomei/paravirt-core';
import type { Disc } from '../protocol.ts';

export const RECORDING_VERSION = 13;
const MAGIC = new TextEncoder().encode('TOMEIREC');
const HEAD_BYTES = 16;
const EVENT_HEAD = 21,
  CHECKSUM_BYTES = 4;
const MAX_HEADER = 1 << 20;
/** The most that one disk request reads. */
const MAX_PAYLOAD = 64 << 20;
const MAX_DISKS = 64,
  MAX_NETWORKS = 8,
  MAX_VIRTIO = 32,
  MAX_PORTS = 4,
  MAX_SHARES = 8;

const header = pod({
  ramBytes: whole(),
  videoMemoryBytes: whole(),
  /** Unix time in seconds at power-on. */
  epoch: whole(),
  /** SHA-256 of kernel, initrd, command line, firmware and boot ROMs: what the guest boots. */
  boot: text(64),
  paravirt: text(8),
  vmi: text(16),
  serial: list(4, bool()),
  disks: list(MAX_DISKS, nested(pod({ sectors: whole(), readOnly: bool(), place: text(100) }))),
  empty: list(MAX_DISKS, text(100)),
  networks: list(MAX_NETWORKS, nested(pod({ device: text(16), mac: text(12), connected: bool() }))),
  /** Paravirtual devices beside those. */
  virtio: list(MAX_VIRTIO, text(300)),
  checks: u32(),
});
/** What a machine must be like for a recording to be given to it. */
export type RecordingHeader = StateOf<typeof header>;
export type HeaderFields = Infer<(typeof header)['fields']>;

/** What comes from outside. */
export type MachineInput =
  | { readonly kind: 'serial'; readonly port: number; readonly bytes: Uint8Array }
  | { readonly kind: 'key'; readonly code: number; readonly down: boolean }
  | ({ readonly kind: 'mouse' } & PointerEvent)
  | {
      readonly kind: 'pointer';
      readonly x: number;
      readonly y: number;
      readonly wheel: number;
      readonly buttons: number;
    }
  /** A screen of so many dots was asked for. */
  | { readonly kind: 'screen-size'; readonly width: number; readonly height: number }
  /** The balloon was asked for statistics, and for so many pages. */
  | { readonly kind: 'balloon'; readonly pages?: number }
  /** Somebody copied a text for the guest. */
  | { readonly kind: 'clipboard'; readonly text: string }
  /** The power button was pressed. */
  | { readonly kind: 'power-button' }
  /** An Ethernet frame came to a network card. */
  | { readonly kind: 'frame'; readonly network: number; readonly bytes: Uint8Array }
  /** The host's random bytes that the guest had asked for. */
  | { readonly kind: 'random'; readonly bytes: Uint8Array }
  /** Bytes came by a port of the virtio console; and what changed at the host's end of one. */
  | { readonly kind: 'port'; readonly port: number; readonly bytes: Uint8Array }
  | ({ readonly kind: 'port-change'; readonly port: number } & PortChange)
  /** The server of a shared folder has answered a request. */
  | { readonly kind: 'share'; readonly share: number; readonly id: number; readonly bytes: Uint8Array }
  /** A packet came for the virtio socket device; and the host's end is done with one of its driver's. */
  | { readonly kind: 'vsock'; readonly bytes: Uint8Array }
  | { readonly kind: 'vsock-done'; readonly id: number }
  /** A disc was laid into an IDE drive, as the disk of that number; or taken out, without one. */
  | { readonly kind: 'disc'; readonly drive: number; readonly disc?: Disc }
  /** A disk request is done; `data` is what a read brought. */
  | {
      readonly kind: 'disk';
      readonly disk: number;
      readonly id: number;
      readonly ok: boolean;
      readonly data: Uint8Array;
    };
export type RecordedEvent = (
  | MachineInput
  /** The registers of the processor, hashed on top of the check before. */
  | { readonly kind: 'check'; readonly hash: number }
  /** The time to which a halted machine had slept when something woke it. */
  | { readonly kind: 'idle' }
  /** How the guest ended, and its whole memory hashed. */
  | { readonly kind: 'end'; readonly why: string; readonly hash: number }
) & {
  /** The processor's count of work, and the machine's time in nanoseconds. */
  readonly work: number;
  readonly time: number;
};
/** Of `port-change`: 0 closed, 1 open. */
const OPEN_AS_BEFORE = 2;
const KINDS = [
  'serial',
  'key',
  'mouse',
  'disk',
  'check',
  'end',
  'idle',
  'power-button',
  'frame',
  'disc',
  'random',
  'port',
  'port-change',
  'pointer',
  'balloon',
  'screen-size',
  'share',
  'vsock',
  'vsock-done',
  'clipboard',
] as const;

function payloadOf(event: RecordedEvent): Uint8Array {
  const head = new Uint8Array(16),
    data = new DataView(head.buffer);
  switch (event.kind) {
    case 'serial':
      data.setUint8(0, event.port);
      return joined(head.subarray(0, 1), event.bytes);
    case 'key':
      data.setUint16(0, event.code, true);
      data.setUint8(2, event.down ? 1 : 0);
      return head.slice(0, 3);
    case 'mouse':
      data.setInt32(0, event.dx, true);
      data.setInt32(4, event.dy, true);
      data.setInt32(8, event.dz, true);
      data.setUint8(12, event.buttons);
      if (event.at === undefined) return head.slice(0, 13);
      return joined(head.subarray(0, 13), placeBytes(event.at));
    case 'frame':
      data.setUint8(0, event.network);
      return joined(head.subarray(0, 1), event.bytes);
    case 'pointer':
      data.setInt32(0, event.x, true);
      data.setInt32(4, event.y, true);
      data.setInt32(8, event.wheel, true);
      data.setUint8(12, event.buttons);
      return head.slice(0, 13);
    case 'screen-size':
      data.setFloat64(0, event.width, true);
      data.setFloat64(8, event.height, true);
      return head;
    case 'balloon':
      data.setUint32(0, event.pages ?? 0, true);
      return head.slice(0, event.pages === undefined ? 0 : 4);
    case 'clipboard':
      return new TextEncoder().encode(event.text);
    case 'random':
    case 'vsock':
      return event.bytes;
    case 'vsock-done':
      data.setUint32(0, event.id, true);
      return head.slice(0, 4);
    case 'port':
      data.setUint8(0, event.port);
      return joined(head.subarray(0, 1), event.bytes);
    case 'port-change':
      data.setUint8(0, event.port);
      data.setUint8(1, event.open === undefined ? OPEN_AS_BEFORE : Number(event.open));
      data.setUint32(2, event.room ?? 0, true);
      return head.slice(0, 6);
    case 'share':
      data.setUint8(0, event.share);
      data.setUint32(1, event.id, true);
      return joined(head.subarray(0, 5), event.bytes);
    case 'disc':
      data.setUint8(0, event.drive);
      if (event.disc === undefined) return head.slice(0, 1);
      data.setUint8(1, event.disc.disk);
      data.setFloat64(2, event.disc.sectors, true);
      return head.slice(0, 10);
    case 'disk':
      data.setUint8(0, event.disk);
      data.setUint8(1, event.ok ? 1 : 0);
      data.setUint32(2, event.id, true);
      return joined(head.subarray(0, 6), event.data);
    case 'idle':
    case 'power-button':
      return new Uint8Array(0);
    case 'check':
      data.setUint32(0, event.hash, true);
      return head.slice(0, 4);
    case 'end':
      data.setUint32(0, event.hash, true);
      return joined(head.subarray(0, 4), new TextEncoder().encode(event.why));
  }
}
function eventOf(
  kind: (typeof KINDS)[number],
  bytes: Uint8Array,
  at: { work: number; time: number },
): RecordedEvent | undefined {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (kind) {
    case 'serial':
      if (bytes.length < 2 || data.getUint8(0) > 3) return undefined;
      return { kind, port: data.getUint8(0), bytes: bytes.subarray(1), ...at };
    case 'key':
      if (bytes.length !== 3) return undefined;
      return { kind, code: data.getUint16(0, true), down: data.getUint8(2) !== 0, ...at };
    case 'mouse':
      if (bytes.length !== 13 && bytes.length !== 17) return undefined;
      return {
        ...{ kind, dx: data.getInt32(0, true), dy: data.getInt32(4, true), dz: data.getInt32(8, true) },
        ...{ buttons: data.getUint8(12), ...at },
        ...(bytes.length === 13 ? {} : { at: { x: data.getUint16(13, true), y: data.getUint16(15, true) } }),
      };
    case 'frame':
      if (!isFrame(bytes.subarray(1)) || data.getUint8(0) >= MAX_NETWORKS) return undefined;
      return { kind, network: data.getUint8(0), bytes: bytes.subarray(1), ...at };
    case 'pointer':
      if (bytes.length !== 13) return undefined;
      return {
        ...{ kind, x: data.getInt32(0, true), y: data.getInt32(4, true), wheel: data.getInt32(8, true) },
        ...{ buttons: data.getUint8(12), ...at },
      };
    case 'screen-size': {
      if (bytes.length !== 16) return undefined;
      const [width, height] = [data.getFloat64(0, true), data.getFloat64(8, true)];
      return Number.isFinite(width) && Number.isFinite(height) ? { kind, width, height, ...at } : undefined;
    }
    case 'balloon':
      if (bytes.length !== 0 && bytes.length !== 4) return undefined;
      return { kind, ...(bytes.length === 0 ? {} : { pages: data.getUint32(0, true) }), ...at };
    case 'clipboard':
      return bytes.length > LONGEST_SELECTION ? undefined : { kind, text: new TextDecoder().decode(bytes), ...at };
    case 'random':
      return bytes.length === 0 ? undefined : { kind, bytes, ...at };
    case 'port':
      if (bytes.length < 2 || data.getUint8(0) >= MAX_PORTS) return undefined;
      return { kind, port: data.getUint8(0), bytes: bytes.subarray(1), ...at };
    case 'port-change': {
      if (bytes.length !== 6 || data.getUint8(0) >= MAX_PORTS || data.getUint8(1) > OPEN_AS_BEFORE) return undefined;
      const [open, room] = [data.getUint8(1), data.getUint32(2, true)];
      const change = { ...(open === OPEN_AS_BEFORE ? {} : { open: open === 1 }), ...(room === 0 ? {} : { room }) };
      return { kind, port: data.getUint8(0), ...change, ...at };
    }
    case 'vsock':
      return bytes.length < VSOCK_HEADER_BYTES ? undefined : { kind, bytes, ...at };
    case 'vsock-done':
      return bytes.length === 4 ? { kind, id: data.getUint32(0, true), ...at } : undefined;
    case 'share':
      if (bytes.length < 5 || data.getUint8(0) >= MAX_SHARES) return undefined;
      return { kind, share: data.getUint8(0), id: data.getUint32(1, true), bytes: bytes.subarray(5), ...at };
    case 'disc': {
      const drive = bytes[0];
      if (drive === undefined || drive > 3 || (bytes.length !== 1 && bytes.length !== 10)) return undefined;
      if (bytes.length === 1) return { kind, drive, ...at };
      const disc = { disk: data.getUint8(1), sectors: data.getFloat64(2, true) };
      return Number.isSafeInteger(disc.sectors) && disc.sectors > 0 ? { kind, drive, disc, ...at } : undefined;
    }
    case 'disk':
      if (bytes.length < 6) return undefined;
      return {
        ...{ kind, disk: data.getUint8(0), ok: data.getUint8(1) !== 0, id: data.getUint32(2, true) },
        ...{ data: bytes.subarray(6), ...at },
      };
    case 'idle':
    case 'power-button':
      return bytes.length === 0 ? { kind, ...at } : undefined;
    case 'check':
      return bytes.length === 4 ? { kind, hash: data.getUint32(0, true), ...at } : undefined;
    case 'end':
      if (bytes.length < 4) return undefined;
      return { kind, hash: data.getUint32(0, true), why: new TextDecoder().decode(bytes.subarray(4)), ...at };
  }
}
function placeBytes({ x, y }: { readonly x: number; readonly y: number }): Uint8Array {
  const place = new DataView(new ArrayBuffer(4));
  place.setUint16(0, x, true);
  place.setUint16(2, y, true);
  return new Uint8Array(place.buffer);
}
function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Writes a recording to a sink, in order. */
export class RecordingEncoder {
  private readonly sink: (bytes: Uint8Array) => void;
  private checksum = 0;

  constructor(sink: (bytes: Uint8Array) => void, what: HeaderFields) {
    this.sink = sink;
    const json = new TextEncoder().encode(JSON.stringify(what)),
      head = new Uint8Array(HEAD_BYTES),
      data = new DataView(head.buffer);
    head.set(MAGIC);
    data.setUint32(8, RECORDING_VERSION, true);
    data.setUint32(12, json.length, true);
    this.put(head);
    this.put(json);
  }
  private put(bytes: Uint8Array): void {
    this.checksum = crc32(bytes, this.checksum);
    this.sink(bytes);
  }
  event(event: RecordedEvent): void {
    const payload = payloadOf(event),
      head = new Uint8Array(EVENT_HEAD),
      data = new DataView(head.buffer),
      tail = new Uint8Array(CHECKSUM_BYTES);
    data.setUint8(0, KINDS.indexOf(event.kind));
    data.setUint32(1, payload.length, true);
    data.setFloat64(5, event.work, true);
    data.setFloat64(13, event.time, true);
    this.put(head);
    this.put(payload);
    new DataView(tail.buffer).setUint32(0, this.checksum, true);
    this.put(tail);
  }
}

/** Reads a recording in order. `read` gives so many bytes of the file, or fewer where it ends. */
export class RecordingDecoder {
  readonly header: RecordingHeader;
  private readonly read: (length: number) => Uint8Array;
  private readonly fileName: string;
  private checksum = 0;
  private last = { work: 0, time: 0 };

  /** Throws `recording.bad-magic`, `recording.version`, `recording.damaged`, naming the file. */
  constructor(read: (length: number) => Uint8Array, fileName: string) {
    this.read = read;
    this.fileName = fileName;
    const head = this.take(HEAD_BYTES);
    if (head === undefined || !MAGIC.every((byte, i) => head[i] === byte))
      throw this.trouble('recording.bad-magic', 'is no recording of Tomei');
    const data = new DataView(head.buffer, head.byteOffset),
      version = data.getUint32(8, true),
      length = data.getUint32(12, true);
    if (version !== RECORDING_VERSION)
      throw this.trouble('recording.version', `has version ${version}; this program reads ${RECORDING_VERSION}`);
    const json = length > MAX_HEADER ? undefined : this.take(length);
    if (json === undefined) throw this.damaged('ends within its header');
    try {
      this.header = header.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json)));
    } catch (cause) {
      throw this.damaged(`has a bad header: ${cause instanceof Error ? cause.message : ''}`, cause);
    }
  }
  private trouble(code: string, what: string, cause?: unknown): TomeiError {
    return new TomeiError(code, `${this.fileName} ${what}`, { cause, data: { file: this.fileName } });
  }
  private damaged(what: string, cause?: unknown): TomeiError {
    return this.trouble('recording.damaged', `${what}; it cannot be replayed beyond that`, cause);
  }
  private take(length: number): Uint8Array | undefined {
    const bytes = Uint8Array.from(this.read(length));
    if (bytes.length < length) return undefined;
    this.checksum = crc32(bytes, this.checksum);
    return bytes;
  }
  /** The next event. A recording ends with one of kind 'end'; throws `recording.damaged` where it does not. */
  next(): RecordedEvent {
    const head = this.take(EVENT_HEAD);
    if (head === undefined) throw this.damaged('was cut off');
    const data = new DataView(head.buffer),
      kind = KINDS[data.getUint8(0)],
      length = data.getUint32(1, true),
      at = { work: data.getFloat64(5, true), time: data.getFloat64(13, true) };
    const payload = kind === undefined || length > MAX_PAYLOAD ? undefined : this.take(length);
    const expected = this.checksum,
      tail = payload === undefined ? undefined : this.take(CHECKSUM_BYTES);
    if (payload === undefined || tail === undefined) throw this.damaged('was cut off, or has an event of no kind');
    const isSound = new DataView(tail.buffer).getUint32(0, true) === expected >>> 0;
    const isLater = at.work >= this.last.work && at.time >= this.last.time;
    const isWhole = Number.isSafeInteger(at.work) && Number.isFinite(at.time);
    const event = isSound && isLater && isWhole ? eventOf(kind!, payload, at) : undefined;
    if (event === undefined) throw this.damaged('has a damaged event');
    this.last = at;
    return event;
  }
}
