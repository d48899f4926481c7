/**
 * The virtio input device (OASIS virtio 1.2, section 5.8), as a tablet with an absolute pointer or as a keyboard. Events are
 * Linux's (`input-event-codes.h`); those of one moment end with SYN_REPORT and are handed over together or not at all.
 */
import { array, list, nested, pod, u16, u32, u8, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { scatter, totalLength } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { transportState, withMsix } from './transport-state.ts';

const DEVICE_TYPE_INPUT = 18;
const CLASS_INPUT_OTHER = 0x098000;
const CLASS_KEYBOARD = 0x090000;
const EVENT_QUEUE = 0;
const STATUS_QUEUE = 1;
const QUEUE_SIZE = 64;
const QUEUE_SIZES = [QUEUE_SIZE, QUEUE_SIZE];
export const EVENT_BYTES = 8;
/** Events that wait for buffers. A guest that reads none loses later ones. */
const MOST_WAITING = 256;

/** Event types and codes. */
export const EV = { syn: 0, key: 1, rel: 2, abs: 3, led: 0x11, rep: 0x14 } as const;
const REL_WHEEL = 8;
const ABS_X = 0;
const ABS_Y = 1;
const BTN_LEFT = 0x110;
const BTN_RIGHT = 0x111;
const BTN_MIDDLE = 0x112;
const BUTTONS = [BTN_LEFT, BTN_RIGHT, BTN_MIDDLE] as const;
/** Keys of a keyboard: all below the first button. */
const LAST_KEY = 0xff;
/** Coordinates are 0 to this, whatever the screen's size. */
export const POINTER_MAX = 0x7fff;

/** `select` of the configuration (5.8.2). */
export const SELECT = { idName: 1, idSerial: 2, idDevids: 3, propBits: 0x10, evBits: 0x11, absInfo: 0x12 } as const;
const UNION = 8;
const UNION_BYTES = 128;
const BUS_VIRTUAL = 6;

export type InputRole = 'tablet' | 'keyboard';

const inputState = pod({
  transport: nested(transportState(QUEUE_SIZES)),
  select: u8(),
  subsel: u8(),
  /** Events for the driver, oldest first; values are of 32 bits. */
  waiting: list(MOST_WAITING, nested(pod({ type: u16(), code: u16(), value: u32() }))),
  /** What was reported last: x, y, buttons. */
  pointer: array(3, () => u16()),
});
type InputState = StateOf<typeof inputState>;
interface InputEvent {
  readonly type: number;
  readonly code: number;
  readonly value: number;
}

export const virtioInput = defineDevice({
  kind: 'virtio-input',
  version: 2,
  config: typed<{ role: InputRole }>({ role: 'tablet' }),
  summary: 'virtio 1.x input device over PCI (1AF4:1052): a tablet or a keyboard',
  state: inputState,
  migrate: (_version, state) => withMsix(state, QUEUE_SIZES),
  attach({ config, state, host }) {
    const input = new Input(config.role, state, host);
    return {
      pci: input.transport.pci,
      plugged: (slot) => input.transport.plugged(slot),
      settle: () => input.transport.settle(),
      /**
       * The pointer is at x, y (0 to `POINTER_MAX`), with these buttons down (bit 0 left, 1 right, 2 middle), and the wheel turned by so
       * many notches, up positive. False when no driver is there.
       */
      point: (x: number, y: number, buttons: number, wheel: number): boolean => input.point(x, y, buttons, wheel),
      /** A key by Linux's number for it. False when no driver is there. */
      key: (code: number, down: boolean): boolean => input.key(code, down),
    };
  },
});

class Input {
  readonly transport: VirtioPci;
  private readonly role: InputRole;
  private readonly state: InputState;
  private readonly host: Host;

  constructor(role: InputRole, state: InputState, host: Host) {
    this.role = role;
    this.state = state;
    this.host = host;
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_INPUT,
        classCode: role === 'keyboard' ? CLASS_KEYBOARD : CLASS_INPUT_OTHER,
        queueSizes: QUEUE_SIZES,
        features: [],
        configuration: {
          length: UNION + UNION_BYTES,
          read: (offset, width) => {
            const bytes = this.configuration();
            let value = 0;
            for (let i = width - 1; i >= 0; i--) value = value * 256 + (bytes[offset + i] ?? 0);
            return value;
          },
          write: (offset, width, value) => {
            if (width !== 1) return;
            if (offset === 0) this.state.select = value;
            if (offset === 1) this.state.subsel = value;
          },
        },
        notified: (queue) => (queue === EVENT_QUEUE ? this.pass() : this.takeStatus()),
        reset: () => this.forget(),
        draining: () => false,
      },
    });
  }

  point(x: number, y: number, buttons: number, wheel: number): boolean {
    const within = (value: number): number => Math.min(POINTER_MAX, Math.max(0, Math.trunc(value)));
    const next = [within(x), within(y), buttons & 7];
    const before = this.state.pointer;
    const events: InputEvent[] = [];
    if (next[0] !== before[0]) events.push({ type: EV.abs, code: ABS_X, value: next[0]! });
    if (next[1] !== before[1]) events.push({ type: EV.abs, code: ABS_Y, value: next[1]! });
    BUTTONS.forEach((code, bit) => {
      const [was, is] = [(before[2]! >> bit) & 1, (next[2]! >> bit) & 1];
      if (was !== is) events.push({ type: EV.key, code, value: is });
    });
    if (wheel !== 0) events.push({ type: EV.rel, code: REL_WHEEL, value: wheel >>> 0 });
    // What was lost is told with the next.
    if (this.report(events)) this.state.pointer = next;
    return this.transport.running();
  }
  key(code: number, down: boolean): boolean {
    if (code > 0 && code <= LAST_KEY) this.report([{ type: EV.key, code, value: Number(down) }]);
    return this.transport.running();
  }

  private forget(): void {
    const { waiting, pointer } = inputState.initial();
    Object.assign(this.state, { waiting, pointer });
  }

  /** All of one moment, or nothing when too much waits or nobody is there. */
  private report(events: readonly InputEvent[]): boolean {
    const { waiting } = this.state;
    if (events.length === 0 || !this.transport.running() || waiting.length + events.length >= MOST_WAITING)
      return false;
    waiting.push(...events, { type: EV.syn, code: 0, value: 0 });
    this.pass();
    return true;
  }

  /** Waiting events into buffers, one each. */
  private pass(): boolean {
    const queue = this.transport.queues[EVENT_QUEUE]!;
    while (this.state.waiting.length > 0) {
      const chain = queue.pop();
      if (chain === undefined) break;
      if (totalLength(chain.writable) < EVENT_BYTES) {
        queue.fail('request');
        break;
      }
      const { type, code, value } = this.state.waiting.shift()!;
      const bytes = new Uint8Array(EVENT_BYTES);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, type, true);
      view.setUint16(2, code, true);
      view.setUint32(4, value, true);
      queue.push(chain, scatter(this.host.memory, chain.writable, bytes));
    }
    this.transport.signal(queue);
    return false;
  }

  /** Lights of the keyboard: nobody looks at them. */
  private takeStatus(): boolean {
    const queue = this.transport.queues[STATUS_QUEUE]!;
    const isMore = queue.giveBack();
    this.transport.signal(queue);
    return isMore;
  }

  /** `struct virtio_input_config` as it stands: what `select` and `subsel` choose. */
  private configuration(): Uint8Array {
    const { select, subsel } = this.state;
    const chosen = this.chosen(select, subsel);
    const bytes = new Uint8Array(UNION + UNION_BYTES);
    bytes.set([select, subsel, chosen.length]);
    bytes.set(chosen, UNION);
    return bytes;
  }
  private chosen(select: number, subsel: number): Uint8Array {
    const isTablet = this.role === 'tablet';
    switch (select) {
      case SELECT.idName:
        return new TextEncoder().encode(isTablet ? 'Tomei virtio tablet' : 'Tomei virtio keyboard');
      case SELECT.idDevids:
        return words16(BUS_VIRTUAL, 0x1af4, isTablet ? 2 : 1, 1);
      case SELECT.evBits:
        return isTablet ? tabletBits(subsel) : keyboardBits(subsel);
      case SELECT.absInfo:
        return isTablet && subsel <= ABS_Y ? absInfo() : new Uint8Array(0);
      default:
        return new Uint8Array(0);
    }
  }
}

const words16 = (...words: readonly number[]): Uint8Array => new Uint8Array(Uint16Array.from(words).buffer);
/** Minimum, maximum, fuzz, flat, resolution. */
const absInfo = (): Uint8Array => new Uint8Array(Uint32Array.of(0, POINTER_MAX, 0, 0, 0).buffer);

/** A bitmap of codes. */
function bitmap(codes: Iterable<number>): Uint8Array {
  const bytes = new Uint8Array(UNION_BYTES);
  let length = 0;
  for (const code of codes) {
    bytes[code >> 3]! |= 1 << (code & 7);
    length = Math.max(length, (code >> 3) + 1);
  }
  return bytes.slice(0, length);
}
function tabletBits(type: number): Uint8Array {
  if (type === EV.key) return bitmap(BUTTONS);
  if (type === EV.rel) return bitmap([REL_WHEEL]);
  return bitmap(type === EV.abs ? [ABS_X, ABS_Y] : []);
}
function keyboardBits(type: number): Uint8Array {
  if (type === EV.key) return bitmap(Array.from({ length: LAST_KEY }, (_, i) => i + 1));
  if (type === EV.rep) return bitmap([0, 1]);
  return bitmap(type === EV.led ? [0, 1, 2] : []);
}
