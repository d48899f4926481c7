/** A PS/2 mouse with wheel (IBM PS/2 Hardware Interface Technical Reference, "Mouse"; the wheel as Microsoft's IntelliMouse). */
import { bool, fifo, i32, pod, u8, type StateOf } from '@tomei/kit';

const ACK = 0xfa;
const RESEND = 0xfe;
const TEST_PASSED = 0xaa;
/** Commands. */
const SCALING_1 = 0xe6;
const SCALING_2 = 0xe7;
const RESOLUTION = 0xe8;
const STATUS = 0xe9;
const STREAM = 0xea;
const READ = 0xeb;
const WRAP_OFF = 0xec;
const WRAP = 0xee;
const REMOTE = 0xf0;
const IDENTIFY = 0xf2;
const RATE = 0xf3;
const ENABLE = 0xf4;
const DISABLE = 0xf5;
const DEFAULTS = 0xf6;
const RESET = 0xff;

/** Identities, and the sample rates by which a driver asks for them. */
const ID_PLAIN = 0;
const ID_WHEEL = 3;
const ID_FIVE_BUTTONS = 4;
const KNOCK_WHEEL = '200,100,80';
const KNOCK_FIVE_BUTTONS = '200,200,80';

const PACKET_ALWAYS = 1 << 3;
const PACKET_X_NEGATIVE = 1 << 4;
const PACKET_Y_NEGATIVE = 1 << 5;
/** The most one packet moves, and the wheel of a five-button mouse turns. */
const MOVE_LIMIT = 127;
const WHEEL_LIMIT = 7;
/** Nine bits hold a movement. */
const PACKET_LIMIT = 255;
/** How far movement adds up while the guest does not read; further is lost. */
const SUM_LIMIT = 4096;

const PACKET_BYTES = 64;
const REPLY_BYTES = 16;

/** Button bits of the API. */
export const BUTTON_LEFT = 1;
export const BUTTON_RIGHT = 2;
export const BUTTON_MIDDLE = 4;
export const BUTTON_SIDE = 8;
export const BUTTON_EXTRA = 16;
const BUTTONS = 0x1f;

export const mouseState = pod({
  packets: fifo(PACKET_BYTES),
  replies: fifo(REPLY_BYTES),
  enabled: bool(),
  remote: bool(),
  wrap: bool(),
  scaling2: bool(),
  resolution: u8(2),
  rate: u8(100),
  id: u8(),
  /** The last three sample rates. */
  rates: fifo(3),
  expecting: u8(),
  lastSent: u8(),
  /** Movement not reported yet: right, up and towards the user are positive. */
  dx: i32(),
  dy: i32(),
  dz: i32(),
  buttons: u8(),
  reportedButtons: u8(),
}).check((s) => [s.dx, s.dy, s.dz].every((d) => Math.abs(d) <= SUM_LIMIT) || "field 'dx', 'dy' or 'dz' is over 4096");
export type Mouse = StateOf<typeof mouseState>;

const clamp = (n: number, limit: number): number => Math.max(-limit, Math.min(limit, n));
const whole = (n: number): number => (Number.isFinite(n) ? Math.trunc(n) : 0);

function reply(m: Mouse, ...bytes: readonly number[]): void {
  if (m.replies.length + bytes.length <= REPLY_BYTES) m.replies.push(...bytes);
}

/** Movement at 2:1 scaling: slow stays slow, fast doubles ("Mouse", "Set Scaling 2:1"). */
const SCALED = [0, 1, 1, 3, 6, 9] as const;
const scale = (n: number): number => Math.sign(n) * (SCALED[Math.abs(n)] ?? 2 * Math.abs(n));

/** Takes up to one packet's worth of what has added up. */
function packet(m: Mouse): number[] {
  const dx = clamp(m.dx, MOVE_LIMIT);
  const dy = clamp(m.dy, MOVE_LIMIT);
  const dz = clamp(m.dz, m.id === ID_FIVE_BUTTONS ? WHEEL_LIMIT : MOVE_LIMIT);
  m.dx -= dx;
  m.dy -= dy;
  m.dz -= dz;
  m.reportedButtons = m.buttons;
  // Only what is sent by itself is scaled.
  const shown = m.scaling2 && !m.remote ? [scale(dx), scale(dy)] : [dx, dy];
  const [x, y] = [clamp(shown[0]!, PACKET_LIMIT), clamp(shown[1]!, PACKET_LIMIT)];
  const bytes = [
    PACKET_ALWAYS | (m.buttons & 7) | (x < 0 ? PACKET_X_NEGATIVE : 0) | (y < 0 ? PACKET_Y_NEGATIVE : 0),
    x & 0xff,
    y & 0xff,
  ];
  if (m.id === ID_WHEEL) bytes.push(dz & 0xff);
  else if (m.id === ID_FIVE_BUTTONS) bytes.push((dz & 0x0f) | ((m.buttons & (BUTTON_SIDE | BUTTON_EXTRA)) << 1));
  else m.dz = 0;
  return bytes;
}

/** Queues packets for what has added up, as far as there is room. */
function report(m: Mouse): void {
  if (!m.enabled || m.remote || m.wrap) return;
  if (m.id === ID_PLAIN) m.dz = 0;
  while (m.packets.length + 4 <= PACKET_BYTES) {
    if (m.dx === 0 && m.dy === 0 && m.dz === 0 && m.buttons === m.reportedButtons) return;
    m.packets.push(...packet(m));
  }
}

/**
 * The mouse moved by `dx` to the right and `dy` down, the wheel turned by `dz` towards the user, and `buttons` are down now.
 * What the guest does not read in time adds up.
 */
export function moveMouse(m: Mouse, dx: number, dy: number, dz: number, buttons: number): void {
  m.dx = clamp(m.dx + whole(dx), SUM_LIMIT);
  m.dy = clamp(m.dy - whole(dy), SUM_LIMIT);
  m.dz = clamp(m.dz + whole(dz), SUM_LIMIT);
  m.buttons = buttons & BUTTONS;
  if (!m.enabled && !m.remote) m.dx = m.dy = m.dz = 0;
  report(m);
}

/**
 * Sends a packet that says nothing new, so that a driver is woken which hears of movement elsewhere. None when the mouse sends none by
 * itself, or one is under way already.
 */
export function wakeDriver(m: Mouse): void {
  if (m.enabled && !m.remote && !m.wrap && m.packets.length === 0) m.packets.push(...packet(m));
}

function setDefaults(m: Mouse): void {
  Object.assign(m, { ...mouseState.initial(), replies: m.replies, id: m.id, buttons: m.buttons, lastSent: m.lastSent });
}

/** A byte from the controller to the mouse. */
export function commandMouse(m: Mouse, byte: number): void {
  const expected = m.expecting;
  m.expecting = 0;
  if (m.wrap && byte !== RESET && byte !== WRAP_OFF) return reply(m, byte);
  if (expected !== 0) return parameter(m, expected, byte);
  switch (byte) {
    case SCALING_1:
    case SCALING_2:
      m.scaling2 = byte === SCALING_2;
      return reply(m, ACK);
    case RESOLUTION:
    case RATE:
      m.expecting = byte;
      return reply(m, ACK);
    case STATUS:
      return reply(m, ACK, statusByte(m), m.resolution, m.rate);
    case STREAM:
    case REMOTE:
      m.remote = byte === REMOTE;
      m.packets = [];
      return reply(m, ACK);
    case WRAP:
    case WRAP_OFF:
      m.wrap = byte === WRAP;
      m.packets = [];
      return reply(m, ACK);
    case READ:
      return reply(m, ACK, ...packet(m));
    case IDENTIFY:
      return reply(m, ACK, m.id);
    case ENABLE:
    case DISABLE:
      m.enabled = byte === ENABLE;
      m.packets = [];
      return reply(m, ACK);
    case DEFAULTS:
      setDefaults(m);
      return reply(m, ACK);
    case RESEND:
      return reply(m, m.lastSent);
    case RESET:
      m.replies = [];
      m.id = ID_PLAIN;
      setDefaults(m);
      return reply(m, ACK, TEST_PASSED, ID_PLAIN);
    default:
      return reply(m, RESEND);
  }
}

function parameter(m: Mouse, command: number, byte: number): void {
  if (command === RESOLUTION) m.resolution = byte & 3;
  else {
    m.rate = byte;
    m.rates = [...m.rates, byte].slice(-3);
    const knock = m.rates.join();
    if (knock === KNOCK_WHEEL) m.id = ID_WHEEL;
    if (knock === KNOCK_FIVE_BUTTONS) m.id = ID_FIVE_BUTTONS;
  }
  reply(m, ACK);
}

function statusByte(m: Mouse): number {
  const buttons =
    ((m.buttons & BUTTON_LEFT) !== 0 ? 4 : 0) |
    ((m.buttons & BUTTON_MIDDLE) !== 0 ? 2 : 0) |
    ((m.buttons & BUTTON_RIGHT) !== 0 ? 1 : 0);
  return (m.remote ? 0x40 : 0) | (m.enabled ? 0x20 : 0) | (m.scaling2 ? 0x10 : 0) | buttons;
}

/** The next byte for the controller, or undefined. */
export function takeFromMouse(m: Mouse): number | undefined {
  const byte = m.replies.shift() ?? m.packets.shift();
  if (byte === undefined) return undefined;
  m.lastSent = byte;
  report(m);
  return byte;
}
