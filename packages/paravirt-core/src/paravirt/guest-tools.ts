/**
 * What the host and VMware's tools in a guest say to each other (open-vm-tools: lib/rpcOut, lib/rpcIn, services/plugins/powerOps; OpenBSD:
 * sys/dev/pv/vmt.c). By RPCI a program of the guest asks, and is answered at once. By TCLO the host asks: a listener sends its last
 * answer, empty where it has none, and fetches what it is to do next.
 */
import { array, bool, nested, oneOf, pod, text, whole, type Clock, type StateOf } from '@tomei/kit';
import { MOST_CHANNELS, type Correspondent } from './backdoor-messages.ts';
import { getInfo, guestInfoState, setInfo, wordsOf, type GuestInfo } from './guest-info.ts';

/** "RPCI" and "TCLO", the first letter lowest. */
const RPCI = 0x4943_5052,
  TCLO = 0x4f4c_4354;
/** Commands to a listener. */
const COMMANDS = ['', 'reset', 'Capabilities_Register', 'ping', 'OS_Halt'] as const;
/** A listener that has answered nothing for so long is asked whether it is there, and is not counted on after twice that. */
const PING_AFTER = 30_000_000_000;
/** Names of listeners that act for a person, not for the system. */
const PERSONAL = '-dnd';
const LONGEST_NAME = 32,
  LONGEST_LOG = 200;

const listenerState = pod({
  /** What it is to fetch next, and what it has fetched and not answered. */
  next: oneOf(...COMMANDS),
  asked: oneOf(...COMMANDS),
  /** As it calls itself: `toolbox`, `toolbox-dnd`. Empty until it has answered `reset`. */
  name: text(LONGEST_NAME),
  isOpen: bool(),
  isReady: bool(),
  /** When it answered something last. */
  answered: whole(),
});
export const toolsState = pod({
  listeners: array(MOST_CHANNELS, () => nested(listenerState)),
  /** The tools have said that they can halt the system. */
  canHalt: bool(),
  /** They were asked to. */
  isHalting: bool(),
  /** `tools.set.version`; empty until they have said it. */
  version: text(LONGEST_NAME),
  info: nested(guestInfoState),
});
type State = StateOf<typeof toolsState>;

export interface ToolsParts {
  readonly state: State;
  /** Of the `.vmx`. */
  readonly info: GuestInfo;
  readonly clock: Clock;
  /** What the guest has for the host's log, and what its tools did not do: a sentence. */
  readonly tell: (what: string) => void;
}

export class GuestTools implements Correspondent {
  private readonly parts: ToolsParts;

  constructor(parts: ToolsParts) {
    this.parts = parts;
  }

  opened(channel: number, protocol: number): boolean {
    if (protocol !== RPCI && protocol !== TCLO) return false;
    const { state, clock } = this.parts;
    state.listeners[channel] =
      protocol === RPCI
        ? listenerState.initial()
        : { ...listenerState.initial(), isOpen: true, next: 'reset', answered: clock.now() };
    return true;
  }
  received(channel: number, protocol: number, message: Uint8Array): Uint8Array | undefined {
    // C programs send the zero at the end of a text, and some the rest of their buffer behind it.
    const end = message.indexOf(0),
      words = wordsOf(end < 0 ? message : message.subarray(0, end));
    if (protocol === RPCI) return bytesOf(this.answer(words));
    this.answered(channel, words);
    return undefined;
  }
  next(channel: number, protocol: number): Uint8Array | undefined {
    const { state, clock } = this.parts,
      listener = state.listeners[channel]!;
    if (protocol !== TCLO || !listener.isOpen) return undefined;
    if (listener.next === '' && listener.isReady && clock.now() - listener.answered >= PING_AFTER)
      listener.next = 'ping';
    const { next } = listener;
    if (next === '') return undefined;
    listener.asked = next;
    listener.next = '';
    return bytesOf(next);
  }
  closed(channel: number): void {
    const { state } = this.parts;
    if (isSystem(state.listeners[channel]!)) state.canHalt = state.isHalting = false;
    state.listeners[channel] = listenerState.initial();
  }

  /** Asks the tools to shut the system down. False where none have said that they can, are there, or have been asked before. */
  halt(): boolean {
    const { state, clock } = this.parts;
    const listener = state.listeners.find(
      (each) => isSystem(each) && each.isReady && clock.now() - each.answered < 2 * PING_AFTER,
    );
    if (!state.canHalt || state.isHalting || listener === undefined || listener.next === 'OS_Halt') return false;
    state.isHalting = true;
    listener.next = 'OS_Halt';
    return true;
  }

  /** A listener's answer to what it was asked: `OK` or `ERROR`, and what it has to say. */
  private answered(channel: number, words: string): void {
    const { state, clock, tell } = this.parts,
      listener = state.listeners[channel]!;
    if (words === '' || !listener.isOpen) return;
    const { asked } = listener;
    listener.answered = clock.now();
    listener.asked = '';
    const isDone = words.startsWith('OK');
    // Some say who they are before they are asked, when they come back.
    const name = /^OK ATR ([!-~]{1,32})/.exec(words)?.[1];
    if (name !== undefined) {
      Object.assign(listener, { name, isReady: true });
      // What it can do it says anew.
      if (isSystem(listener)) state.canHalt = state.isHalting = false;
      listener.next = 'Capabilities_Register';
    } else if (asked === 'OS_Halt' && !isDone) {
      state.isHalting = false;
      tell(`the tools did not shut the system down: ${printable(words)}`);
    }
  }

  /** RPCI: `1 ` and a value, or `0 ` and why not. */
  private answer(words: string): string {
    const { state, info, tell } = this.parts;
    const [command = '', ...rest] = words.split(' '),
      argument = words.slice(command.length + 1);
    switch (command) {
      case 'log':
        tell(`the guest says: ${printable(argument)}`);
        return '1 ';
      case 'info-get': {
        const value = getInfo(state.info, info, argument.trim());
        return value === undefined ? '0 No value found' : `1 ${value}`;
      }
      case 'info-set': {
        const [key = ''] = rest;
        return setInfo(state.info, key, argument.slice(key.length + 1)) ? '1 ' : '0 Key or value is not allowed';
      }
      case 'tools.set.version':
        state.version = (rest[0] ?? '').slice(0, LONGEST_NAME);
        return '1 ';
      // Who answers `Capabilities_Register` says it so; an argument of 0 takes it back.
      case 'tools.capability.statechange':
        state.canHalt = rest[0] !== '0';
        return '1 ';
      case 'tools.os.statechange.status':
        // The first figure is whether it was done; without it the system goes on.
        if (rest[0] === '0') state.isHalting = false;
        return '1 ';
      case 'vmx.capability.unified_loop':
      case 'tools.set.versiontype':
      case 'tools.capability.softpowerop_retry':
        return '1 ';
      default:
        return '0 Unknown command';
    }
  }
}

const bytesOf = (words: string): Uint8Array => Uint8Array.from(words, (each) => each.charCodeAt(0) & 0xff);

const isSystem = ({ isOpen, name }: StateOf<typeof listenerState>): boolean =>
  isOpen && name !== '' && !name.endsWith(PERSONAL);
/** What a guest says, fit for a person's terminal. */
const printable = (words: string): string => words.slice(0, LONGEST_LOG).replaceAll(/[^ -~]/g, '?');
