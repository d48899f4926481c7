import { describe, expect, test } from 'vitest';
import { labPool } from './lab-pool.ts';

describe('the pool of a lab', () => {
  test.each<[string[], string | undefined, string, string[]]>([
    [[], undefined, '/w/guests', []],
    [[], 'images', '/w/images', []],
    [['guests/tiny/tiny.vmx'], undefined, '/w/guests', ['tiny/tiny.vmx']],
    [['/g/a/a.vmx', '/g/b/b.vmx'], undefined, '/g', ['a/a.vmx', 'b/b.vmx']],
    [['g/deep/er/a.vmx'], 'g', '/w/g', ['deep/er/a.vmx']],
    [['g/..a/a.vmx'], undefined, '/w/g', ['..a/a.vmx']],
  ])('of %j with --pool %s is %s', (guests, pool, folder, places) => {
    expect(labPool(guests, pool, '/w')).toEqual({ pool: folder, guests: places });
  });

  test.each<[string[], string | undefined]>([
    [['/g/a/a.vmx', '/h/b/b.vmx'], undefined],
    [['../other/a.vmx'], 'guests'],
    [['/w/guests'], 'guests'],
  ])('%j with --pool %s lie in no one pool', (guests, pool) => {
    expect(() => labPool(guests, pool, '/w')).toThrow(expect.objectContaining({ code: 'usage.pool' }) as Error);
  });
});
