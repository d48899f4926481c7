/** For tests: VMware's tools in a guest, as far as they use the backdoor. A call's registers are EAX, EBX, ECX, EDX, ESI and EDI. */
import { ManualClock } from '@tomei/kit';
import { Board, backend } from '../machine/board.ts';
import {
  generalRegisters,
  hostClipboard,
  vmwareBackdoor,
  type BackdoorConfig,
  type GeneralRegisters,
} from './vmware-backdoor.ts';

export const PORT = 0x5658,
  MAGIC = 0x564d_5868;
export const RPCI = 0x4943_5052,
  TCLO = 0x4f4c_4354;
const COOKIES = 0x8000_0000;
const MESSAGE = 30;
/** What EBX, ESI and EDI hold when nobody changes them. */
export const LEFT_ALONE = 0x1111;
export const EPOCH = 1_700_000_000;
export const CONFIG: BackdoorConfig = {
  ...{ ramBytes: 96 << 20, epoch: EPOCH, timestampHz: 1e9, busHz: 2e8 },
  ...{ clipboard: { copy: true, paste: true }, info: {} },
};

/** An open channel. */
export interface Channel {
  readonly id: number;
  readonly cookies: readonly [number, number];
}
const textOf = (bytes: readonly number[]): string => bytes.map((byte) => String.fromCharCode(byte)).join('');
export const bytesOf = (text: string): number[] => Array.from(text, (each) => each.charCodeAt(0));

/** A board with the device alone, and a guest's programs that call it. */
export function backdoorGuest(options: Partial<BackdoorConfig> = {}) {
  const values = new Uint32Array(8);
  const registers: GeneralRegisters = { get: (n) => values[n]!, set: (n, value) => void (values[n] = value) };
  const clock = new ManualClock(),
    told: string[] = [],
    copied: string[] = [];
  const board = new Board({
    ram: new Uint8Array(16),
    clock,
    trouble: (_device, what) => void told.push(what),
  });
  const { parts } = board.add(
    vmwareBackdoor,
    { ...CONFIG, ...options },
    {
      backends: [
        backend(generalRegisters, registers),
        backend(hostClipboard, { copied: (text: string) => void copied.push(text) }),
      ],
    },
  );
  board.reset();
  const call = (command: number, argument = LEFT_ALONE, magic = MAGIC): number[] => {
    values.set([magic, command, PORT, argument, 0, 0, LEFT_ALONE, LEFT_ALONE]);
    values[0] = board.portRead(PORT, 4);
    return [0, 3, 1, 2, 6, 7].map((n) => values[n]!);
  };
  /** A call of the message channels. */
  const pass = (type: number, value: number, { id, cookies }: Channel) => {
    values.set([MAGIC, (type << 16) | MESSAGE, (id << 16) | PORT, value, 0, 0, ...cookies]);
    values[0] = board.portRead(PORT, 4);
    return {
      status: values[1]! >>> 16,
      upper: values[2]! >>> 16,
      value: values[3]!,
      cookies: [values[6]!, values[7]!],
    };
  };
  const open = (protocol: number): Channel | undefined => {
    const { status, upper, cookies } = pass(0, (protocol | COOKIES) >>> 0, { id: 0, cookies: [0, 0] });
    return (status & 1) === 0 ? undefined : { id: upper, cookies: [cookies[0]!, cookies[1]!] };
  };
  const send = (channel: Channel, bytes: readonly number[]): boolean => {
    if ((pass(1, bytes.length, channel).status & 1) === 0) return false;
    for (let at = 0; at < bytes.length; at += 4) {
      const word = [0, 1, 2, 3].reduce((all, i) => all | ((bytes[at + i] ?? 0) << (8 * i)), 0);
      if ((pass(2, word >>> 0, channel).status & 1) === 0) return false;
    }
    return true;
  };
  /** A message; empty where there is none, undefined where the host refuses. */
  const receive = (channel: Channel): string | undefined => {
    const { status, upper, value: length } = pass(3, 0, channel);
    if ((status & 1) === 0) return undefined;
    if ((status & 2) === 0) return '';
    if (upper !== 1) return undefined;
    const bytes: number[] = [];
    while (bytes.length < length) {
      const piece = pass(4, 1, channel);
      if ((piece.status & 1) === 0 || piece.upper !== 2) return undefined;
      for (let i = 0; i < 4 && bytes.length < length; i++) bytes.push((piece.value >>> (8 * i)) & 0xff);
    }
    return (pass(5, 1, channel).status & 1) === 0 ? undefined : textOf(bytes);
  };
  const close = (channel: Channel): boolean => (pass(6, 0, channel).status & 1) !== 0;
  /** A command by RPCI on a channel of its own, and its answer. */
  const ask = (command: string): string | undefined => {
    const channel = open(RPCI);
    if (channel === undefined || !send(channel, bytesOf(command))) return undefined;
    const answer = receive(channel);
    close(channel);
    return answer;
  };
  /** A listener's round: it sends what it has, and fetches what it is to do. */
  const listen = (channel: Channel, answer = ''): string | undefined =>
    send(channel, bytesOf(answer)) ? receive(channel) : undefined;
  /** A listener that has said what it can do. */
  const installed = (name = 'toolbox'): Channel => {
    const channel = open(TCLO)!;
    listen(channel);
    listen(channel, `OK ATR ${name}`);
    ask('tools.capability.statechange ');
    ask('tools.set.version 8290');
    listen(channel, 'OK ');
    return channel;
  };
  return {
    ...{ board, clock, parts, call, values, told, copied },
    ...{ pass, open, send, receive, close, ask, listen, installed },
  };
}
