/** For tests: a guest of which only the console's side is there. Its screen is a linear mode of 32 bits. */
import { TomeiError } from '@tomei/kit';
import type { DisplayView } from '@tomei/paravirt-core';
import type { InputEvent } from '../protocol.ts';
import type { ConsoleGuest, ScreenView } from './console-guest.ts';

export class FakeGuest implements ConsoleGuest {
  readonly serialPorts: readonly number[];
  resizable = true;
  readonly inputs: InputEvent[] = [];
  readonly typed: string[] = ['', '', '', ''];
  looks = 0;
  screenshots = 0;
  isGone = false;
  private size = { width: 64, height: 48 };
  private memory: Uint8Array = new Uint8Array(64 * 48 * 4);

  constructor(serialPorts: readonly number[] = [0, 2]) {
    this.serialPorts = serialPorts;
  }
  resize(width: number, height: number): void {
    this.size = { width, height };
    this.memory = new Uint8Array(width * height * 4);
  }
  /** Blue, green, red and nothing, as the adapter has them. */
  draw(dot: (x: number, y: number) => number): void {
    const { width, height } = this.size;
    const view = new DataView(this.memory.buffer);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) view.setUint32((y * width + x) * 4, dot(x, y), true);
  }
  get view(): ScreenView {
    const linear = { ...this.size, bitsPerPixel: 32, virtualWidth: this.size.width, xOffset: 0, yOffset: 0 } as const;
    const none = new Uint8Array(32);
    const display: DisplayView['display'] = {
      ...{ miscOutput: 0, sequencer: none, crtc: none, graphics: none, attribute: none, linear },
      ...{ paletteEnabled: true, pelMask: 255, palette: new Uint8Array(768) },
    };
    return { view: { display, memory: this.memory.slice() }, time: 0 };
  }
  look(): Promise<ScreenView> {
    this.looks++;
    if (this.isGone) return Promise.reject(new TomeiError('guest.ended', 'the guest has ended'));
    return Promise.resolve(this.view);
  }
  screenshot(): Promise<{ png: Uint8Array; text: readonly string[] }> {
    this.screenshots++;
    return Promise.resolve({ png: Uint8Array.of(1, 2, 3), text: ['login:'] });
  }
  input(event: InputEvent): void {
    this.inputs.push(event);
  }
  type(port: number, bytes: Uint8Array): void {
    this.typed[port] += Buffer.from(bytes).toString('latin1');
  }
}
