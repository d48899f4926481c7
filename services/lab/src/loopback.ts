/** Who may reach a lab. It knows no users and no passwords yet: whoever reaches it may do everything. */
import { isIP } from 'node:net';

/** Whether an address to listen on is this machine's own, so that nobody else reaches it. */
export const isLoopback = (host: string): boolean => /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/.test(host);

/** The name in a Host header, without port. */
const nameIn = (header: string): string =>
  header
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();

/**
 * Whether a request that says `Host: header` is meant for a lab on `host`. A page of the internet whose name was made to point to
 * this machine (DNS rebinding) says its own name there. An address is never such a name.
 */
export function isMeantForLab(header: string | undefined, host: string): boolean {
  if (header === undefined) return false;
  const name = nameIn(header);
  return isIP(name) !== 0 || name === 'localhost' || name === host.toLowerCase();
}
