/** The handshake (RFC 6143, 7.1 to 7.3, and appendix A for viewers of versions 3.3 and 3.7), up to ServerInit. */
import { TomeiError } from '@tomei/kit';
import { NEED_MORE, type ByteQueue, type Reader } from './byte-queue.ts';
import { ByteWriter } from './byte-writer.ts';
import { broken } from './client-messages.ts';
import { SERVER_FORMAT, writePixelFormat } from './pixel-format.ts';
import { CHALLENGE_BYTES, isRightResponse } from './vnc-authentication.ts';

export interface HandshakeParts {
  readonly name: string;
  readonly password: string | undefined;
  /** See `RfbSessionOptions.refusal`. */
  readonly refusal?: (() => string | undefined) | undefined;
  /** See `ViewerEvents.password`. */
  readonly onPassword?: ((isRight: boolean) => void) | undefined;
  readonly random: (count: number) => Uint8Array;
  readonly send: (bytes: Uint8Array) => void;
  /** The picture's size when the viewer gets to know it. */
  readonly size: () => { readonly width: number; readonly height: number };
}

/** What the viewer said; see `ViewerEvents.ready`. */
export interface HandshakeResult {
  readonly shared: boolean;
}

type State = 'version' | 'security-type' | 'response' | 'client-init';

const VERSION_TEXT = 'RFB 003.008\n';
const VERSION_PATTERN = /^RFB (\d{3})\.(\d{3})\n$/;
const SECURITY_NONE = 1;
const SECURITY_VNC = 2;
const RESULT_OK = 0;
const RESULT_FAILED = 1;
/** Viewers may not take in longer names; RFB itself would allow 4 GiB. */
const MAX_NAME_BYTES = 1024;

export class Handshake {
  private state: State = 'version';
  /** RFB's minor version that both sides speak. */
  private version: 3 | 7 | 8 = 8;
  private challenge = new Uint8Array(0);
  private readonly parts: HandshakeParts;

  /** Sends the server's version. */
  constructor(parts: HandshakeParts) {
    this.parts = parts;
    parts.send(Buffer.from(VERSION_TEXT, 'latin1'));
  }

  /**
   * Takes steps while whole messages are there; undefined when more is needed. Throws `viewer.broken-protocol`,
   * `viewer.wrong-password` or `viewer.not-now`, after the viewer was told why in the way of its version.
   */
  advance(queue: ByteQueue): HandshakeResult | undefined {
    for (;;) {
      const result = this.steps[this.state](queue);
      if (result === NEED_MORE) return undefined;
      if (result !== undefined) return result;
    }
  }

  private readonly steps: Readonly<Record<State, Reader<HandshakeResult | undefined>>> = {
    version: (queue) => this.readVersion(queue),
    'security-type': (queue) => this.readSecurityType(queue),
    response: (queue) => this.readResponse(queue),
    'client-init': (queue) => this.readClientInit(queue),
  };

  private get securityType(): number {
    return this.parts.password === undefined ? SECURITY_NONE : SECURITY_VNC;
  }

  private readVersion(queue: ByteQueue): typeof NEED_MORE | undefined {
    if (!queue.has(VERSION_TEXT.length)) {
      // Somebody who speaks HTTP would wait for an answer forever.
      if (queue.has(1) && queue.peekU8(0) !== VERSION_TEXT.charCodeAt(0)) throw broken('something else than RFB');
      return NEED_MORE;
    }
    const match = VERSION_PATTERN.exec(Buffer.from(queue.bytes(VERSION_TEXT.length)).toString('latin1'));
    if (match === null) throw broken('something else than RFB');
    if (match[1] !== '003') {
      this.version = 8;
      const reason = `RFB ${Number(match[1])} is not spoken here: use version 3.3, 3.7 or 3.8`;
      this.refuse(reason, broken(`a version that is not spoken here: ${reason}`));
    }
    const minor = Number(match[2]);
    // "Other version numbers ... should be interpreted as 3.3"; those above 3.8 are 3.8 with extensions.
    this.version = minor >= 8 ? 8 : minor === 7 ? 7 : 3;
    const refusal = this.refusal();
    if (refusal !== undefined) this.refuse(refusal, notNow(refusal));
    if (this.version === 3) {
      this.parts.send(new ByteWriter().u32(this.securityType).toBytes());
      this.begin();
    } else {
      this.parts.send(new Uint8Array([1, this.securityType]));
      this.state = 'security-type';
    }
    return undefined;
  }

  private readSecurityType(queue: ByteQueue): typeof NEED_MORE | undefined {
    if (!queue.has(1)) return NEED_MORE;
    const type = queue.u8();
    if (type !== this.securityType) this.fail(broken(`security type ${type}, which was not offered`));
    this.begin();
    return undefined;
  }

  private begin(): void {
    if (this.securityType === SECURITY_VNC) {
      this.challenge = Uint8Array.from(this.parts.random(CHALLENGE_BYTES));
      this.parts.send(this.challenge.slice());
      this.state = 'response';
      return;
    }
    // Only 3.8 has a result where nothing was asked.
    if (this.version === 8) this.sendResult(RESULT_OK);
    this.state = 'client-init';
  }

  private readResponse(queue: ByteQueue): typeof NEED_MORE | undefined {
    if (!queue.has(CHALLENGE_BYTES)) return NEED_MORE;
    const response = queue.bytes(CHALLENGE_BYTES);
    // Asked again: many connections may have been made before the first guess came.
    const refusal = this.refusal();
    if (refusal !== undefined) this.fail(notNow(refusal), refusal);
    const isRight = isRightResponse(this.parts.password!, this.challenge, response);
    this.parts.onPassword?.(isRight);
    if (!isRight) {
      this.fail(new TomeiError('viewer.wrong-password', 'the viewer gave a wrong password'), 'Wrong password');
    }
    this.sendResult(RESULT_OK);
    this.state = 'client-init';
    return undefined;
  }

  private readClientInit(queue: ByteQueue): HandshakeResult | typeof NEED_MORE {
    if (!queue.has(1)) return NEED_MORE;
    const shared = queue.u8() !== 0;
    const { width, height } = this.parts.size();
    const name = Buffer.from(this.parts.name, 'utf8').subarray(0, MAX_NAME_BYTES);
    const out = new ByteWriter().u16(width).u16(height);
    writePixelFormat(out, SERVER_FORMAT);
    this.parts.send(out.u32(name.length).bytes(name).toBytes());
    return { shared };
  }

  private refusal(): string | undefined {
    return this.parts.password === undefined ? undefined : this.parts.refusal?.();
  }

  private sendResult(result: number): void {
    this.parts.send(new ByteWriter().u32(result).toBytes());
  }

  /** SecurityResult "failed", with a reason where the version has room for one. */
  private fail(error: TomeiError, reason = error.message): never {
    this.sendResult(RESULT_FAILED);
    if (this.version === 8) this.sendReason(reason);
    throw error;
  }

  /** No security types, and the reason: RFC 6143, 7.1.2; in version 3.3 the type is a word. */
  private refuse(reason: string, error: TomeiError): never {
    this.parts.send(new Uint8Array(this.version === 3 ? 4 : 1));
    this.sendReason(reason);
    throw error;
  }

  private sendReason(reason: string): void {
    const text = Buffer.from(reason, 'utf8');
    this.parts.send(new ByteWriter().u32(text.length).bytes(text).toBytes());
  }
}

const notNow = (reason: string): TomeiError => new TomeiError('viewer.not-now', reason, { retryable: true });
