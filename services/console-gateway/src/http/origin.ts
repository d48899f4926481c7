/**
 * Who may open a console from a page. A browser lets any page of any site open a WebSocket here, with whatever this site trusts the
 * browser for; it says honestly which site it was (RFC 6455, 10.2), so that is looked at. Programs send no Origin.
 */
import { TomeiError } from '@tomei/kit';

/** Headers of an upgrade, as they came. */
export interface UpgradeHeaders {
  readonly origin?: string | undefined;
  readonly host?: string | undefined;
}

/** Throws `origin.denied`. `allowed`: origins besides the one that the request went to. */
export function checkOrigin({ origin, host }: UpgradeHeaders, allowed: readonly string[]): void {
  if (origin === undefined || allowed.includes(origin)) return;
  if (URL.canParse(origin)) {
    const { host: site, protocol } = new URL(origin);
    if ((protocol === 'http:' || protocol === 'https:') && site !== '' && site === host?.toLowerCase()) return;
  }
  throw new TomeiError(
    'origin.denied',
    `a page of ${origin.slice(0, 200)} may not open consoles here; if it should, name it in TOMEI_ALLOWED_ORIGINS`,
  );
}
