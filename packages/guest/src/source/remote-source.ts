/** A guest whose files lie in the pool of a disk-service. Loads gRPC: import it only for such a guest. */
import { posix } from 'node:path';
import { TomeiError, messageOf } from '@tomei/kit';
import { parseVmx, readGuestConfig } from '@tomei/vmx';
import type { RemoteGuest } from '../protocol.ts';
import { fetchPoolFile } from '../remote/pool-files.ts';
import { openRemoteDisk } from '../remote/remote-disk.ts';
import type { GuestSource } from './guest-source.ts';

/** File names of a `.vmx` are relative to it; the pool is their root, so that none leads out of it. */
const placeInPool = (path: string): string => path.replace(/^\/+/, '');

/** `warn` hears of a disk-service that is away, and of its return. */
export function remoteSource(guest: RemoteGuest, warn: (text: string) => void): GuestSource {
  const { disks: target, guestId, guestName, run, vmxPath, vmxText } = guest;
  return {
    vmx: vmxPath,
    // eslint-disable-next-line @typescript-eslint/require-await -- what is thrown belongs into the promise
    async config() {
      const vmx = parseVmx(new TextEncoder().encode(vmxText), vmxPath);
      return readGuestConfig(vmx, `/${posix.dirname(vmxPath)}`);
    },
    async bootFile(noun, { key, fileName, path, line }, maxBytes) {
      const place = placeInPool(path);
      try {
        return { name: fileName, bytes: await fetchPoolFile(target, place, maxBytes) };
      } catch (cause) {
        const known = cause instanceof TomeiError ? cause : undefined;
        const what = known?.code.endsWith('.missing') === true ? 'missing' : 'unreadable';
        const message = `${vmxPath}:${line}: ${key}: ${place} cannot be had from the pool: ${messageOf(cause)}`;
        const retryable = known?.retryable ?? false;
        throw new TomeiError(`${noun}.${what}`, message, { cause, retryable, data: { file: place } });
      }
    },
    openDisk: (_, file) =>
      openRemoteDisk({ target, path: placeInPool(file.path), guestId, guestName, run, onWarning: warn }),
  };
}
