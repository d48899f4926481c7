/** A guest whose files lie on this machine. */
import { open, readFile } from 'node:fs/promises';
import { TomeiError, messageOf } from '@tomei/kit';
import { SECTOR_BYTES, openRaw, openVmdk } from '@tomei/vmdk';
import { loadVmx, type FileReference } from '@tomei/vmx';
import type { BootFile, GuestSource } from './guest-source.ts';
import { cdImage, floppyImage, type ImageFile } from './images.ts';

export const localSource = (vmx: string): GuestSource => ({
  vmx,
  isLocal: true,
  config: () => loadVmx(vmx),
  openDisk: (disk, file) => openVmdk(file.path, { readOnly: !disk.persistent }),
  openCd: async (file) => closing(await openImage(file.path, true), (image) => cdImage(image, file, vmx)),
  async openFloppy(file) {
    const { image, warning } = await openFloppyFile(file, vmx);
    const disk = await closing(image, (opened) => Promise.resolve(floppyImage(opened, file, vmx)));
    return { ...disk, warnings: [...warning, ...disk.warnings] };
  },
  // How large is too large, the loader of kernels knows.
  async bootFile(noun, { key, fileName, path, line }): Promise<BootFile> {
    try {
      return { name: fileName, bytes: await readFile(path) };
    } catch (cause) {
      const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
      const what = missing ? `${path} does not exist` : `${path} cannot be read: ${messageOf(cause)}`;
      throw new TomeiError(missing ? `${noun}.missing` : `${noun}.unreadable`, `${vmx}:${line}: ${key}: ${what}`, {
        cause,
        data: { file: path },
      });
    }
  },
});

async function openImage(path: string, readOnly: boolean): Promise<ImageFile> {
  const device = await openRaw(path, { readOnly });
  return closing(device, async () => ({ ...device, tail: await tailOf(path, device.sizeBytes) }));
}
/** The last bytes of a file, which make no whole sector. */
async function tailOf(path: string, from: number): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(new Uint8Array(SECTOR_BYTES - 1), 0, SECTOR_BYTES - 1, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
/** What is made of something open, which is closed when that fails. */
async function closing<T extends { close(): Promise<void> }, R>(
  opened: T,
  make: (opened: T) => Promise<R>,
): Promise<R> {
  try {
    return await make(opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}
/** A file that may not be written is a floppy disk with its notch open. */
async function openFloppyFile(file: FileReference, vmx: string): Promise<{ image: ImageFile; warning: string[] }> {
  try {
    return { image: await openImage(file.path, false), warning: [] };
  } catch (error) {
    if (!(error instanceof TomeiError) || error.code !== 'disk.read-only') throw error;
    const warning = `${vmx}:${file.line}: ${file.key}: ${file.fileName} may not be written: the guest finds a protected disk`;
    return { image: await openImage(file.path, true), warning: [warning] };
  }
}
