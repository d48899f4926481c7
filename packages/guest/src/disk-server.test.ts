import { ByteRing, Doorbell, TomeiError } from '@tomei/kit';
import type { BlockDevice } from '@tomei/vmdk';
import { expect, test } from 'vitest';
import { decodeCompletion, encodeRequest, type DiskCompletion, type DiskRequest } from './disk-messages.ts';
import { DiskServer } from './disk-server.ts';

const SECTOR = 512;

/** A disk in memory; `fail` makes the next accesses throw. */
class MemoryDevice implements BlockDevice {
  readonly readOnly = false;
  readonly bytes = new Uint8Array(64 * SECTOR);
  flushes = 0;
  fail: TomeiError | undefined;
  get sizeBytes(): number {
    return this.bytes.length;
  }
  read(offset: number, into: Uint8Array): Promise<void> {
    if (this.fail !== undefined) return Promise.reject(this.fail);
    into.set(this.bytes.subarray(offset, offset + into.length));
    return Promise.resolve();
  }
  write(offset: number, from: Uint8Array): Promise<void> {
    if (this.fail !== undefined) return Promise.reject(this.fail);
    this.bytes.set(from, offset);
    return Promise.resolve();
  }
  flush(): Promise<void> {
    this.flushes++;
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function rig() {
  const requests = ByteRing.allocate(1 << 16),
    completions = ByteRing.allocate(1 << 16);
  const ram = new Uint8Array(64 * SECTOR),
    device = new MemoryDevice(),
    troubles: string[] = [];
  const server = new DiskServer({
    disks: [device],
    reach: ram,
    requests,
    completions,
    vcpuBell: new Doorbell(Doorbell.allocate()),
    onTrouble: (disk, error) => void troubles.push(`${disk} ${error.code}`),
  });
  const toServer = new ByteRing(requests),
    fromServer = new ByteRing(completions);
  return {
    ram,
    device,
    troubles,
    /** Sends all at once and returns the answers in the order of their ids. */
    async ask(...list: Partial<DiskRequest>[]): Promise<DiskCompletion[]> {
      const blank = { disk: 0, kind: 'flush', unmap: false, sector: 0, count: 0, segments: [] } as const;
      list.forEach((request, id) =>
        expect(toServer.writeMessage(encodeRequest({ ...blank, id, ...request }))).toBe(true),
      );
      server.poll();
      await server.drained();
      const answers: DiskCompletion[] = [];
      for (let m = fromServer.readMessage(); m !== undefined; m = fromServer.readMessage())
        answers.push(decodeCompletion(m));
      return answers.toSorted((a, b) => a.id - b.id);
    },
  };
}
const oks = (answers: readonly DiskCompletion[]): boolean[] => answers.map((a) => a.ok);

test('moves sectors between memory and disk, in pieces that are whole sectors or not', async () => {
  const { ram, device, ask } = rig();
  ram.forEach((_, i) => (ram[i] = i % 251));
  const whole = { address: 512, length: 1024 },
    odd = [
      { address: 3, length: 100 },
      { address: 7000, length: 412 },
    ];

  expect(oks(await ask({ kind: 'write', sector: 4, count: 2, segments: [whole] }))).toEqual([true]);
  expect(oks(await ask({ kind: 'write', sector: 9, count: 1, segments: odd }))).toEqual([true]);

  expect(device.bytes.subarray(2048, 3072)).toEqual(ram.subarray(512, 1536));
  expect(device.bytes.subarray(9 * SECTOR, 10 * SECTOR)).toEqual(
    Uint8Array.from([...ram.subarray(3, 103), ...ram.subarray(7000, 7412)]),
  );
  const before = ram.slice();
  for (const { address, length } of odd) ram.fill(0, address, address + length);
  expect(oks(await ask({ kind: 'read', sector: 9, count: 1, segments: odd }))).toEqual([true]);
  expect(ram).toEqual(before);
});

test('zeros, flushes and discards', async () => {
  const { device, ask } = rig();
  device.bytes.fill(1);

  const answers = await ask(
    { kind: 'write-zeroes', sector: 1, count: 2 },
    { kind: 'flush' },
    { kind: 'discard', sector: 5, count: 1 },
  );

  expect(oks(answers)).toEqual([true, true, true]);
  expect(device.flushes).toBe(1);
  expect([device.bytes[511], device.bytes[512], device.bytes[1535], device.bytes[1536]]).toEqual([1, 0, 0, 1]);
});

test('what cannot be carried out fails alone and is told', async () => {
  const { ram, device, troubles, ask } = rig();
  const segments = [{ address: 0, length: SECTOR }];

  expect(
    oks(
      await ask(
        { kind: 'read', disk: 3, count: 1, segments },
        { kind: 'read', count: 1, segments: [{ address: ram.length - 1, length: SECTOR }] },
        { kind: 'read', count: 1, segments },
      ),
    ),
  ).toEqual([false, false, true]);
  device.fail = new TomeiError('disk.full', 'no room');
  expect(oks(await ask({ kind: 'write', count: 1, segments }))).toEqual([false]);

  expect(troubles).toEqual(['3 disk.missing', '0 disk.bad-request', '0 disk.full']);
});
