/** Whole files of disk-service's pool: a `.vmx`, a kernel, an initrd. */
import { PoolService } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { rpcClient } from '@tomei/service';

/** A pool that gives nothing for so long is gone. */
const DEADLINE_MS = 60_000;

/**
 * The bytes of a file, by its place in the pool (`tiny/vmlinuz`). Throws what disk-service says (`pool.missing`, `pool.outside`,
 * `pool.too-large` when the file is longer than `maxBytes`), and `peer.*` when it cannot be reached.
 */
export async function fetchPoolFile(target: string, path: string, maxBytes: number): Promise<Uint8Array> {
  const client = rpcClient(PoolService, target);
  try {
    let whole = new Uint8Array(0),
      filled = 0,
      first = true;
    for await (const { sizeBytes, data } of client.calls.fetch({ path, maxBytes }, { deadlineMs: DEADLINE_MS })) {
      // What the other side says is checked before anything is allocated for it.
      if (first && sizeBytes > maxBytes) throw tooLarge(path, sizeBytes, maxBytes);
      if (first) whole = new Uint8Array(sizeBytes);
      first = false;
      if (filled + data.length > whole.length) throw tornFile(path);
      whole.set(data, filled);
      filled += data.length;
    }
    if (filled !== whole.length) throw tornFile(path);
    return whole;
  } finally {
    client.close();
  }
}

const tooLarge = (path: string, sizeBytes: number, maxBytes: number): TomeiError =>
  new TomeiError('pool.too-large', `${path} has ${sizeBytes} bytes; at most ${maxBytes} are taken here`, {
    data: { path, sizeBytes, maxBytes },
  });
const tornFile = (path: string): TomeiError =>
  new TomeiError('pool.changed', `${path} changed while it was read; try again`, { data: { path }, retryable: true });
