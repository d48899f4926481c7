/** What the tests of this package share: a directory of their own, seeded bytes, and qemu-img where it is installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A temporary directory that goes away with `using`. */
export function scratch(under = tmpdir()): { path: (name: string) => string; directory: string } & Disposable {
  const directory = mkdtempSync(join(under, 'tomei-vmdk-'));
  return {
    directory,
    path: (name) => join(directory, name),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A small seeded generator (mulberry32): whole numbers below `n`. */
export function seeded(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

/** Bytes that are not zero and differ between sectors. */
export function pattern(length: number, seed: number): Uint8Array {
  const random = seeded(seed);
  return Uint8Array.from({ length }, () => 1 + random(255));
}

/** Why tests against qemu-img are skipped, or undefined when it is there (Debian package qemu-utils). */
export const qemuImgMissing: string | undefined =
  spawnSync('qemu-img', ['--version']).status === 0
    ? undefined
    : 'qemu-img is not installed (apt-get install qemu-utils)';

/** Runs qemu-img; throws with its output when it fails. */
export const qemuImg = (...args: string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' });
