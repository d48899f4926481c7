/**
 * The message channels of VMware's backdoor, by which programs of a guest and the host exchange messages of up to 64 KiB, a doubleword a
 * call (open-vm-tools: lib/message/message.c, lib/include/guest_msg_def.h). A guest speaks first, always: it sends a message, and asks
 * whether there is one for it. The faster port beside it (5659h) is not there, and nobody is told of it.
 */
import { array, fifo, nested, pod, u16, u32, whole, type Clock, type StateOf } from '@tomei/kit';

/** As many as VMware has, and its longest message, in bytes. */
export const MOST_CHANNELS = 8;
export const LONGEST_MESSAGE = 0x1_0000;
/** A channel that was silent for so long may be taken by another program: who opened it may be gone. */
const LONGEST_SILENCE = 30_000_000_000;

const TYPE = { OPEN: 0, SENDSIZE: 1, SENDPAYLOAD: 2, RECVSIZE: 3, RECVPAYLOAD: 4, RECVSTATUS: 5, CLOSE: 6 } as const;
const STATUS = { SUCCESS: 0x0001, DORECV: 0x0002 } as const;
/** Of `OPEN`, beside the protocol: its cookies come in ESI and EDI, and have to be shown in each call. */
const WITH_COOKIES = 0x8000_0000;
const WORD = 4;

const channelState = pod({
  /** 0: not open. */
  protocol: u32(),
  cookies: array(2, () => u32()),
  /** When it was last used. */
  used: whole(),
  /** What has come of a message, and how much is still to come. */
  coming: fifo(LONGEST_MESSAGE),
  due: u32(),
  /** What waits to be fetched, from `fetched` on; nothing when it is empty. */
  going: fifo(LONGEST_MESSAGE),
  fetched: u32(),
}).check((s) =>
  s.coming.length + s.due > LONGEST_MESSAGE || s.fetched > s.going.length + WORD ? 'a message is too long' : true,
);
export const messagesState = pod({
  channels: array(MOST_CHANNELS, () => nested(channelState)),
  /** Channels that were opened so far, of which cookies are made. */
  opened: u16(),
});
type State = StateOf<typeof messagesState>;
type Channel = StateOf<typeof channelState>;

/** Who speaks with programs of the guest. Channels are 0 to `MOST_CHANNELS` - 1. */
export interface Correspondent {
  /** Whether it knows a protocol; the channel is open then. */
  opened(channel: number, protocol: number): boolean;
  /** A message has come; the answer is what can be fetched next. */
  received(channel: number, protocol: number, message: Uint8Array): Uint8Array | undefined;
  /** The guest asks for a message, and none was left by `received`. At most `LONGEST_MESSAGE` bytes. */
  next(channel: number, protocol: number): Uint8Array | undefined;
  closed(channel: number): void;
}
/** What a call brings in registers: the upper half of ECX and of EDX, EBX, ESI and EDI. */
export interface MessageCall {
  readonly type: number;
  readonly channel: number;
  readonly value: number;
  readonly cookies: readonly [number, number];
}
/** What it takes back: the upper halves of ECX and EDX, and EBX, ESI and EDI where they change. */
export interface MessageAnswer {
  readonly status: number;
  readonly upper?: number;
  readonly value?: number;
  readonly cookies?: readonly [number, number];
}
const REFUSED: MessageAnswer = { status: 0 };
const DONE: MessageAnswer = { status: STATUS.SUCCESS };

/** Carries out a call. A guest that does not keep to the order of calls is refused, and may begin its message anew. */
export function callMessages(state: State, call: MessageCall, clock: Clock, to: Correspondent): MessageAnswer {
  if (call.type === TYPE.OPEN) return open(state, call.value, clock, to);
  const channel = state.channels[call.channel];
  if (channel === undefined || channel.protocol === 0 || !isOf(channel, call)) return REFUSED;
  channel.used = clock.now();
  const { protocol } = channel;
  switch (call.type) {
    case TYPE.SENDSIZE:
      channel.coming = [];
      channel.due = 0;
      if (call.value > LONGEST_MESSAGE) return REFUSED;
      channel.due = call.value;
      if (call.value === 0) finish(channel, call.channel, to);
      return DONE;
    case TYPE.SENDPAYLOAD:
      if (channel.due === 0) return REFUSED;
      for (let byte = 0; byte < WORD && channel.due > 0; byte++, channel.due--)
        channel.coming.push((call.value >>> (8 * byte)) & 0xff);
      if (channel.due === 0) finish(channel, call.channel, to);
      return DONE;
    case TYPE.RECVSIZE:
      if (channel.going.length === 0) {
        channel.going = [...(to.next(call.channel, protocol) ?? [])];
        channel.fetched = 0;
      }
      if (channel.going.length === 0) return DONE;
      return { status: STATUS.SUCCESS | STATUS.DORECV, upper: TYPE.SENDSIZE, value: channel.going.length };
    case TYPE.RECVPAYLOAD: {
      const { going, fetched } = channel;
      // The status says whether the guest had what came before.
      if ((call.value & STATUS.SUCCESS) === 0 || fetched >= going.length) return forget(channel);
      let value = 0;
      for (let byte = 0; byte < WORD; byte++) value |= (going[fetched + byte] ?? 0) << (8 * byte);
      channel.fetched += WORD;
      return { status: STATUS.SUCCESS, upper: TYPE.SENDPAYLOAD, value: value >>> 0 };
    }
    case TYPE.RECVSTATUS:
      channel.going = [];
      channel.fetched = 0;
      return DONE;
    case TYPE.CLOSE:
      close(state, call.channel, to);
      return DONE;
    default:
      return REFUSED;
  }
}

/** Whether a call knows the channel's cookies; one that was opened without takes any. */
const isOf = ({ cookies }: Channel, call: MessageCall): boolean =>
  cookies.every((cookie, i) => cookie === 0 || cookie === call.cookies[i]);

function open(state: State, value: number, clock: Clock, to: Correspondent): MessageAnswer {
  const protocol = (value & ~WITH_COOKIES) >>> 0,
    id = freeChannel(state, clock, to);
  if (protocol === 0 || id < 0 || !to.opened(id, protocol)) return REFUSED;
  state.opened = (state.opened + 1) & 0xffff;
  const hasCookies = (value & WITH_COOKIES) !== 0;
  // No secrets: they tell one opening of a channel from another.
  const cookies = [0x4d54, 0x544d].map((salt) => (hasCookies ? ((state.opened << 16) | salt) >>> 0 : 0));
  state.channels[id] = { ...channelState.initial(), protocol, cookies, used: clock.now() };
  return { ...DONE, upper: id, ...(hasCookies ? { cookies: [cookies[0]!, cookies[1]!] as const } : {}) };
}
/** The number of a channel that is closed, if need be by taking it from the one who was silent for longest; -1: all are in use. */
function freeChannel(state: State, clock: Clock, to: Correspondent): number {
  const free = state.channels.findIndex(({ protocol }) => protocol === 0);
  if (free >= 0) return free;
  const uses = state.channels.map(({ used }) => used),
    oldest = uses.indexOf(Math.min(...uses));
  if (clock.now() - uses[oldest]! < LONGEST_SILENCE) return -1;
  close(state, oldest, to);
  return oldest;
}
function close(state: State, id: number, to: Correspondent): void {
  state.channels[id] = channelState.initial();
  to.closed(id);
}
function finish(channel: Channel, id: number, to: Correspondent): void {
  const message = Uint8Array.from(channel.coming);
  channel.coming = [];
  channel.going = [...(to.received(id, channel.protocol, message) ?? [])];
  channel.fetched = 0;
}
/** The guest gave up a message. */
function forget(channel: Channel): MessageAnswer {
  channel.going = [];
  channel.fetched = 0;
  return REFUSED;
}
