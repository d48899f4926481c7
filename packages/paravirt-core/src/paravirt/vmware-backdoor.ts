/**
 * VMware's backdoor: a read of port 5658h with a magic number in EAX is a call, with its command in CX, and answers in the general
 * registers (Linux: arch/x86/include/asm/vmware.h, drivers/input/mouse/vmmouse.c; open-vm-tools: lib/include/backdoor_def.h). As VMware
 * has it, programs reach it whether or not their system lets them reach ports: its tools are such programs. The time is the
 * machine's, which is the guest's own.
 */
import { nested, pod } from '@tomei/kit';
import { backendKind, defineDevice, typed } from '../machine/device.ts';
import { commandPointer, movePointer, pointerState, pointerStatus, readPointer } from './absolute-pointer.ts';
import {
  beginSelection,
  clipboardState,
  nextPiece,
  offer,
  personPoints,
  pointerPlace,
  selectionLength,
  setPointerPlace,
  takePiece,
  type Exchange,
} from './backdoor-clipboard.ts';
import { callMessages, messagesState } from './backdoor-messages.ts';
import type { GuestInfo } from './guest-info.ts';
import { GuestTools, toolsState } from './guest-tools.ts';

export interface BackdoorConfig {
  readonly ramBytes: number;
  /** Unix time in seconds when the machine's clock was 0. */
  readonly epoch: number;
  /** Of the time stamp counter, and of the local APIC's timer. */
  readonly timestampHz: number;
  readonly busHz: number;
  /** What of the clipboard passes. */
  readonly clipboard: Exchange;
  /** `guestinfo.*` of the `.vmx`. */
  readonly info: GuestInfo;
}
/** Who hears of texts that the guest has copied. */
export interface HostClipboard {
  copied(text: string): void;
}
export const hostClipboard = backendKind<HostClipboard>('host-clipboard');
/** The general registers of the processor that reads the port, numbered as instructions number them; unsigned. */
export interface GeneralRegisters {
  get(index: number): number;
  set(index: number, value: number): void;
}
export const generalRegisters = backendKind<GeneralRegisters>('general-registers');

const PORT = 0x5658,
  PORT_BYTES = 4;
const MAGIC = 0x564d_5868;
const EAX = 0,
  ECX = 1,
  EDX = 2,
  EBX = 3,
  ESI = 6,
  EDI = 7;
/** Where answers of several words go, in their order. */
const IN_ORDER = [EAX, EBX, ECX, EDX, ESI, EDI] as const;
const COMMAND = {
  GETMHZ: 1,
  GETPTRLOCATION: 4,
  SETPTRLOCATION: 5,
  GETSELLENGTH: 6,
  GETNEXTPIECE: 7,
  SETSELLENGTH: 8,
  SETNEXTPIECE: 9,
  GETVERSION: 10,
  GETGUIOPTIONS: 13,
  GETMEMSIZE: 20,
  GETTIME: 23,
  MESSAGE: 30,
  ABSPOINTER_DATA: 39,
  ABSPOINTER_STATUS: 40,
  ABSPOINTER_COMMAND: 41,
  GETHZ: 45,
  GETTIMEFULL: 46,
  GETTIMEFULL_WITH_LAG: 55,
} as const;
/** Version of the interface, and the kind of product: an ESX server. */
const VERSION = 6,
  PRODUCT = 2;
const NOTHING = 0xffff_ffff;
/** Of the options: selections are exchanged. */
const EXCHANGES = 0x10;
/** Whether a read of a port is a call, which programs may make whatever their system says of ports. */
export const isBackdoorCall = (port: number, bytes: number, eax: number): boolean =>
  port === PORT && bytes === PORT_BYTES && eax === MAGIC;
/** Microseconds that a guest's clock may be wrong before its tools put it right. */
const MOST_LAG = 1_000_000;

export const vmwareBackdoor = defineDevice({
  kind: 'vmware-backdoor',
  version: 2,
  summary: "VMware's backdoor: version, time, memory, absolute pointer, clipboard, tools",
  config: typed<BackdoorConfig>({
    ...{ ramBytes: 1 << 27, epoch: 0, timestampHz: 1e9, busHz: 1e9 },
    ...{ clipboard: { copy: true, paste: true }, info: {} },
  }),
  state: pod({
    pointer: nested(pointerState),
    clipboard: nested(clipboardState),
    messages: nested(messagesState),
    tools: nested(toolsState),
  }),
  migrate: (_version, state) => ({
    ...(state as object),
    clipboard: clipboardState.initial(),
    messages: messagesState.initial(),
    tools: toolsState.initial(),
  }),
  attach({ config, state, host }) {
    const registers = host.backend(generalRegisters);
    const tools = new GuestTools({
      get state() {
        return state.tools;
      },
      ...{ info: config.info, clock: host.clock, tell: (what: string) => host.trouble(what) },
    });
    let calls = 0;

    /** A call of the message channels: the upper halves of ECX and EDX are a word each, and their lower ones are cleared. */
    const passMessage = (r: GeneralRegisters): void => {
      const call = {
        ...{ type: r.get(ECX) >>> 16, channel: r.get(EDX) >>> 16, value: r.get(EBX) },
        cookies: [r.get(ESI), r.get(EDI)] as const,
      };
      const { status, upper = call.channel, value, cookies } = callMessages(state.messages, call, host.clock, tools);
      r.set(ECX, (status << 16) >>> 0);
      r.set(EDX, (upper << 16) >>> 0);
      if (value !== undefined) r.set(EBX, value);
      cookies?.forEach((cookie, i) => r.set(i === 0 ? ESI : EDI, cookie));
    };

    /** Answers EAX, and changes the other registers. */
    const call = (r: GeneralRegisters): number => {
      const time = Math.floor(config.epoch * 1e6 + host.clock.now() / 1e3),
        seconds = Math.floor(time / 1e6);
      const tellTime = (): void => {
        r.set(EBX, time % 1e6);
        r.set(ECX, MOST_LAG);
      };
      switch (r.get(ECX) & 0xffff) {
        case COMMAND.GETMHZ:
          return Math.round(config.timestampHz / 1e6);
        case COMMAND.GETVERSION:
          r.set(EBX, MAGIC);
          r.set(ECX, PRODUCT);
          return VERSION;
        case COMMAND.GETPTRLOCATION:
          return pointerPlace(state.clipboard, host.clock.now());
        case COMMAND.SETPTRLOCATION:
          setPointerPlace(state.clipboard, r.get(EBX));
          return r.get(EAX);
        case COMMAND.GETSELLENGTH:
          return selectionLength(state.clipboard, config.clipboard);
        case COMMAND.GETNEXTPIECE:
          return nextPiece(state.clipboard);
        case COMMAND.SETSELLENGTH:
          beginSelection(state.clipboard, r.get(EBX), config.clipboard);
          return r.get(EAX);
        case COMMAND.SETNEXTPIECE: {
          const text = takePiece(state.clipboard, r.get(EBX));
          if (text !== undefined) host.backend(hostClipboard)?.copied(text);
          return r.get(EAX);
        }
        case COMMAND.GETGUIOPTIONS:
          return config.clipboard.copy || config.clipboard.paste ? EXCHANGES : 0;
        case COMMAND.MESSAGE:
          passMessage(r);
          return r.get(EAX);
        case COMMAND.GETMEMSIZE:
          return Math.floor(config.ramBytes / 2 ** 20);
        case COMMAND.GETTIME:
          tellTime();
          // Minutes west of Greenwich: the time is Greenwich's.
          r.set(EDX, 0);
          return seconds >>> 0;
        // These leave EAX as it is when they do something.
        case COMMAND.GETTIMEFULL_WITH_LAG:
        case COMMAND.GETTIMEFULL:
          if ((r.get(ECX) & 0xffff) === COMMAND.GETTIMEFULL_WITH_LAG) r.set(EDI, 0);
          tellTime();
          r.set(EDX, seconds >>> 0);
          r.set(ESI, Math.floor(seconds / 2 ** 32));
          return MAGIC;
        case COMMAND.GETHZ:
          r.set(EBX, Math.floor(config.timestampHz / 2 ** 32));
          r.set(ECX, config.busHz);
          return config.timestampHz >>> 0;
        case COMMAND.ABSPOINTER_STATUS:
          return pointerStatus(state.pointer);
        case COMMAND.ABSPOINTER_COMMAND:
          commandPointer(state.pointer, r.get(EBX));
          return r.get(EAX);
        case COMMAND.ABSPOINTER_DATA: {
          const words = readPointer(state.pointer, r.get(EBX));
          words?.forEach((word, i) => i > 0 && r.set(IN_ORDER[i]!, word));
          return words?.[0] ?? NOTHING;
        }
        default:
          return NOTHING;
      }
    };

    return {
      ports: [
        {
          base: PORT,
          count: PORT_BYTES,
          exactly: PORT_BYTES,
          read() {
            if (registers?.get(EAX) !== MAGIC) return NOTHING;
            calls++;
            return call(registers);
          },
          write() {},
        },
      ],
      /** See `movePointer`. */
      pointer(event: Parameters<typeof movePointer>[1]): boolean {
        personPoints(state.clipboard, host.clock.now());
        return movePointer(state.pointer, event);
      },
      /** See `offer`. */
      offerText: (text: string): boolean => offer(state.clipboard, text, config.clipboard),
      /** See `GuestTools.halt`. */
      halt: (): boolean => tools.halt(),
      /** Calls since this was made. */
      calls: (): number => calls,
    };
  },
});
