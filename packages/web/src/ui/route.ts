/** Addresses of pages. Pure. */

export type Route =
  { readonly page: 'library' } | { readonly page: 'console'; readonly guest: string } | { readonly page: 'unknown' };

/** Which page a path names; `guest` is an id or a name, unescaped. */
export function routeOf(pathname: string): Route {
  const parts = pathname.split('/').filter((part) => part !== '');
  if (parts.length === 0) return { page: 'library' };
  if (parts.length !== 2 || parts[0] !== 'guests') return { page: 'unknown' };
  try {
    return { page: 'console', guest: decodeURIComponent(parts[1]!) };
  } catch {
    // A lone % or bytes that are not UTF-8.
    return { page: 'unknown' };
  }
}

/** The page of a guest: by id, which no other guest can take over. */
export const guestPath = (guest: { readonly id: string }): string => `/guests/${encodeURIComponent(guest.id)}`;
