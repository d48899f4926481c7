/** The I/O thread's side of a guest's network cards: what they send goes to the others on their network, and what those send to them. */
import { MessageRing, messageOf, type Doorbell } from '@tomei/kit';
import { isFrame } from './frame-stream.ts';
import { RUNG_FOR } from '../protocol.ts';
import { meetingPlace } from './meeting-place.ts';
import type { NicRings } from './ring-nic.ts';
import { NetworkSegment } from './segment.ts';

const FRAMES_AT_ONCE = 256;

export interface CableEnd {
  /** As messages name the card: `ethernet0`. */
  readonly name: string;
  /** Cards of the same network reach each other; undefined: nobody is at the other end. */
  readonly network?: string;
  readonly rings: NicRings;
}
interface Card {
  readonly network: string | undefined;
  readonly output: MessageRing;
  readonly input: MessageRing;
}

export class NetworkCards {
  private readonly cards: readonly Card[];
  private readonly segments = new Map<string, NetworkSegment>();
  private readonly bell: Doorbell;
  private closed = false;

  /** `bell` is rung when a frame is there for the vCPU thread. */
  constructor(ends: readonly CableEnd[], bell: Doorbell) {
    this.bell = bell;
    this.cards = ends.map(({ network, rings }) => ({
      network,
      output: new MessageRing(rings.output),
      input: new MessageRing(rings.input),
    }));
  }
  /** Meets the other guests of this user. A network that cannot be joined is warned of, and the guest runs without it. */
  async join(warn: (text: string) => void, runtime?: string): Promise<void> {
    const networks = new Set(this.cards.flatMap(({ network }) => (network === undefined ? [] : [network])));
    for (const network of networks) {
      let hasMisbehaved = false;
      try {
        const segment = await NetworkSegment.join({
          folder: await meetingPlace(network, runtime),
          onFrame: (frame) => this.bring(network, frame, undefined),
          onTrouble: ({ message }) => {
            if (!hasMisbehaved) warn(`the network ${network}: ${message}`);
            hasMisbehaved = true;
          },
        });
        if (this.closed) segment.close();
        else this.segments.set(network, segment);
      } catch (error) {
        warn(`the network ${network}: ${messageOf(error)}`);
      }
    }
  }
  /**
   * Passes on what the guest sent. Call when the I/O bell rings. True when more may wait: a guest that never stops sending leaves
   * the thread its time for other work.
   */
  poll(): boolean {
    let isMore = false;
    for (const card of this.cards) {
      let frames = 0;
      for (; frames < FRAMES_AT_ONCE; frames++) {
        const frame = card.output.peek();
        if (frame === undefined) break;
        if (card.network !== undefined && isFrame(frame)) {
          this.bring(card.network, frame, card);
          this.segments.get(card.network)?.send(frame);
        }
        card.output.release();
      }
      isMore ||= frames === FRAMES_AT_ONCE;
    }
    return isMore;
  }
  close(): void {
    this.closed = true;
    for (const segment of this.segments.values()) segment.close();
    this.segments.clear();
  }

  /** To this guest's cards on a network. What finds no room is lost, as on a wire. */
  private bring(network: string, frame: Uint8Array, from: Card | undefined): void {
    for (const card of this.cards)
      if (card.network === network && card !== from && card.input.write(frame)) this.bell.ring(RUNG_FOR.frames);
  }
}
