/** Messages in a ring with a number in front, by which an answer finds back: a u32, little-endian. */
export interface NumberedMessage {
  readonly id: number;
  readonly bytes: Uint8Array;
}
const NUMBER_BYTES = 4;

export function encodeNumbered({ id, bytes }: NumberedMessage): Uint8Array {
  const message = new Uint8Array(NUMBER_BYTES + bytes.length);
  new DataView(message.buffer).setUint32(0, id, true);
  message.set(bytes, NUMBER_BYTES);
  return message;
}
export function decodeNumbered(message: Uint8Array): NumberedMessage {
  const id = new DataView(message.buffer, message.byteOffset, message.byteLength).getUint32(0, true);
  return { id, bytes: message.subarray(NUMBER_BYTES) };
}
