/** A guest whose files lie in the pool of a disk-service. Loads gRPC: import it only for such a guest. */
import { posix } from 'node:path';
import { TomeiError, messageOf } from '@tomei/kit';
import { parseVmx, readGuestConfig, type FileReference } from '@tomei/vmx';
import type { RemoteGuest } from '../protocol.ts';
import { fetchPoolFile } from '../remote/pool-files.ts';
import { openRemoteDisk } from '../remote/remote-disk.ts';
import type { GuestSource } from './guest-source.ts';
import { cdImage, floppyImage, imageInMemory } from './images.ts';

/** Images of the pool are fetched whole into this process: the largest that is taken. */
const CD_BYTES = 1 << 30,
  FLOPPY_BYTES = 4 << 20;

/** File names of a `.vmx` are relative to it; the pool is their root, so that none leads out of it. */
const placeInPool = (path: string): string => path.replace(/^\/+/, '');

/** `warn` hears of a disk-service that is away, and of its return. */
export function remoteSource(guest: RemoteGuest, warn: (text: string) => void): GuestSource {
  const { disks: target, guestId, guestName, run, vmxPath, vmxText } = guest;
  const fetchImage = async ({ path, key, line }: FileReference, maxBytes: number): Promise<Uint8Array> => {
    const place = placeInPool(path);
    try {
      return await fetchPoolFile(target, place, maxBytes);
    } catch (cause) {
      const known = cause instanceof TomeiError ? cause : undefined;
      const code = known?.code.endsWith('.missing') === true ? 'disk.missing' : 'disk.io';
      const what = `${vmxPath}:${line}: ${key}: ${place} cannot be had from the pool: ${messageOf(cause)}`;
      throw new TomeiError(code, what, { cause, retryable: known?.retryable ?? false, data: { file: place } });
    }
  };
  return {
    vmx: vmxPath,
    isLocal: false,
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
    openDisk: (disk, file) =>
      openRemoteDisk({
        target,
        path: placeInPool(file.path),
        guestId,
        guestName,
        run,
        readOnly: !disk.persistent,
        onWarning: warn,
      }),
    // disk-service serves disks that can be written to one guest: images come as whole files.
    async openCd(file) {
      const bytes = await fetchImage(file, CD_BYTES);
      return cdImage(imageInMemory(bytes, true), file, vmxPath);
    },
    async openFloppy(file) {
      const bytes = await fetchImage(file, FLOPPY_BYTES);
      const disk = floppyImage(imageInMemory(bytes, false), file, vmxPath);
      const what = `${vmxPath}:${file.line}: ${file.key}: what is written to a floppy disk of the pool is gone at power-off`;
      return { ...disk, warnings: [...disk.warnings, what] };
    },
  };
}
