/** Files and disks of a disk-service for other packages. gRPC is loaded by the first call: this package is also that of `tomei run`. */
import type { RemoteDisk, RemoteDiskOptions } from './remote/remote-disk.ts';

/** Opens a disk for a run of a guest. Throws what disk-service says (`disk.missing`, `disk.leased`), `disk.unreachable`. */
export async function openRemoteDisk(options: RemoteDiskOptions): Promise<RemoteDisk> {
  const remote = await import('./remote/remote-disk.ts');
  return remote.openRemoteDisk(options);
}
/** The bytes of a file of the pool, at most `maxBytes`. Throws what disk-service says (`pool.*`), and `peer.*`. */
export async function fetchPoolFile(target: string, path: string, maxBytes: number): Promise<Uint8Array> {
  const remote = await import('./remote/pool-files.ts');
  return remote.fetchPoolFile(target, path, maxBytes);
}
