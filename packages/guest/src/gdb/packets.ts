/** Packets of GDB's remote serial protocol (GDB manual, appendix E.1): bytes to events and back. A pure module; input is hostile. */

const DOLLAR = 0x24,
  HASH = 0x23,
  ESCAPE = 0x7d,
  STAR = 0x2a,
  PLUS = 0x2b,
  MINUS = 0x2d,
  CTRL_C = 0x03;
const ESCAPED = new Set([DOLLAR, HASH, ESCAPE, STAR]);
/** The most bytes between `$` and `#`, as `qSupported` says it. Escapes may double them. */
export const PACKET_SIZE = 0x4000;

export type GdbEvent =
  /** What lies between `$` and `#`, escapes taken back. */
  | { readonly kind: 'packet'; readonly data: Uint8Array }
  /** A packet whose checksum is wrong, or that is too long. */
  | { readonly kind: 'damaged' }
  | { readonly kind: 'ack' }
  | { readonly kind: 'resend' }
  | { readonly kind: 'interrupt' };

type State = 'idle' | 'packet' | 'checksum';

/** Takes bytes as they come, in pieces of any size, and keeps no more than one packet. */
export class PacketReader {
  private state: State = 'idle';
  private readonly buffer = new Uint8Array(2 * PACKET_SIZE);
  private length = 0;
  private sum = 0;
  private checksum = '';

  push(bytes: Uint8Array): GdbEvent[] {
    const events: GdbEvent[] = [];
    for (const byte of bytes) {
      const event = this.take(byte);
      if (event !== undefined) events.push(event);
    }
    return events;
  }
  private take(byte: number): GdbEvent | undefined {
    switch (this.state) {
      case 'idle':
        if (byte === DOLLAR) this.begin();
        else if (byte === PLUS) return { kind: 'ack' };
        else if (byte === MINUS) return { kind: 'resend' };
        else if (byte === CTRL_C) return { kind: 'interrupt' };
        return undefined;
      case 'packet':
        // A dollar never lies within a packet: the one before it was cut off.
        if (byte === DOLLAR) this.begin();
        else if (byte === HASH) this.state = 'checksum';
        else {
          if (this.length < this.buffer.length) this.buffer[this.length] = byte;
          this.length++;
          this.sum = (this.sum + byte) & 0xff;
        }
        return undefined;
      case 'checksum':
        this.checksum += String.fromCharCode(byte);
        if (this.checksum.length < 2) return undefined;
        this.state = 'idle';
        return this.end();
    }
  }
  private begin(): void {
    this.state = 'packet';
    this.length = 0;
    this.sum = 0;
    this.checksum = '';
  }
  private end(): GdbEvent {
    const right = /^[0-9a-f]{2}$/i.test(this.checksum) && Number.parseInt(this.checksum, 16) === this.sum;
    if (!right || this.length > this.buffer.length) return { kind: 'damaged' };
    const data = new Uint8Array(this.length);
    let at = 0;
    for (let i = 0; i < this.length; i++) {
      const byte = this.buffer[i]!;
      if (byte !== ESCAPE) data[at++] = byte;
      else if (++i < this.length) data[at++] = this.buffer[i]! ^ 0x20;
    }
    return { kind: 'packet', data: data.slice(0, at) };
  }
}

/** A packet with its checksum; bytes that mean something are escaped. */
export function encodePacket(payload: string | Uint8Array): Uint8Array {
  const raw = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const out = [DOLLAR];
  let sum = 0;
  const put = (byte: number): void => {
    out.push(byte);
    sum = (sum + byte) & 0xff;
  };
  for (const byte of raw) {
    if (!ESCAPED.has(byte)) put(byte);
    else {
      put(ESCAPE);
      put(byte ^ 0x20);
    }
  }
  out.push(HASH, ...new TextEncoder().encode(sum.toString(16).padStart(2, '0')));
  return Uint8Array.from(out);
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
/** Bytes of hexadecimal digits, or undefined when they are none. */
export const fromHex = (text: string): Uint8Array | undefined =>
  /^(?:[0-9a-f]{2})*$/i.test(text) ? Uint8Array.from(Buffer.from(text, 'hex')) : undefined;
/** An address or a length of at most 32 bits, or undefined. */
export function parseNumber(text: string): number | undefined {
  return /^[0-9a-f]{1,8}$/i.test(text) ? Number.parseInt(text, 16) : undefined;
}
