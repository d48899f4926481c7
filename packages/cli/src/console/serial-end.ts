/** The far end of a guest's serial line: what a terminal, a script or a log holds. */

export interface SerialEnd {
  /** Sets who gets the bytes that the guest writes. */
  onData(handler: (bytes: Uint8Array) => void): void;
  /** Types bytes into the guest. */
  write(bytes: Uint8Array): void;
}

/** One serial line for several listeners: each `onData` adds one, all get every byte, in the order in which they came. */
export function shareSerial(serial: SerialEnd): SerialEnd {
  const handlers: ((bytes: Uint8Array) => void)[] = [];
  serial.onData((bytes) => {
    for (const handler of handlers) handler(bytes);
  });
  return { onData: (handler) => void handlers.push(handler), write: (bytes) => serial.write(bytes) };
}
