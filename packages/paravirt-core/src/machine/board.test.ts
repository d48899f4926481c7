import { bool, ManualClock, pod, u8 } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { backend, Board, type BoardOptions } from './board.ts';
import { backendKind, defineDevice, typed, type Parts } from './device.ts';

const sink = backendKind<(value: number) => void>('sink');

/** Raises `line` while its port holds something, and hands writes to its backend. */
const latch = defineDevice({
  kind: 'latch',
  version: 1,
  config: typed<{ base: number; line: number }>(),
  state: pod({ value: u8() }),
  attach: ({ config, state, host }) => ({
    ports: [
      {
        base: config.base,
        count: 1,
        read: () => state.value,
        write: (_offset: number, _width: number, value: number) => {
          state.value = value;
          host.irq(config.line, value !== 0);
          host.backend(sink)?.(value);
        },
      },
    ],
    settle: () => host.irq(config.line, state.value !== 0),
  }),
});

/** A controller that counts rising edges of all lines. */
const edges = defineDevice({
  kind: 'edges',
  version: 1,
  config: typed<Record<string, never>>(),
  state: pod({ high: u8(), edges: u8() }),
  attach: ({ state }) => ({
    interruptLine(line: number, level: boolean) {
      const bit = 1 << line;
      if (line > 7) return;
      if (level && (state.high & bit) === 0) state.edges++;
      state.high = level ? state.high | bit : state.high & ~bit;
    },
    edges: () => state.edges,
  }),
});

/** Stands in for an interrupt controller on the way to the processor. */
const controller = (kind: string, local: boolean) =>
  defineDevice({
    kind,
    version: 1,
    config: typed<number>(),
    state: pod({ requests: bool(), passes: bool(true) }),
    attach({ config, state, host }) {
      const parts: Parts & { request(level: boolean): void; pass(passes: boolean): void; pins: string[] } = {
        pins: [],
        acknowledge: () => config,
        request: (level) => host.interruptRequest((state.requests = level)),
        pass(passes) {
          state.passes = passes;
          host.interruptRequest(state.requests);
        },
        ...(local
          ? {
              passesExternal: () => state.passes,
              localPin: (pin: 0 | 1, level: boolean) => void parts.pins.push(`${pin} ${level}`),
            }
          : {}),
      };
      return parts;
    },
  });

const board = (options: Partial<BoardOptions> = {}): Board =>
  new Board({ ram: new Uint8Array(4096), clock: new ManualClock(), ...options });

describe('Board', () => {
  it('names devices by kind and number, and refuses a name twice', () => {
    const b = board();
    b.add(latch, { base: 0x10, line: 1 });
    b.add(latch, { base: 0x11, line: 2 });
    b.add(latch, { base: 0x12, line: 3 }, { name: 'third' });

    expect(b.names).toEqual(['latch', 'latch#1', 'third']);
    expect(() => b.add(latch, { base: 0x13, line: 3 }, { name: 'third' })).toThrow(
      expect.objectContaining({ code: 'device.name-taken' }),
    );
  });

  it('hands each device its own backend', () => {
    const b = board();
    const got: number[] = [];
    b.add(latch, { base: 0x10, line: 1 }, { backends: [backend(sink, (v) => got.push(v))] });
    b.add(latch, { base: 0x11, line: 1 });
    b.reset();

    b.portWrite(0x10, 2, 0x0201);
    expect(got).toEqual([1]);
    expect(b.portRead(0x11, 1)).toBe(2);
  });

  it('restores lines without inventing edges', () => {
    const make = () => {
      const b = board();
      b.add(latch, { base: 0x10, line: 5 });
      const counter = b.add(edges, {});
      b.add(latch, { base: 0x11, line: 5 });
      b.reset();
      return { b, counter };
    };
    const original = make();
    original.b.portWrite(0x11, 1, 1);
    const copy = make();
    copy.b.portWrite(0x10, 1, 1);
    copy.b.portWrite(0x10, 1, 0);
    copy.b.portWrite(0x10, 1, 1);

    copy.b.restore(structuredClone(original.b.save()));
    expect(copy.counter.parts.edges()).toBe(1);
    expect(copy.b.lines.level(5)).toBe(true);
    expect(copy.b.save()).toEqual(original.b.save());
  });

  it('refuses a snapshot of another machine and stays as it was', () => {
    const b = board();
    b.add(latch, { base: 0x10, line: 5 }, { name: 'a' });
    b.add(latch, { base: 0x11, line: 5 }, { name: 'b' });
    b.reset();
    b.portWrite(0x10, 1, 7);
    const saved = b.save();
    const { a, b: second, ...rest } = saved.devices;
    const refused = (hostile: unknown, code: string) => {
      expect(() => b.restore(hostile as never)).toThrow(expect.objectContaining({ code }));
      expect(b.save()).toEqual(saved);
    };

    refused(null, 'snapshot.board');
    refused({ ...saved, version: 2 }, 'snapshot.board');
    refused({ version: 1, devices: { ...rest, a } }, 'snapshot.board');
    refused({ version: 1, devices: { ...saved.devices, c: a } }, 'snapshot.board');
    refused({ version: 1, devices: { ...saved.devices, b: { ...second, version: 9 } } }, 'snapshot.device');
    refused(
      {
        version: 1,
        devices: { ...saved.devices, a: { ...a, state: { value: 1 } }, b: { ...second, state: { value: 256 } } },
      },
      'state.invalid',
    );
  });

  it('brings the request of the 8259 pair to the processor through the local APIC', () => {
    const levels: boolean[] = [];
    const b = board({ interruptRequest: (level) => levels.push(level) });
    const pic = b.add(controller('pic', false), 0x20);
    const apic = b.add(controller('apic', true), 0x40);
    b.reset();

    pic.parts.request(true);
    expect([b.interruptRequested, b.acknowledge()]).toEqual([true, 0x20]);
    apic.parts.request(true);
    expect(b.acknowledge()).toBe(0x40);
    apic.parts.request(false);
    apic.parts.pass(false);
    expect(b.interruptRequested).toBe(false);
    apic.parts.pass(true);
    pic.parts.request(false);
    expect(levels).toEqual([true, false, true, false]);
    expect(apic.parts.pins).toEqual(['0 true', '0 false']);
  });
});
