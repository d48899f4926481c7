/** The disk server on a real `.vmdk` in a temporary directory: many requests in flight, segments of any shape, and what is refused. */
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ByteRing, Doorbell, type TomeiError } from '@tomei/kit';
import { createVmdk, openVmdk, type VmdkDisk, type VmdkType } from '@tomei/vmdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeCompletion, encodeRequest, type DiskCompletion, type DiskRequest } from './disk-messages.ts';
import { DiskServer } from './disk-server.ts';

const SECTOR = 512;
const SECTORS = 4096;
const RAM_BYTES = 1 << 20;

let directory: string;
let disk: VmdkDisk | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tomei-disk-server-'));
});
afterEach(async () => {
  await disk?.close().catch(() => undefined);
  disk = undefined;
  await rm(directory, { recursive: true, force: true });
});

/** mulberry32: whole numbers below `n`. */
function seeded(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % n;
  };
}

class Rig {
  readonly ram = new Uint8Array(new SharedArrayBuffer(RAM_BYTES));
  readonly troubles: string[] = [];
  readonly bell = new Doorbell(Doorbell.allocate());
  readonly server: DiskServer;
  private readonly toServer: ByteRing;
  private readonly fromServer: ByteRing;

  constructor(device: VmdkDisk, completionBytes = 1 << 16) {
    const requests = ByteRing.allocate(1 << 16),
      completions = ByteRing.allocate(completionBytes);
    this.server = new DiskServer({
      disks: [device],
      reach: this.ram,
      requests,
      completions,
      vcpuBell: this.bell,
      onTrouble: (number, error: TomeiError) => void this.troubles.push(`${number} ${error.code}`),
    });
    this.toServer = new ByteRing(requests);
    this.fromServer = new ByteRing(completions);
  }
  send(id: number, request: Partial<DiskRequest>): void {
    const blank = { disk: 0, id, kind: 'flush', unmap: false, sector: 0, count: 0, segments: [] } as const;
    if (!this.toServer.writeMessage(encodeRequest({ ...blank, ...request }))) throw new Error('the ring is full');
  }
  answers(): DiskCompletion[] {
    const list: DiskCompletion[] = [];
    for (let m = this.fromServer.readMessage(); m !== undefined; m = this.fromServer.readMessage())
      list.push(decodeCompletion(m));
    return list;
  }
  /** Sends all at once and waits for all: whether each went well, by id. */
  async ask(...requests: readonly Partial<DiskRequest>[]): Promise<boolean[]> {
    requests.forEach((request, id) => this.send(id, request));
    this.server.poll();
    await this.server.drained();
    return this.answers()
      .toSorted((a, b) => a.id - b.id)
      .map((a) => a.ok);
  }
}
async function rig(type: VmdkType = 'monolithicSparse', options: { readOnly?: boolean } = {}): Promise<Rig> {
  const path = join(directory, 'disk.vmdk');
  await createVmdk(path, { type, sizeBytes: SECTORS * SECTOR });
  disk = await openVmdk(path, options);
  return new Rig(disk);
}
const one = (address: number, length = SECTOR): DiskRequest['segments'] => [{ address, length }];

describe.each(['monolithicSparse', 'monolithicFlat'] as const)('on a disk of type %s', (type) => {
  it('works on many requests at once and answers each once', async () => {
    const r = await rig(type);
    const random = seeded(1);
    for (let i = 0; i < RAM_BYTES / 2; i++) r.ram[i] = random(256);
    const writes = Array.from(
      { length: 64 },
      (_, i) => ({ kind: 'write', sector: i * 40, count: 3, segments: one(i * 4096, 3 * SECTOR) }) as const,
    );
    const ticket = r.bell.ticket;

    expect(await r.ask(...writes)).toEqual(Array(64).fill(true));

    expect(r.bell.ticket).not.toBe(ticket);
    const reads = writes.map(
      (w, i) => ({ ...w, kind: 'read', segments: one(RAM_BYTES / 2 + i * 4096, 3 * SECTOR) }) as const,
    );
    expect(await r.ask(...reads)).toEqual(Array(64).fill(true));
    for (let i = 0; i < 64; i++) {
      const from = r.ram.subarray(i * 4096, i * 4096 + 3 * SECTOR),
        to = r.ram.subarray(RAM_BYTES / 2 + i * 4096, RAM_BYTES / 2 + i * 4096 + 3 * SECTOR);
      expect(Buffer.compare(from, to)).toBe(0);
    }
  });
  it('random requests over segments of any shape leave disk and memory as a plain copy would', async () => {
    const r = await rig(type);
    const random = seeded(2);
    const model = new Uint8Array(SECTORS * SECTOR);
    for (let round = 0; round < 60; round++) {
      const count = 1 + random(12),
        sector = random(SECTORS - count);
      // Pieces of any length, side by side in random places that do not overlap.
      const segments: { address: number; length: number }[] = [];
      let left = count * SECTOR,
        place = random(5000);
      while (left > 0) {
        const length = random(3) === 0 ? Math.min(left, SECTOR * (1 + random(3))) : 1 + random(Math.min(left, 700));
        segments.push({ address: place, length });
        place += length + random(3000);
        left -= length;
      }
      const at = sector * SECTOR;
      if (random(2) === 0) {
        for (const { address, length } of segments) for (let i = 0; i < length; i++) r.ram[address + i] = random(256);
        expect(await r.ask({ kind: 'write', sector, count, segments })).toEqual([true]);
        let to = at;
        for (const { address, length } of segments) {
          model.set(r.ram.subarray(address, address + length), to);
          to += length;
        }
      } else {
        const expected = r.ram.slice();
        let from = at;
        for (const { address, length } of segments) {
          expected.set(model.subarray(from, from + length), address);
          from += length;
        }
        expect(await r.ask({ kind: 'read', sector, count, segments })).toEqual([true]);
        expect(Buffer.compare(r.ram, expected)).toBe(0);
      }
    }
  });
  it('what was flushed is in the file that is opened next', async () => {
    const r = await rig(type);
    r.ram.fill(0x5a, 0, 2 * SECTOR);
    expect(await r.ask({ kind: 'write', sector: 7, count: 2, segments: one(0, 2 * SECTOR) })).toEqual([true]);
    expect(await r.ask({ kind: 'flush' })).toEqual([true]);

    const again = await openVmdk(disk!.path, { readOnly: true });
    const bytes = new Uint8Array(3 * SECTOR);
    await again.read(7 * SECTOR, bytes);
    await again.close();

    expect([bytes[0], bytes[2 * SECTOR - 1], bytes[2 * SECTOR]]).toEqual([0x5a, 0x5a, 0]);
  });
  it('zeros a range longer than it writes at once', async () => {
    const r = await rig(type);
    r.ram.fill(1, 0, SECTOR);
    const ends = [0, 2999, 3000].map((sector) => ({ kind: 'write', sector, count: 1, segments: one(0) }) as const);
    await r.ask(...ends);

    expect(await r.ask({ kind: 'write-zeroes', sector: 1, count: 2999 })).toEqual([true]);

    const seen = ends.map(
      ({ sector }, i) => ({ kind: 'read', sector, count: 1, segments: one(4096 * (i + 1)) }) as const,
    );
    await r.ask(...seen);
    expect([1, 2, 3].map((i) => r.ram[4096 * i])).toEqual([1, 0, 1]);
  });
});

describe('what cannot be done', () => {
  it.each<[string, Partial<DiskRequest>, string]>([
    [
      'sectors beyond the end',
      { kind: 'read', sector: SECTORS - 1, count: 2, segments: one(0, 2 * SECTOR) },
      'disk.out-of-range',
    ],
    ['a sector far beyond', { kind: 'write', sector: 2 ** 50, count: 1, segments: one(0) }, 'disk.out-of-range'],
    ['memory beyond the end', { kind: 'read', count: 1, segments: one(RAM_BYTES - 1) }, 'disk.bad-request'],
    ['memory at a negative address', { kind: 'read', count: 1, segments: one(-SECTOR) }, 'disk.bad-request'],
    ['memory nowhere', { kind: 'read', count: 1, segments: one(NaN) }, 'disk.bad-request'],
    ['less memory than sectors', { kind: 'read', count: 2, segments: one(0) }, 'disk.bad-request'],
    ['more memory than sectors', { kind: 'write', count: 1, segments: one(0, 2 * SECTOR) }, 'disk.bad-request'],
    ['a kind that does not exist', { kind: 'format' as DiskRequest['kind'] }, 'disk.bad-request'],
    ['zeros beyond the end', { kind: 'write-zeroes', sector: SECTORS - 1, count: 2 }, 'disk.out-of-range'],
    ['a disk that does not exist', { disk: 9, kind: 'flush' }, 'disk.missing'],
  ])('%s fails, touches nothing, and leaves others alone', async (_, request, code) => {
    const r = await rig();
    r.ram.fill(0xee);
    const fine = { kind: 'read', sector: 5, count: 1, segments: one(8192) } as const;

    expect(await r.ask(fine, request, fine)).toEqual([true, false, true]);

    expect(r.troubles).toEqual([`${request.disk ?? 0} ${code}`]);
    r.ram.fill(0xee, 8192, 8192 + SECTOR);
    expect(r.ram.every((byte) => byte === 0xee)).toBe(true);
  });
  it('fails each time and is told once for each kind', async () => {
    const r = await rig('monolithicSparse', { readOnly: true });
    const write = { kind: 'write', count: 1, segments: one(0) } as const;
    const beyond = { kind: 'read', sector: SECTORS, count: 1, segments: one(0) } as const;

    expect(await r.ask(write, write, beyond, write, beyond)).toEqual([false, false, false, false, false]);
    expect(await r.ask(write)).toEqual([false]);

    expect(r.troubles.toSorted()).toEqual(['0 disk.out-of-range', '0 disk.read-only']);
  });
  it('a disk whose file has lost its end fails there, and works elsewhere', async () => {
    const r = await rig('monolithicFlat');
    await truncate(join(directory, 'disk-flat.vmdk'), 100 * SECTOR);

    const ok = await r.ask(
      { kind: 'read', sector: 10, count: 1, segments: one(0) },
      { kind: 'read', sector: 3000, count: 1, segments: one(0) },
    );

    expect(ok).toEqual([true, false]);
    expect(r.troubles).toEqual(['0 vmdk.truncated']);
  });
});

describe('the ring of completions', () => {
  it('that is full keeps the rest for the next look', async () => {
    await rig();
    // Room for six completions of ten bytes.
    const r = new Rig(disk!, 64);
    for (let id = 0; id < 15; id++) r.send(id, { kind: 'flush' });
    r.server.poll();
    await r.server.drained();
    const seen: number[] = [];
    for (let looks = 0; looks < 5; looks++) {
      seen.push(...r.answers().map(({ id }) => id));
      r.server.poll();
    }
    expect(seen.toSorted((a, b) => a - b)).toEqual([...Array(15).keys()]);
  });
});
