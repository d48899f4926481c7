/** The thread in which pictures become PNG files; png-encoder.ts is its only caller. */
import { parentPort } from 'node:worker_threads';
import { assert } from '@tomei/kit';
import { encodePng } from '@tomei/paravirt-core';

export interface PngRequest {
  readonly id: number;
  readonly width: number;
  readonly height: number;
  /** Rows from the top, four bytes a dot. */
  readonly rgba: Uint8Array;
}
export interface PngAnswer {
  readonly id: number;
  readonly png: Uint8Array;
}

assert(parentPort !== null, 'a thread of its own');
const port = parentPort;
port.on('message', ({ id, ...picture }: PngRequest) => {
  const answer: PngAnswer = { id, png: encodePng(picture) };
  port.postMessage(answer);
});
