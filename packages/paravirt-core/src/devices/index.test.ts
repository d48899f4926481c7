import { ManualClock, type Fields } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { Board } from '../machine/board.ts';
import type { DeviceDef } from '../machine/device.ts';
import { seededRandom } from '../machine/battery.ts';
import { devices } from './index.ts';

/** A board with every device at its usual place. */
function everything() {
  const clock = new ManualClock();
  const board = new Board({ ram: new Uint8Array(1 << 20), clock, alarms: clock.alarms });
  for (const [name, def] of devices) {
    const any = def as unknown as DeviceDef<unknown, Fields>;
    board.add(any, any.config.example ?? {}, {
      slot: name === 'i440fx-host' ? 0 : name === 'piix3' ? 1 : undefined,
    } as object);
  }
  board.reset();
  return { board, clock };
}

describe('the registry', () => {
  it('names each device by its kind, in order', () => {
    const names = devices.map(([name]) => name);

    expect(devices.map(([, def]) => def.kind)).toEqual(names);
    expect([...names].sort()).toEqual(names);
  });

  it('holds devices that live on one board and survive being saved in the middle of anything', () => {
    const original = everything();
    const random = seededRandom(11);
    const widths = [1, 2, 4] as const;
    const ports = [0x20, 0x40, 0x60, 0x70, 0x92, 0xa0, 0x3b0, 0x3f8, 0x4d0, 0xc000, 0xcf8];
    const memory = [0xa_0000, 0xfee0_0000, 0xfec0_0000, 0xe000_0000];
    const disturb = ({ board, clock }: ReturnType<typeof everything>, next: (n: number) => number): unknown[] =>
      Array.from({ length: 3_000 }, () => {
        const width = widths[next(3)]!;
        const value = next(2 ** 32) % 2 ** (8 * width);
        const port = ports[next(ports.length)]! + next(16);
        const address = memory[next(memory.length)]! + next(0x400);
        switch (next(6)) {
          case 0:
            return board.portRead(port, width);
          case 1:
            return board.portWrite(port, width, value);
          case 2:
            return board.memoryRead(address, width);
          case 3:
            return board.memoryWrite(address, width, value);
          case 4:
            return clock.advance(next(100_000));
          default:
            return board.interruptRequested ? board.acknowledge() : -1;
        }
      });
    disturb(original, random.next);

    const copy = everything();
    copy.clock.advance(original.clock.now() - copy.clock.now());
    copy.board.restore(structuredClone(original.board.save()));
    expect(copy.board.save()).toEqual(original.board.save());
    expect(copy.board.memory.ranges()).toEqual(original.board.memory.ranges());
    expect(disturb(copy, seededRandom(12).next)).toEqual(disturb(original, seededRandom(12).next));
    expect(copy.board.save()).toEqual(original.board.save());
  });
});
