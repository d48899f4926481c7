import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { smbiosFiles } from './smbios.ts';

const [tables, anchor] = smbiosFiles({ ramBytes: 64 << 20, processors: 1 }).map((file) => file.bytes);

describe('SMBIOS', () => {
  it('has an entry point that counts and measures its structures', () => {
    const found: number[] = [];
    let at = 0;
    for (; at < tables!.length;) {
      found.push(tables![at]!);
      at += tables![at + 1]!;
      while (tables![at] !== 0 || tables![at + 1] !== 0) at++;
      at += 2;
    }
    const view = new DataView(anchor!.buffer);

    expect(found).toEqual([1, 3, 4, 16, 17, 19, 32, 127]);
    expect(at).toBe(tables!.length);
    expect(anchor).toHaveLength(0x1f);
    expect([view.getUint16(0x16, true), view.getUint16(0x1c, true)]).toEqual([tables!.length, found.length]);
  });

  it.skipIf(spawnSync('dmidecode', ['--version']).status !== 0)('is read by dmidecode as it is meant', () => {
    // A dump as `dmidecode --dump-bin` writes it: the entry point, with its address and sums, and the structures at 32.
    const dump = new Uint8Array(32 + tables!.length);
    dump.set(anchor!);
    dump.set(tables!, 32);
    new DataView(dump.buffer).setUint32(0x18, 32, true);
    const sum = (from: number, to: number): number => dump.subarray(from, to).reduce((a, b) => (a + b) & 0xff, 0);
    dump[0x15] = -sum(0x10, 0x1f);
    dump[4] = -sum(0, 0x1f);
    const folder = mkdtempSync(join(tmpdir(), 'tomei-smbios-'));
    try {
      writeFileSync(join(folder, 'dump'), dump);
      const { stdout } = spawnSync('dmidecode', ['--from-dump', join(folder, 'dump')], { encoding: 'utf8' });

      expect(stdout).toContain('Product Name: Tomei Virtual PC');
      expect(stdout).toContain('Size: 64 MB');
      expect(stdout).not.toMatch(/BAD|OUT OF SPEC|truncated|broken/i);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
