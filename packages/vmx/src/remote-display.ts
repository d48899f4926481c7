/**
 * VNC for a guest: `RemoteDisplay.vnc.*`. The other keys of that family (key map, address, times) are let through and do nothing:
 * how viewers reach a guest is the console gateway's business.
 */
import type { Problems } from './problem.ts';
import type { Values } from './values.ts';

export interface VncConfig {
  /** TCP port, 1 to 65535. */
  readonly port: number;
  /** Empty: none is asked for. Never part of a message or an answer. */
  readonly password: string;
}

/** VMware's, when VNC is enabled without a port. */
export const VNC_DEFAULT_PORT = 5900;
/** RFC 6143, 7.2.2: the password is a DES key, so that what follows counts for nothing. */
const VNC_PASSWORD_LENGTH = 8;
/** What a viewer can send as it was typed, whatever its character set. */
const PASSWORD = /^[\x20-\x7e]*$/;

/** Undefined unless `RemoteDisplay.vnc.enabled` is true; values that nobody uses are checked all the same. */
export function readVnc(values: Values, problems: Problems): VncConfig | undefined {
  const enabled = values.boolean('RemoteDisplay.vnc.enabled') === true;
  const vnc = { port: readPort(values, problems), password: readPassword(values, problems) };
  const encoded = values.find('RemoteDisplay.vnc.key');
  if (enabled && vnc.password === '' && encoded !== undefined && encoded.value !== '') {
    const what = `${encoded.key} is a password in VMware's own encoding, which this program cannot read`;
    problems.error('vmx.unsupported', encoded, `${what}: write it to RemoteDisplay.vnc.password, or leave the key out`);
  }
  return enabled ? vnc : undefined;
}

function readPort(values: Values, problems: Problems): number {
  const entry = values.find('RemoteDisplay.vnc.port');
  const port = values.whole('RemoteDisplay.vnc.port');
  if (entry === undefined || port === undefined) return VNC_DEFAULT_PORT;
  if (port >= 1 && port <= 65_535) return port;
  problems.error('vmx.value', entry, `${entry.key} = "${entry.value}": a TCP port is 1 to 65535`);
  return VNC_DEFAULT_PORT;
}

/** Messages about a password say nothing of what is in it. */
function readPassword(values: Values, problems: Problems): string {
  const entry = values.find('RemoteDisplay.vnc.password');
  const password = values.text('RemoteDisplay.vnc.password') ?? '';
  if (entry === undefined) return '';
  if (!PASSWORD.test(password)) {
    problems.error('vmx.value', entry, `${entry.key}: use printable ASCII characters, which every viewer can send`);
    return '';
  }
  if (password.length > VNC_PASSWORD_LENGTH) {
    const what = `${entry.key}: VNC knows ${VNC_PASSWORD_LENGTH} characters of a password; what follows counts for nothing`;
    problems.warn('vmx.unused', entry, what);
  }
  return password;
}
