/** What a caller sends, checked: nothing of it reaches the guest unless it is something that a keyboard, a mouse or a line can say. */
import type { ClipboardText, ConsoleInput, KeyInput, PointerInput, ScreenSize, SerialBytes } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { LONGEST_SELECTION } from '@tomei/paravirt-core';
import type { InputEvent } from '../protocol.ts';

/** A set 1 make code, behind 0xE0 for extended keys. */
const EXTENDED = 0xe000;
const LAST_CODE = 0x7f;
/** More than any screen: a mouse sends nine bits at a time. */
const FARTHEST = 32_767;
const BUTTONS = 0b111;
/** The right and the lower end of a picture. */
const FAR_END = 65_535;
/** Of RFB, whose sizes have 16 bits. The device keeps them within what it can show. */
const LONGEST_SIDE = 65_535;
export const MOST_SERIAL_BYTES = 1 << 20;

const refuse = (field: string, what: string): never => {
  throw new TomeiError('console.bad-input', `console input: ${field} ${what}`, { data: { field } });
};

export function keyEvent({ code, down }: KeyInput): InputEvent {
  const make = code >= EXTENDED ? code - EXTENDED : code;
  if (make < 1 || make > LAST_CODE) refuse('key.code', `is ${code}: use 1 to 127, plus 57344 for extended keys`);
  return { kind: 'key', code, down };
}
export function pointerEvent({ dx, dy, dz, buttons, at }: PointerInput): InputEvent {
  for (const [axis, distance] of Object.entries({ dx, dy, dz }))
    if (Math.abs(distance) > FARTHEST) refuse(`pointer.${axis}`, `is ${distance}: use at most ${FARTHEST} either way`);
  if (buttons > BUTTONS) refuse('pointer.buttons', `is ${buttons}: there are three, bits 0 to 2`);
  if (at === undefined) return { kind: 'mouse', dx, dy, dz, buttons };
  const { x, y } = at;
  for (const [axis, place] of Object.entries({ x, y }))
    if (place > FAR_END) refuse(`pointer.at.${axis}`, `is ${place}: use 0 to ${FAR_END}`);
  return { kind: 'mouse', dx, dy, dz, buttons, at: { x, y } };
}
export function clipboardEvent({ text }: ClipboardText): InputEvent {
  const bytes = Buffer.byteLength(text);
  if (bytes > LONGEST_SELECTION) refuse('clipboard.text', `has ${bytes} bytes: send at most ${LONGEST_SELECTION}`);
  return { kind: 'clipboard', text };
}
export function screenSizeEvent(size: ScreenSize, resizable: boolean): InputEvent {
  if (!resizable) refuse('screenSize', 'asks a guest that has no virtio GPU (tomei.gpu.present)');
  for (const side of ['width', 'height'] as const)
    if (size[side] < 1 || size[side] > LONGEST_SIDE)
      refuse(`screenSize.${side}`, `is ${size[side]}: use 1 to ${LONGEST_SIDE}`);
  return { kind: 'screen-size', width: size.width, height: size.height };
}
export function serialBytes({ port, data }: SerialBytes, ports: readonly number[]): SerialBytes {
  if (!ports.includes(port)) refuse('serial.port', `is ${port}: the guest has ${ports.join(', ') || 'none'}`);
  if (data.length > MOST_SERIAL_BYTES)
    refuse('serial.data', `has ${data.length} bytes: send at most ${MOST_SERIAL_BYTES} at a time`);
  return { port, data };
}
/** `sent` is the number of the last picture. */
export function ackedFrame(frame: number, sent: number): number {
  if (frame > sent) refuse('ack.frame', `is ${frame}: the last picture was ${sent}`);
  return frame;
}
export const refuseHello = (): never => refuse('hello', 'comes once, as the first message');
/** The token of the first message. */
export function helloOf(first: ConsoleInput | undefined): string {
  return first?.hello?.token ?? refuse('hello', 'has to be the first message');
}
