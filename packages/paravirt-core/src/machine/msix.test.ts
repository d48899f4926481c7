/** A function with MSI-X on a real bus, with a local APIC that writes down what it hears. */
import { ManualClock, nested, pod } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { seededRandom } from './battery.ts';
import { Board } from './board.ts';
import { defineDevice, typed, type ApicMessage, type PciFunction, type PciSlot, type Width } from './device.ts';
import { Msix, msixState } from './msix.ts';

const VECTORS = 5;
const TABLE = 0x400;
const PENDING = 0x600;
const SLOT = 2;
const CAPABILITY = 0x40;
const CONTROL = CAPABILITY + 2;
const ENABLE = 0x8000;
const MASK_ALL = 0x4000;

const card = defineDevice({
  kind: 'card',
  version: 1,
  config: typed<{ withMsix: boolean }>(),
  state: pod({ msix: nested(msixState(VECTORS)) }),
  attach({ config, state, host }) {
    const switches: boolean[] = [];
    let restored: number | undefined;
    const msix: Msix = new Msix({
      state: () => state.msix,
      vectors: VECTORS,
      bar: 0,
      table: TABLE,
      pending: PENDING,
      switched: () => switches.push(msix.enabled),
      trouble: (what) => host.trouble(what),
    });
    return {
      msix,
      switches,
      /** Has it notify of a vector in the middle of each restore. */
      notifyWhenRestored: (vector: number) => (restored = vector),
      plugged: (slot: PciSlot) => msix.plugged(slot),
      settle() {
        msix.settle();
        if (restored !== undefined) msix.notify(restored);
      },
      pci: {
        vendorId: 0x1af4,
        deviceId: 1,
        classCode: 0,
        revision: 0,
        bars: [
          {
            space: 'memory',
            size: 0x1000,
            read: (offset, width) => (msix.covers(offset) ? msix.registers.read(offset, width) : 0),
            write: (offset, width, value) => {
              if (msix.covers(offset)) msix.registers.write(offset, width, value);
            },
          },
        ],
        capabilities: config.withMsix ? [msix.capability] : [],
        laterCapabilities: config.withMsix ? 1 : 0,
      } satisfies PciFunction as PciFunction,
    };
  },
});

/** A local APIC that takes everything, once it has been restored or reset. */
const listener = defineDevice({
  kind: 'listener',
  version: 1,
  config: typed<ApicMessage[]>(),
  state: pod({}),
  attach: ({ config: heard }) => ({
    apicMessage: (message: ApicMessage) => heard.push(message) > 0,
    settle: () => void (heard.length = 0),
  }),
});

function build(withMsix = true) {
  const heard: ApicMessage[] = [];
  const troubles: string[] = [];
  const board = new Board({
    ram: new Uint8Array(4096),
    clock: new ManualClock(),
    trouble: (_device, what) => troubles.push(what),
  });
  const { parts } = board.add(card, { withMsix }, { slot: SLOT });
  board.add(listener, heard);
  board.reset();
  const select = (register: number): void => board.portWrite(0xcf8, 4, 0x8000_0000 + SLOT * 2048 + (register & 0xfc));
  const config = (register: number, width: Width): number => {
    select(register);
    return board.portRead(0xcfc + (register & 3), width);
  };
  const configure = (register: number, width: Width, value: number): void => {
    select(register);
    board.portWrite(0xcfc + (register & 3), width, value);
  };
  const bar = (config(0x10, 4) & ~0xf) >>> 0;
  const write = (offset: number, value: number, width: Width = 4): void =>
    board.memoryWrite(bar + offset, width, value);
  configure(4, 2, 6);
  return {
    ...{ board, heard, troubles, parts, config, configure, write },
    read: (offset: number, width: Width = 4): number => board.memoryRead(bar + offset, width),
    /** Vector `n` interrupts by vector 0x40 + n of the processor with APIC ID n. */
    setUp(vector: number, control = 0): void {
      const at = TABLE + 16 * vector;
      write(at, 0xfee0_0000 + vector * 0x1000);
      write(at + 4, 0);
      write(at + 8, 0x40 + vector);
      write(at + 12, control);
    },
    vectors: () => heard.map(({ vector }) => vector),
  };
}

describe('MSI-X', () => {
  it('describes itself in configuration space, by accesses of every width', () => {
    const { config } = build();

    expect(config(0x34, 1)).toBe(CAPABILITY);
    expect(config(CAPABILITY, 4)).toBe(0x0004_0011);
    expect([config(CONTROL, 2), config(CONTROL, 1), config(CONTROL + 1, 1)]).toEqual([4, 4, 0]);
    expect([config(CAPABILITY + 4, 4), config(CAPABILITY + 8, 4)]).toEqual([TABLE, PENDING]);
  });

  it.each([
    ['a word', CONTROL, 2, ENABLE | MASK_ALL | 0x7ff],
    ['a byte', CONTROL + 1, 1, 0xff],
    ['a double word', CAPABILITY, 4, 0xffff_ffff],
  ] as const)('has its two bits of control written by %s, and nothing else', (_what, register, width, value) => {
    const { config, configure, parts } = build();

    configure(register, width, value);
    configure(CAPABILITY + 4, 4, 0xffff_ffff);

    expect(config(CAPABILITY, 4)).toBe(0xc004_0011);
    expect(config(CAPABILITY + 4, 4)).toBe(TABLE);
    expect(parts.switches).toEqual([true]);
  });

  it('starts with every vector masked and MSI-X off', () => {
    const { read, config, parts, heard } = build();

    parts.msix.notify(0);

    expect(Array.from({ length: VECTORS }, (_, i) => read(TABLE + 16 * i + 12))).toEqual([1, 1, 1, 1, 1]);
    expect([config(CONTROL, 2) & 0xc000, read(PENDING)]).toEqual([0, 0]);
    expect(heard).toEqual([]);
  });

  it('keeps what the driver writes into the table, word by word', () => {
    const { read, write } = build();
    const at = TABLE + 16 * 3;

    for (const [i, value] of [0xfee0_1237, 0x1234_5678, 0x9abc_def0, 0xffff_fffe].entries()) write(at + 4 * i, value);
    write(at, 0, 2);
    write(at + 8, 0, 1);
    write(PENDING, 0xff);

    expect([0, 4, 8, 12].map((i) => read(at + i))).toEqual([0xfee0_1234, 0x1234_5678, 0x9abc_def0, 0]);
    expect([read(at + 2, 2), read(at + 9, 1), read(PENDING)]).toEqual([0xfee0, 0xde, 0]);
  });

  it('sends the message of the vector, each time', () => {
    const { setUp, configure, parts, heard } = build();
    configure(CONTROL, 2, ENABLE);
    setUp(2);

    parts.msix.notify(2);
    parts.msix.notify(2);
    setUp(2);
    parts.msix.notify(VECTORS);
    parts.msix.notify(0xffff);

    const message = { destination: 2, logical: false, mode: 'fixed', vector: 0x42, level: false };
    expect(heard).toEqual([message, message]);
  });

  it('goes by what the entry says now', () => {
    const { setUp, configure, write, parts, vectors } = build();
    configure(CONTROL, 2, ENABLE);
    setUp(1);

    parts.msix.notify(1);
    write(TABLE + 16 + 8, 0x51);
    parts.msix.notify(1);

    expect(vectors()).toEqual([0x41, 0x51]);
  });

  it('remembers what masked vectors have to tell, and sends it once when they are not masked any more', () => {
    const { setUp, configure, write, read, parts, vectors } = build();
    configure(CONTROL, 2, ENABLE);
    for (const vector of [0, 1, 4]) setUp(vector, 1);

    for (const vector of [4, 0, 4, 1]) parts.msix.notify(vector);
    const waiting = [read(PENDING), read(PENDING + 4), read(PENDING, 1)];
    write(TABLE + 16 + 12, 0);
    write(TABLE + 12, 0);
    write(TABLE + 12, 0);

    expect(waiting).toEqual([0b10011, 0, 0b10011]);
    expect(vectors()).toEqual([0x41, 0x40]);
    expect(read(PENDING)).toBe(0b10000);
  });

  it('masks all vectors by the function mask', () => {
    const { setUp, configure, read, parts, vectors } = build();
    configure(CONTROL, 2, ENABLE | MASK_ALL);
    setUp(0);
    setUp(1);
    setUp(2, 1);

    for (const vector of [1, 0, 2]) parts.msix.notify(vector);
    const [waiting, heard] = [read(PENDING), vectors()];
    configure(CONTROL, 2, ENABLE);

    expect([waiting, heard]).toEqual([0b111, []]);
    expect([read(PENDING), vectors()]).toEqual([0b100, [0x40, 0x41]]);
  });

  it('forgets what waits when its device is reset', () => {
    const { setUp, configure, write, read, parts, vectors } = build();
    configure(CONTROL, 2, ENABLE);
    setUp(0, 1);
    parts.msix.notify(0);

    parts.msix.forgetPending();
    write(TABLE + 12, 0);

    expect([read(PENDING), vectors()]).toEqual([0, []]);
  });

  it('sends nothing while the function is no bus master', () => {
    const { setUp, configure, parts, vectors } = build();
    configure(CONTROL, 2, ENABLE);
    setUp(0);

    configure(4, 2, 2);
    parts.msix.notify(0);
    configure(4, 2, 6);
    parts.msix.notify(0);

    expect(vectors()).toEqual([0x40]);
  });

  it('tells once of a message that no local APIC takes', () => {
    const { configure, write, parts, heard, troubles } = build();
    configure(CONTROL, 2, ENABLE);
    write(TABLE, 0x1000);
    write(TABLE + 4, 1);
    write(TABLE + 8, 0x41);
    write(TABLE + 12, 0);

    for (let i = 0; i < 3; i++) parts.msix.notify(0);

    expect(heard).toEqual([]);
    expect(troubles).toHaveLength(1);
    expect(troubles[0]).toContain('vector 0 (0x41 to address 0x100001000)');
  });

  it('goes on as saved, and does not send before everything is restored', () => {
    const original = build();
    original.configure(CONTROL, 2, ENABLE);
    original.setUp(0);
    original.setUp(1, 1);
    original.parts.msix.notify(1);
    const saved = structuredClone(original.board.save());
    const copy = build();
    copy.configure(CONTROL, 2, ENABLE);
    copy.setUp(0);
    copy.write(TABLE + 8, 0x99);
    copy.parts.msix.notify(0);
    copy.parts.notifyWhenRestored(0);

    copy.board.restore(saved);

    expect(copy.board.save()).toEqual(saved);
    expect(copy.vectors()).toEqual([0x40]);
    copy.write(TABLE + 16 + 12, 0);
    expect(copy.vectors()).toEqual([0x40, 0x41]);
  });

  it('is found switched off by a guest that was saved before the function had it', () => {
    const before = build(false);
    before.configure(4, 2, 0x406);
    const old = structuredClone(before.board.save());
    const bus = { ...old.devices['pci-bus']!, version: 1 };
    const now = build();

    now.board.restore({ ...old, devices: { ...old.devices, 'pci-bus': bus } });

    expect([now.config(0x34, 1), now.config(CAPABILITY, 4), now.config(4, 2)]).toEqual([
      CAPABILITY,
      0x0004_0011,
      0x406,
    ]);
    expect(() => build().board.restore(old)).toThrow(/read-only/);
  });

  it('does what a plain model of it does, whatever a driver writes (seeded)', () => {
    const random = seededRandom(20_061);
    const { configure, write, read, config, parts, vectors, heard } = build();
    const model = Array.from({ length: VECTORS }, () => ({ vector: 0, masked: true, pending: false }));
    let [enabled, masked] = [false, false];
    const expected: number[] = [];
    const settle = (): void => {
      for (const entry of model) {
        if (!enabled || masked || entry.masked || !entry.pending) continue;
        entry.pending = false;
        expected.push(entry.vector);
      }
    };
    for (let vector = 0; vector < VECTORS; vector++) write(TABLE + 16 * vector, 0xfee0_0000);
    for (let step = 0; step < 5_000; step++) {
      const at = random.next(VECTORS);
      const entry = model[at]!;
      switch (random.next(6)) {
        case 0:
          [enabled, masked] = [random.next(4) > 0, random.next(3) === 0];
          configure(CONTROL, 2, (enabled ? ENABLE : 0) | (masked ? MASK_ALL : 0));
          break;
        case 1:
        case 2:
          entry.masked = random.next(2) === 0;
          write(TABLE + 16 * at + 12, entry.masked ? 1 : 0);
          break;
        case 3:
          entry.vector = 0x20 + random.next(0xd0);
          write(TABLE + 16 * at + 8, entry.vector);
          break;
        default:
          parts.msix.notify(at);
          if (enabled) entry.pending = true;
      }
      settle();
      expect(vectors()).toEqual(expected);
      expect(read(PENDING)).toBe(model.reduce((bits, { pending }, i) => bits | (pending ? 1 << i : 0), 0));
      expect(config(CONTROL, 2) >> 14).toBe((enabled ? 2 : 0) | (masked ? 1 : 0));
      expected.length = heard.length = 0;
    }
  });
});
