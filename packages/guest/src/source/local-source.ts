/** A guest whose files lie on this machine. */
import { readFile } from 'node:fs/promises';
import { TomeiError, messageOf } from '@tomei/kit';
import { openVmdk } from '@tomei/vmdk';
import { loadVmx } from '@tomei/vmx';
import type { BootFile, GuestSource } from './guest-source.ts';

export const localSource = (vmx: string): GuestSource => ({
  vmx,
  config: () => loadVmx(vmx),
  openDisk: (_, file) => openVmdk(file.path),
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
