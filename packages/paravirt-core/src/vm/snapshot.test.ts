import { promisify } from 'node:util';
import { crc32, deflateRaw, inflateRaw } from 'node:zlib';
import { TomeiError } from '@tomei/kit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { processorState } from './processor-state.ts';
import { SAVED_MACHINE_VERSION } from './saved-machine.ts';
import type { MemoryArea } from './snapshot-pages.ts';
import {
  formatState,
  parseState,
  refuseOtherMachine,
  refuseOtherShares,
  type SnapshotConfig,
  type SnapshotState,
} from './snapshot-state.ts';
import {
  readSnapshotMemory,
  readSnapshotState,
  writeSnapshot,
  type SnapshotSource,
  type SnapshotTools,
} from './snapshot.ts';

const PAGE = 4096;
const deflate = promisify(deflateRaw) as (bytes: Uint8Array) => Promise<Uint8Array>;
const inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw);
const tools: SnapshotTools = {
  deflate,
  inflate: (bytes, maxOutputLength) => inflate(bytes, { maxOutputLength }),
  crc32: (bytes, before) => crc32(bytes, before),
};

const config: SnapshotConfig = {
  ramBytes: 8 * PAGE,
  videoMemoryBytes: PAGE,
  epoch: 1_700_000_000,
  serial: [true, false, false, false],
  processors: 1,
  paravirt: 'kvm',
  vmi: 'off',
  disks: [{ sectors: 2048, readOnly: false, contentId: '12ab34cd' }],
};
const state: SnapshotState = {
  config,
  machine: {
    version: SAVED_MACHINE_VERSION,
    time: 123_456_789_012,
    instructions: 5_000_000_000,
    processor: { ...processorState.initial(), gpr: [1, 2, 3, 4, 5, 6, 7, 0xffff_ffff], eip: 0xc010_0000 },
    timestampOffset: -(1n << 60n),
    apicBase: 0xfee0_0900,
    board: {
      version: 1,
      devices: { one: { kind: 'x', version: 1, state: { bytes: Uint8Array.of(0, 255, 7), n: 1 } } },
    },
  },
  shares: [
    {
      tag: 'work',
      msize: 131_072,
      fids: [
        { fid: 0, place: '', flags: null },
        { fid: 0xffff_ffff, place: 'a folder/file', flags: 0o100002 },
      ],
    },
  ],
};

function areasOf(ramPages: number): MemoryArea[] {
  return [
    { name: 'ram', bytes: new Uint8Array(ramPages * PAGE) },
    { name: 'video', bytes: new Uint8Array(PAGE) },
  ];
}
async function written(areas: readonly MemoryArea[], saved = state): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  await writeSnapshot({ write: (bytes) => Promise.resolve(void parts.push(bytes.slice())) }, saved, areas, tools);
  return Uint8Array.from(Buffer.concat(parts));
}
function sourceOf(bytes: Uint8Array): SnapshotSource {
  let at = 0;
  return { read: (length) => Promise.resolve(bytes.subarray(at, (at += length))) };
}
async function readInto(bytes: Uint8Array, areas: readonly MemoryArea[]): Promise<SnapshotState> {
  const source = sourceOf(bytes);
  const read = await readSnapshotState(source, tools, 'a.snapshot');
  await readSnapshotMemory(source, areas, tools, 'a.snapshot');
  return read;
}
/** The stable code of what reading throws; anything but a TomeiError is a bug and goes up. */
async function refusal(bytes: Uint8Array, areas = areasOf(8)): Promise<string> {
  try {
    await readInto(bytes, areas);
    return 'none';
  } catch (error) {
    if (!(error instanceof TomeiError)) throw error;
    expect(error.message).toContain('a.snapshot');
    return error.code;
  }
}
const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const stateBytes = (file: Uint8Array): number => view(file).getUint32(12, true);
/** A file whose header and checksums fit this text: what a careful forger makes. */
function withState(file: Uint8Array, text: string): Uint8Array {
  const body = new TextEncoder().encode(text);
  const forged = Buffer.concat([file.subarray(0, 24), body, file.subarray(24 + stateBytes(file))]);
  view(forged).setUint32(12, body.length, true);
  view(forged).setUint32(16, crc32(body), true);
  view(forged).setUint32(20, crc32(forged.subarray(0, 20)), true);
  return forged;
}
const withFields = (change: (state: Record<string, never>) => void) => (file: Uint8Array) => {
  const raw = JSON.parse(formatState(state)) as Record<string, never>;
  change(raw);
  return withState(file, JSON.stringify(raw));
};

test('any memory comes back, page by page, and zero pages take no room', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 600 }),
      fc.array(fc.tuple(fc.nat(599), fc.nat(PAGE - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 20 }),
      async (pages, touched) => {
        const areas = areasOf(pages);
        for (const [page, offset, byte] of touched) areas[0]!.bytes[(page % pages) * PAGE + offset] = byte;
        areas[1]!.bytes[5] = 9;
        const file = await written(areas);
        const back = areasOf(pages);

        expect(await readInto(file, back)).toEqual(state);

        expect(back.map((a) => Buffer.from(a.bytes).equals(Buffer.from(areas[back.indexOf(a)]!.bytes)))).toEqual([
          true,
          true,
        ]);
      },
    ),
    { numRuns: 25, seed: 1 },
  );
  expect((await written(areasOf(4096))).length).toBeLessThan(10_000);
});

test('bytes that deflate cannot make smaller come back too', async () => {
  const areas = areasOf(300);
  let seed = 1;
  for (let i = 0; i < areas[0]!.bytes.length; i++)
    areas[0]!.bytes[i] = (seed = (seed * 1103515245 + 12345) >>> 0) >>> 16;
  const back = areasOf(300);

  await readInto(await written(areas), back);

  expect(Buffer.compare(back[0]!.bytes, areas[0]!.bytes)).toBe(0);
});

describe('a damaged file is refused', () => {
  const made = (async () => {
    const areas = areasOf(8);
    areas[0]!.bytes.fill(1, PAGE, 3 * PAGE);
    areas[1]!.bytes[0] = 1;
    return written(areas);
  })();
  const memoryAt = (file: Uint8Array): number => 24 + stateBytes(file);

  test('with any one bit turned round, with its end cut off or something behind it', async () => {
    const file = await made;
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length * 8 - 1), async (bit) => {
        const bad = file.slice();
        bad[bit >> 3]! ^= 1 << (bit & 7);
        expect(await refusal(bad)).toMatch(/^snapshot\./);
      }),
      { numRuns: 300, seed: 2 },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - 1), async (length) => {
        expect(await refusal(file.subarray(0, length))).toMatch(/^snapshot\.(truncated|bad-magic)$/);
      }),
      { numRuns: 100, seed: 3 },
    );
    expect(await refusal(Buffer.concat([file, Uint8Array.of(0)]))).toBe('snapshot.memory');
  });

  test.each<[string, string, (file: Uint8Array) => Uint8Array]>([
    ['no snapshot at all', 'snapshot.bad-magic', () => new TextEncoder().encode('KDMV and more than that')],
    ['an empty file', 'snapshot.bad-magic', () => new Uint8Array(0)],
    ['a version of the future', 'snapshot.version', (f) => (view(f).setUint32(8, 2, true), f)],
    [
      'a state of four gigabytes',
      'snapshot.state',
      (f) => {
        view(f).setUint32(12, 0xffff_ffff, true);
        view(f).setUint32(20, crc32(f.subarray(0, 20)), true);
        return f;
      },
    ],
    ['a state that is no JSON', 'snapshot.state', (f) => withState(f, '{"config": ')],
    ['a state that is a list', 'snapshot.state', (f) => withState(f, '[1]')],
    ['a state without end', 'snapshot.state', (f) => withState(f, '['.repeat(100_000) + ']'.repeat(100_000))],
    ['a state of the future', 'snapshot.version', withFields((s) => void (s['machine']!['version'] = 99 as never))],
    ['a state of no version', 'snapshot.version', withFields((s) => void delete s['machine']!['version'])],
    ['an unknown field', 'snapshot.state', withFields((s) => void (s['more'] = 1 as never))],
    ['no processor', 'snapshot.state', withFields((s) => void delete s['machine']!['processor'])],
    [
      'a privilege level of 4',
      'snapshot.state',
      withFields((s) => void ((s['machine']!['processor'] as Record<string, number>)['cpl'] = 4)),
    ],
    [
      'bytes that are no base64',
      'snapshot.state',
      withFields((s) => void (s['machine']!['time'] = { $bytes: '!' } as never)),
    ],
    [
      'text for an integer',
      'snapshot.state',
      withFields((s) => void (s['machine']!['timestampOffset'] = { $integer: 'x' } as never)),
    ],
    ['a time before power-on', 'snapshot.state', withFields((s) => void (s['machine']!['time'] = -1 as never))],
    ['no shares', 'snapshot.state', withFields((s) => void delete s['shares'])],
    [
      'a file of a share that is no number',
      'snapshot.state',
      withFields((s) => void ((s['shares']![0]!['fids'] as { fid: unknown }[])[0]!.fid = 'one')),
    ],
  ])('%s', async (_what, code, damage) => {
    expect(await refusal(damage((await made).slice()))).toBe(code);
  });

  /** Changes the first chunk's header and makes its checksum fit. */
  const withChunk = (file: Uint8Array, change: (head: DataView) => void): Uint8Array => {
    const bad = file.slice(),
      at = memoryAt(bad),
      head = new DataView(bad.buffer, at, 52);
    const length = head.getUint32(12, true);
    change(head);
    head.setUint32(48, crc32(bad.subarray(at + 52, at + 52 + length), crc32(bad.subarray(at, at + 48))), true);
    return bad;
  };
  test.each<[string, (head: DataView) => void]>([
    ['in an area that is not there', (h) => h.setUint32(4, 7, true)],
    ['beyond the end of memory', (h) => h.setUint32(8, 256, true)],
    ['at a page number near 2^32', (h) => h.setUint32(8, 0xffff_ff00, true)],
    ['between two chunks', (h) => h.setUint32(8, 1, true)],
    ['without pages', (h) => h.setUint8(16, 0)],
    ['of more pages than it holds', (h) => h.setUint8(16, 0x0e)],
    ['of fewer pages than it holds', (h) => h.setUint8(16, 2)],
    ['of another kind', (h) => h.setUint32(0, 1, true)],
    ['of two gigabytes', (h) => h.setUint32(12, 0x8000_0000, true)],
  ])('a memory chunk %s', async (_what, change) => {
    expect(await refusal(withChunk(await made, change))).toBe('snapshot.memory');
  });

  test('the same chunk twice, and chunks that are missing', async () => {
    const file = await made,
      at = memoryAt(file),
      first = 52 + view(file).getUint32(at + 12, true);
    const twice = Buffer.concat([file.subarray(0, at + first), file.subarray(at)]);
    const none = Buffer.concat([file.subarray(0, at), file.subarray(at + first)]);

    expect(await refusal(twice)).toBe('snapshot.memory');
    expect(await refusal(none)).toBe('snapshot.memory');
  });
});

test('noise is never read as a snapshot, and never more than refused', async () => {
  const start = (await written(areasOf(1))).subarray(0, 8);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), async (noise, magic) => {
      expect(await refusal(magic ? Buffer.concat([start, noise]) : noise)).toMatch(/^snapshot\./);
    }),
    { numRuns: 200, seed: 4 },
  );
});

test('a state of an older version goes through every migration', () => {
  const old = JSON.parse(formatState(state)) as { machine: { version: number; oldName?: number; apicBase?: number } };
  old.machine.version = SAVED_MACHINE_VERSION - 2;
  old.machine.oldName = old.machine.apicBase!;
  delete old.machine.apicBase;
  const steps = {
    [SAVED_MACHINE_VERSION - 2]: (s: Record<string, unknown>) => {
      const { oldName, ...machine } = s['machine'] as Record<string, unknown>;
      return { ...s, machine: { ...machine, apicBase: oldName, version: SAVED_MACHINE_VERSION - 1 } };
    },
    [SAVED_MACHINE_VERSION - 1]: (s: Record<string, unknown>) => ({
      ...s,
      machine: { ...(s['machine'] as object), version: SAVED_MACHINE_VERSION },
    }),
  };

  expect(parseState(JSON.stringify(old), 'a.snapshot', steps)).toEqual(state);
  old.machine.version = 1;
  expect(() => parseState(JSON.stringify(old), 'a.snapshot')).toThrow('holds a state of version 1;');
});

test('a machine of version 2 was a plain PC, without VMI', () => {
  const old = JSON.parse(formatState(state)) as {
    config: { paravirt?: string; vmi?: string };
    machine: { version: number };
    shares?: unknown;
  };
  delete old.shares;
  delete old.config.paravirt;
  delete old.config.vmi;
  old.machine.version = 2;

  const read = parseState(JSON.stringify(old), 'a.snapshot');

  expect(read).toEqual({ ...state, config: { ...config, paravirt: 'off' }, shares: [] });
});

test('in a machine of version 5 nobody gave a turn away', () => {
  const old = JSON.parse(formatState(state)) as { machine: { version: number; others?: object } };
  old.machine.version = 5;
  expect(parseState(JSON.stringify(old), 'a.snapshot')).toEqual(state);
  const {
    version: _,
    time: _time,
    board: _board,
    ...processor
  } = JSON.parse(formatState(state)).machine as Record<string, unknown>;
  old.machine.others = { turn: 1, left: 7, processors: [{ ...processor, waiting: true }] };

  expect(parseState(JSON.stringify(old), 'a.snapshot').machine.others).toMatchObject({ turn: 1, left: 7, place: 1 });
});

describe('a snapshot goes on in the machine that it was saved from, and in no other', () => {
  const refused = (change: Partial<SnapshotConfig>): unknown => {
    try {
      refuseOtherMachine(config, { ...config, ...change }, 'a.snapshot', ['ide0:0']);
      return undefined;
    } catch (error) {
      return { code: (error as TomeiError).code, message: (error as TomeiError).message };
    }
  };
  const disk = config.disks[0]!;

  test('the same', () => {
    expect(refused({ epoch: 5 })).toBeUndefined();
    expect(refused({ disks: [{ ...disk, contentId: '12AB34CD' }] })).toBeUndefined();
  });
  test.each<[string, Partial<SnapshotConfig>, RegExp]>([
    ['memory', { ramBytes: 16 * PAGE }, /memory of 32768 bytes \(memsize\), this one has 65536/],
    ['video memory', { videoMemoryBytes: 2 * PAGE }, /video memory/],
    ['processors', { processors: 2 }, /1 processors, this one has 2/],
    ['serial ports', { serial: [true, true, false, false] }, /had no serial1/],
    ['disks', { disks: [] }, /had 1 disks, this one has 0/],
    ["a disk's size", { disks: [{ ...disk, sectors: 4096 }] }, /ide0:0 of 2048 sectors, this one has 4096/],
    ["a disk's mode", { disks: [{ ...disk, readOnly: true }] }, /ide0:0 was writable/],
  ])('another number or size of %s', (_what, change, message) => {
    expect(refused(change)).toEqual({ code: 'snapshot.mismatch', message: expect.stringMatching(message) as string });
  });
  test('other shares', () => {
    const mismatch = (...here: string[]) => () => refuseOtherShares(state.shares, here, 'a.snapshot'); // prettier-ignore
    expect(mismatch('work')).not.toThrow();
    expect(mismatch()).toThrow(/a\.snapshot is of another machine: it had the shares work .*, this one has none/);
    expect(mismatch('work', 'more')).toThrow(/this one has work, more/);
    expect(mismatch('play')).toThrow(/this one has play/);
  });
  test('a disk that was written since', () => {
    expect(refused({ disks: [{ ...disk, contentId: 'ffff0000' }] })).toEqual({
      code: 'snapshot.disk-changed',
      message: expect.stringMatching(/ide0:0 has been written since a\.snapshot/) as string,
    });
  });
});
