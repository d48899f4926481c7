import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { checkVmdk } from './check.ts';
import { createVmdk } from './create.ts';
import { openVmdk } from './disk.ts';
import { pattern, scratch, seeded } from './fixture.ts';
import { HostFile } from './host-file.ts';

const MiB = 1 << 20;
const DISK = 16 * MiB;

type Step = { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array } | { readonly kind: 'sync' };

/** Notes what reaches the file, in order, while the real calls go on. */
function recordSteps(): Step[] {
  const steps: Step[] = [];
  const write = HostFile.prototype.write;
  const sync = HostFile.prototype.sync;
  vi.spyOn(HostFile.prototype, 'write').mockImplementation(async function (this: HostFile, at, bytes) {
    await write.call(this, at, bytes);
    steps.push({ kind: 'write', at, bytes: bytes.slice() });
  });
  vi.spyOn(HostFile.prototype, 'sync').mockImplementation(async function (this: HostFile) {
    await sync.call(this);
    steps.push({ kind: 'sync' });
  });
  return steps;
}

/** The file as power loss may leave it: everything up to the last sync, and any of the 512-byte blocks written after it. */
function afterPowerLoss(start: Uint8Array, steps: readonly Step[], keep: (n: number) => boolean): Uint8Array {
  const lastSync = steps.findLastIndex((step) => step.kind === 'sync');
  const end = Math.max(start.length, ...steps.map((step) => (step.kind === 'write' ? step.at + step.bytes.length : 0)));
  const image = new Uint8Array(end);
  image.set(start);
  let length = start.length;
  let block = 0;
  for (const [i, step] of steps.entries()) {
    if (step.kind === 'sync') continue;
    for (let at = 0; at < step.bytes.length;) {
      const part = Math.min(512 - ((step.at + at) % 512), step.bytes.length - at);
      if (i < lastSync || keep(block++)) {
        image.set(step.bytes.subarray(at, at + part), step.at + at);
        length = Math.max(length, step.at + at + part);
      }
      at += part;
    }
  }
  return image.subarray(0, length);
}

describe('a sparse disk, when the power goes', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([1, 2, 3, 4])(
    'is sound and holds all that was flushed, whatever the host had written (seed %i)',
    async (seed) => {
      using dir = scratch();
      const path = dir.path('d.vmdk');
      await createVmdk(path, { sizeBytes: DISK });
      const start = readFileSync(path);
      if (seed % 2 === 0)
        for (const at of [48, 56])
          start.fill(0, Number(start.readBigUInt64LE(at)) * 512, Number(start.readBigUInt64LE(at)) * 512 + 4);
      writeFileSync(path, start);
      const random = seeded(seed);
      const steps = recordSteps();
      const disk = await openVmdk(path, { saveAfterMs: 0 });
      const now = new Uint8Array(DISK);
      const touched = new Uint8Array(DISK / 512); // sectors written since the last flush
      const flushed: { step: number; content: Uint8Array; touchedLater: Uint8Array[] }[] = [];
      for (let i = 0; i < 30; i++) {
        const sector = random(DISK / 512 - 300);
        const length = (1 + random(i % 5 === 0 ? 299 : 16)) * 512;
        now.set(pattern(length, i), sector * 512);
        for (const mark of [touched, ...flushed.map((f) => f.touchedLater[0]!)])
          mark.fill(1, sector, sector + length / 512);
        await disk.write(sector * 512, pattern(length, i));
        if (i % 7 !== 6) continue;
        await disk.flush();
        flushed.push({ step: steps.length, content: now.slice(), touchedLater: [new Uint8Array(DISK / 512)] });
      }
      vi.restoreAllMocks();
      const all = [...steps];
      await disk.close();

      for (let trial = 0; trial < 30; trial++) {
        const cut = 1 + random(all.length);
        const image = afterPowerLoss(start, all.slice(0, cut), trial % 4 === 0 ? () => false : () => random(2) === 0);
        writeFileSync(dir.path('after.vmdk'), image);
        const check = await checkVmdk(dir.path('after.vmdk'));
        expect(check.problems.filter((p) => p.severity === 'error')).toEqual([]);

        const again = await openVmdk(dir.path('after.vmdk')); // brings the two copies in line
        const bytes = new Uint8Array(DISK);
        await again.read(0, bytes);
        await again.close();
        const promise = flushed.findLast((f) => f.step <= cut);
        for (let sector = 0; promise !== undefined && sector < DISK / 512; sector++) {
          if (promise.touchedLater[0]![sector] === 1) continue;
          const [from, to] = [sector * 512, sector * 512 + 512];
          if (Buffer.compare(bytes.subarray(from, to), promise.content.subarray(from, to)) !== 0) {
            expect.fail(`seed ${seed}, cut ${cut}: sector ${sector} lost what was flushed`);
          }
        }
        const after = await checkVmdk(dir.path('after.vmdk'));
        expect(after.problems.filter((p) => p.code !== 'vmdk.orphan-grains')).toEqual([]);
      }
    },
  );
});

describe('a disk whose process is killed', () => {
  it('holds all that was flushed, opens with a warning, and its lock is taken over', async () => {
    using dir = scratch();
    const path = dir.path('d.vmdk');
    await createVmdk(path, { sizeBytes: DISK });
    const program = `
      import { openVmdk } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
      const disk = await openVmdk(process.argv[1]);
      for (let i = 0; ; i++) {
        await disk.write((i % 250) * 65536 + 512, new Uint8Array(1024).fill(1 + (i % 255)));
        if (i % 10 !== 9) continue;
        await disk.flush();
        console.log(i);
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let last = -1;
    for await (const line of createInterface({ input: child.stdout })) {
      last = Number(line);
      if (last >= 199) break;
    }
    await expect(openVmdk(path)).rejects.toMatchObject({ code: 'disk.locked' });
    child.kill('SIGKILL');
    await once(child, 'exit');

    expect((await checkVmdk(path)).ok).toBe(true);
    const disk = await openVmdk(path);
    expect(disk.warnings).toEqual([
      expect.stringContaining(`took over the lock of process ${child.pid}`),
      expect.stringContaining('was not closed cleanly'),
    ]);
    const bytes = new Uint8Array(1024);
    for (let i = 0; i <= last && i < 250; i++) {
      await disk.read(i * 65536 + 512, bytes);
      expect(bytes[0]).not.toBe(0);
    }
    await disk.close();
    expect((await checkVmdk(path)).problems.filter((p) => p.code !== 'vmdk.orphan-grains')).toEqual([]);
  });
});
