import { describe, expect, test } from 'vitest';
import { findCommand, runTool } from '../host/tool.ts';
import { cpio } from './cpio.ts';
import { Tree } from './tree.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TIME = 1_700_000_000;
const sample = (): Tree =>
  new Tree()
    .file('init', '#!/bin/sh\n', 0o755)
    .characterDevice('dev/console', 5, 1)
    .link('bin/sh', 'busybox')
    .file('etc/odd', 'x')
    .directory('empty');

describe('cpio', () => {
  test('the same tree gives the same bytes, in whatever order it was made', () => {
    const one = new Tree().file('a', '1').file('b/c', '2');
    const other = new Tree().file('b/c', '2').file('a', '1');

    expect(cpio(one, TIME)).toEqual(cpio(other, TIME));
  });

  test('a header is the magic and 13 numbers, then the name, padded to 4', () => {
    const archive = cpio(new Tree().file('hi', 'abc', 0o640), TIME);

    expect(archive.subarray(0, 110).toString('latin1')).toBe(
      '070701' + // magic
        '00000001' + // inode
        '000081a0' + // regular file, 0640
        '0000000000000000' + // owner, group
        '00000001' + // links
        '6553f100' + // time
        '00000003' + // size
        '0000000000000000' + // device it lay on
        '0000000000000000' + // device it is
        '00000003' + // length of the name, with its end
        '00000000', // no checksum
    );
    expect(archive.subarray(110, 120).toString('latin1')).toBe('hi\0\0\0\0abc\0');
    expect(archive.toString('latin1')).toContain('TRAILER!!!\0');
    expect(archive.length % 4).toBe(0);
  });

  test('the cpio program reads it as it was meant', async (context) => {
    if (findCommand('cpio') === undefined) context.skip('the program cpio is not installed (Debian package cpio)');
    const folder = mkdtempSync(join(tmpdir(), 'tomei-cpio-'));
    try {
      const path = join(folder, 'archive');
      writeFileSync(path, cpio(sample(), TIME));

      const { stdout } = await runTool('cpio', ['--list', '--verbose', '--numeric-uid-gid', '--quiet', '--file', path]);

      const lines = stdout.trim().split('\n');
      const facts = lines.map((line) => line.replace(/ \w{3} +\d+ +[\d:]+ /, ' ').replaceAll(/ +/g, ' '));
      expect(facts).toEqual([
        'drwxr-xr-x 2 0 0 0 bin',
        'lrwxrwxrwx 1 0 0 7 bin/sh -> busybox',
        'drwxr-xr-x 2 0 0 0 dev',
        'crw------- 1 0 0 5, 1 dev/console',
        'drwxr-xr-x 2 0 0 0 empty',
        'drwxr-xr-x 2 0 0 0 etc',
        '-rw-r--r-- 1 0 0 1 etc/odd',
        '-rwxr-xr-x 1 0 0 10 init',
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test.each(['/etc/passwd', '../outside', 'a/../b', ''])('a tree refuses the path %j', (path) => {
  expect(() => new Tree().file(path, '')).toThrow(/assertion/);
});
