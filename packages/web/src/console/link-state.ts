/** The state of one connection of a console, screen or serial line, and what ends of connections mean. Pure. */

export type LinkState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting' }
  | { readonly kind: 'password'; readonly complaint: string }
  | { readonly kind: 'live' }
  | { readonly kind: 'waiting'; readonly reason: string; readonly delayMs: number };

export const IDLE: LinkState = { kind: 'idle' };

/** In words, for the status line. */
export function describeLink(state: LinkState): string {
  switch (state.kind) {
    case 'idle':
      return 'Not connected';
    case 'connecting':
      return 'Connecting';
    case 'password':
      return 'Waiting for the password';
    case 'live':
      return 'Connected';
    case 'waiting':
      return `${state.reason}; trying again in ${Math.max(1, Math.round(state.delayMs / 1000))} s`;
  }
}

/** Why a WebSocket closed, in words: the server's own where it gave some (RFC 6455, 7.4); the gateway puts its error's code before them. */
export function closeReason(code: number, reason: string): string {
  const words = reason.replace(/^[a-z-]+\.[a-z-]+: /, '');
  if (words !== '') return `${words[0]!.toUpperCase()}${words.slice(1)}`;
  switch (code) {
    case 1000:
    case 1001:
      return 'The console was closed';
    case 1006:
      return 'The connection was cut';
    case 1008:
      return 'The gateway refused this viewer';
    case 1009:
      return 'A message was too long';
    case 1011:
      return 'The gateway had trouble';
    case 1012:
    case 1013:
      return 'The gateway restarts';
    default:
      return `The connection ended (WebSocket code ${code})`;
  }
}

/** The address of a console's WebSocket beside the page's own. */
export function consoleUrl(
  page: { protocol: string; host: string },
  guestId: string,
  what: string,
  viewOnly: boolean,
): string {
  const scheme = page.protocol === 'https:' ? 'wss:' : 'ws:';
  const query = viewOnly ? '?viewOnly=true' : '';
  return `${scheme}//${page.host}/console/guests/${encodeURIComponent(guestId)}/${what}${query}`;
}
