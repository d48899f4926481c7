import { ManualClock } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { deviceBattery } from '../machine/battery.ts';
import { Board } from '../machine/board.ts';
import { pic8259 } from './pic8259.ts';

const [MASTER, MASTER_DATA, SLAVE, SLAVE_DATA] = [0x20, 0x21, 0xa0, 0xa1];
const [EOI, ROTATE_EOI, SPECIFIC_EOI, READ_IRR, READ_ISR, POLL] = [0x20, 0xa0, 0x60, 0x0a, 0x0b, 0x0c];

function pair(icw4 = 1) {
  const board = new Board({ ram: new Uint8Array(16), clock: new ManualClock() });
  board.add(pic8259, {});
  board.reset();
  const wires = board.lines.source();
  const write = (port: number, ...values: number[]): void => values.forEach((v) => board.portWrite(port, 1, v));
  const read = (port: number, ocw3?: number): number => {
    if (ocw3 !== undefined) write(port, ocw3);
    return board.portRead(port, 1);
  };
  write(MASTER, 0x11);
  write(MASTER_DATA, 0x20, 0x04, icw4);
  write(SLAVE, 0x11);
  write(SLAVE_DATA, 0x28, 0x02, 0x01);
  return {
    board,
    write,
    read,
    up: (...lines: number[]) => lines.forEach((line) => wires.set(line, true)),
    down: (...lines: number[]) => lines.forEach((line) => wires.set(line, false)),
    /** Acknowledges everything that gets through, without ending any. */
    vectors(): number[] {
      const taken: number[] = [];
      while (board.interruptRequested && taken.length < 20) taken.push(board.acknowledge());
      return taken;
    },
  };
}

describe('pic8259', () => {
  it('serves by priority and nests higher lines over lower ones', () => {
    const { up, vectors, write, board, read } = pair();

    up(4, 6);
    expect(vectors()).toEqual([0x24]);
    up(1, 5);
    expect(vectors()).toEqual([0x21]);
    expect(read(MASTER, READ_ISR)).toBe(0x12);
    expect(read(MASTER, READ_IRR)).toBe(0x60);
    write(MASTER, EOI);
    expect(board.interruptRequested).toBe(false);
    write(MASTER, EOI);
    expect(vectors()).toEqual([0x25]);
  });

  it('cascades the slave over line 2', () => {
    const { up, vectors, write, read } = pair();

    up(14, 8, 3);
    expect(vectors()).toEqual([0x28]);
    expect([read(MASTER, READ_ISR), read(SLAVE, READ_ISR)]).toEqual([0x04, 0x01]);
    write(SLAVE, EOI);
    expect(vectors()).toEqual([]);
    write(MASTER, EOI);
    expect(vectors()).toEqual([0x2e]);
    write(SLAVE, EOI);
    write(MASTER, EOI);
    expect(vectors()).toEqual([0x23]);
  });

  it('lets higher slave lines through in special fully nested mode', () => {
    const { up, vectors } = pair(0x11);

    up(14);
    expect(vectors()).toEqual([0x2e]);
    up(8);
    expect(vectors()).toEqual([0x28]);
  });

  it('takes an edge once and a level as long as it lasts', () => {
    const { up, down, vectors, write } = pair();
    write(0x4d1, 0x0c);

    up(5, 10);
    expect(vectors()).toEqual([0x2a]);
    write(SLAVE, EOI);
    write(MASTER, EOI);
    expect(vectors()).toEqual([0x2a]);
    down(10);
    write(SLAVE, EOI);
    write(MASTER, EOI);
    expect(vectors()).toEqual([0x25]);
    write(MASTER, EOI);
    expect(vectors()).toEqual([]);
    down(5);
    up(5);
    expect(vectors()).toEqual([0x25]);
  });

  it('does not let the timer, keyboard, cascade, clock and coprocessor lines be level-triggered', () => {
    const { write, board } = pair();

    write(0x4d0, 0xff);
    write(0x4d1, 0xff);
    expect(board.portRead(0x4d0, 2)).toBe(0xdef8);
  });

  it('masks lines and remembers their edges', () => {
    const { up, vectors, write, read } = pair();
    write(MASTER_DATA, 0x10);

    up(4);
    expect(vectors()).toEqual([]);
    expect(read(MASTER_DATA)).toBe(0x10);
    write(MASTER_DATA, 0);
    expect(vectors()).toEqual([0x24]);
  });

  it('answers line 7 or 15 when the request is gone before the acknowledge', () => {
    const { up, down, write, board, read } = pair();
    write(0x4d1, 0x0c);

    expect(board.acknowledge()).toBe(0x27);
    up(10);
    down(10);
    expect(board.acknowledge()).toBe(0x27);
    expect([read(MASTER, READ_ISR), read(SLAVE, READ_ISR)]).toEqual([0, 0]);
  });

  it('ends a named line, and rotates priorities', () => {
    const { up, vectors, write, read } = pair();

    up(0, 3);
    vectors();
    write(MASTER, ROTATE_EOI);
    expect(vectors()).toEqual([0x23]);
    write(MASTER, SPECIFIC_EOI | 3);
    expect(read(MASTER, READ_ISR)).toBe(0);
    up(1, 4);
    write(MASTER, 0xc0 | 3);
    expect(vectors()).toEqual([0x24]);
    write(MASTER, EOI);
    expect(vectors()).toEqual([0x21]);
  });

  it('lets lower lines through a masked one in special mask mode', () => {
    const { up, vectors, write } = pair();

    up(1);
    expect(vectors()).toEqual([0x21]);
    write(MASTER_DATA, 0x02);
    write(MASTER, 0x68);
    up(6);
    expect(vectors()).toEqual([0x26]);
    write(MASTER, EOI);
    write(MASTER, 0x48);
    up(7);
    expect(vectors()).toEqual([]);
  });

  it('ends by itself in automatic mode', () => {
    const { up, vectors, read } = pair(0x03);

    up(6, 1);
    expect(vectors()).toEqual([0x21, 0x26]);
    expect(read(MASTER, READ_ISR)).toBe(0);
  });

  it('can be polled', () => {
    const { up, read, write, board } = pair();
    write(MASTER_DATA, 0xfb);

    up(12);
    expect(read(SLAVE, POLL)).toBe(0x84);
    expect(read(SLAVE, READ_ISR)).toBe(0x10);
    expect(read(SLAVE, POLL)).toBe(0);
    expect(board.interruptRequested).toBe(false);
  });

  it('forgets edges and masks at initialisation but keeps ELCR', () => {
    const { up, write, read, board } = pair();
    write(0x4d1, 0x0c);
    up(4, 10);

    write(MASTER, 0x11);
    write(MASTER_DATA, 0x20, 4, 1);
    write(SLAVE, 0x11);
    write(SLAVE_DATA, 0x28, 2, 1);
    expect([read(MASTER, READ_IRR), read(SLAVE, READ_IRR)]).toEqual([0x04, 0x04]);
    expect(board.portRead(0x4d1, 1)).toBe(0x0c);
  });
});

deviceBattery(pic8259, {
  config: {},
  disturb({ parts }, rig) {
    const [master, slave, elcr] = parts.ports;
    master!.write(0, 1, 0x11);
    for (const word of [0x20, 4, 0x11]) master!.write(1, 1, word);
    slave!.write(0, 1, 0x11);
    for (const word of [0x28, 2]) slave!.write(1, 1, word);
    elcr!.write(1, 1, 0x0c);
    rig.wire(10, true);
    rig.wire(3, true);
    parts.acknowledge();
    master!.write(0, 1, 0x6c);
  },
});
