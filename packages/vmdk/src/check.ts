/** Looking over a disk for damage, without changing it: for `tomei disk check`. */
import { realpath } from 'node:fs/promises';
import { messageOf, TomeiError } from '@tomei/kit';
import { checkSparse } from './check-sparse.ts';
import { hostError } from './host-file.ts';
import { layOut } from './layout.ts';
import { lockHolder } from './lock.ts';
import { SparseExtent } from './sparse-extent.ts';
import { StreamExtent } from './stream-extent.ts';

/** An error loses or mixes up data; a warning wastes room or says that somebody was interrupted. */
export interface VmdkProblem {
  readonly severity: 'error' | 'warning';
  /** Stable, e.g. `vmdk.grain-overlap`. */
  readonly code: string;
  /** Names the file and the place. */
  readonly message: string;
}
export interface VmdkCheck {
  readonly path: string;
  readonly problems: readonly VmdkProblem[];
  /** No errors. */
  readonly ok: boolean;
  /** Grains that hold data, over all sparse extents. */
  readonly grains: number;
}

/** Never throws for what is wrong with the disk: what keeps it from being opened is a problem of the list. */
export async function checkVmdk(path: string, options: { allowOutsideExtents?: boolean } = {}): Promise<VmdkCheck> {
  const problems: VmdkProblem[] = [];
  let grains = 0;
  try {
    const real = await realpath(path).catch((error: unknown) => {
      throw hostError(error, path, 'read');
    });
    const lock = await lockHolder(real);
    if (lock?.alive === true) {
      const message = `${path} is in use by process ${lock.holder.pid}: what is found may be changing under way`;
      problems.push({ severity: 'warning', code: 'disk.locked', message });
    }
    const layout = await layOut(real, { writable: false, outside: options.allowOutsideExtents ?? false });
    try {
      for (const message of layout.warnings) problems.push({ severity: 'warning', code: 'vmdk.unclean', message });
      for (const { device } of layout.extents) {
        if (device instanceof SparseExtent || device instanceof StreamExtent)
          grains += await checkSparse(device, problems);
      }
    } finally {
      await Promise.allSettled([...layout.extents.map((e) => e.device.close()), layout.place?.file.close()]);
    }
  } catch (error) {
    if (!(error instanceof TomeiError)) throw error;
    problems.push({ severity: 'error', code: error.code, message: messageOf(error) });
  }
  return { path, problems, ok: !problems.some((p) => p.severity === 'error'), grains };
}
