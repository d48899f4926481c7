import { describe, expect, test } from 'vitest';
import { guestPath, routeOf } from './route.ts';

describe('addresses', () => {
  test.each([
    ['/', { page: 'library' }],
    ['/guests/tiny', { page: 'console', guest: 'tiny' }],
    ['/guests/tiny/', { page: 'console', guest: 'tiny' }],
    ['/guests/my%20box', { page: 'console', guest: 'my box' }],
    ['/guests', { page: 'unknown' }],
    ['/guests/a/b', { page: 'unknown' }],
    ['/guests/%', { page: 'unknown' }],
  ])('%s', (path, route) => {
    expect(routeOf(path)).toEqual(route);
  });

  test('an address of a guest leads back to it, whatever its id is', () => {
    const id = 'a/b ?#%é';

    expect(routeOf(guestPath({ id }))).toEqual({ page: 'console', guest: id });
  });
});
