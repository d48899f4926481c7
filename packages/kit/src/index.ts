/** What every package may use: no I/O, no dependencies. */
export { EXIT, TomeiError, assert, messageOf } from './errors.ts';
export {
  array,
  bool,
  bytes,
  deadline,
  fifo,
  i32,
  list,
  nested,
  oneOf,
  pod,
  text,
  u16,
  u32,
  u8,
  whole,
  type Field,
  type Fields,
  type Infer,
  type Pod,
  type StateOf,
} from './pod.ts';
export { MessageRing } from './message-ring.ts';
export { ALL_REASONS, ByteRing, Doorbell } from './ring.ts';
export { Alarms, ManualClock, ms, seconds, us, type Alarm, type Clock, type Nanoseconds } from './clock.ts';
export { COMPILING_V8_FLAGS, GUEST_V8_FLAGS, startedWith } from './v8-flags.ts';
