/** State that outlives a service: Redis in a cluster, memory in a lab. Keys are `/`-separated paths; values are text. */

export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Grows with every change of this key. */
  readonly version: number;
}
/** Held by one owner at a time; it runs out unless it is renewed. */
export interface Lease {
  readonly name: string;
  readonly owner: string;
  /** Grows with every new holder: whoever comes with a lower one is late. */
  readonly epoch: number;
}

export interface Store {
  /** Whether it answers now. A handler is called at once with the state, then with each change. */
  onConnection(handler: (connected: boolean) => void): { close(): void };

  // All of the following throw `store.unavailable` (retryable) when the store cannot be reached in time.
  get(key: string): Promise<Entry | undefined>;
  /** All below a path, in the order of their keys. */
  list(prefix: string): Promise<readonly Entry[]>;
  /**
   * Writes and returns the new version. With `expect` only if the key has this version (0: is not there), else throws
   * `store.conflict` (retryable after reading again).
   */
  put(key: string, value: string, options?: { readonly expect?: number }): Promise<number>;
  /** False when it was not there. Throws as `put`. */
  delete(key: string, options?: { readonly expect?: number }): Promise<boolean>;

  /** The lease, or undefined while somebody else holds it. */
  acquire(name: string, owner: string, ttlMs: number): Promise<Lease | undefined>;
  /** False when it was lost. */
  renew(lease: Lease, ttlMs: number): Promise<boolean>;
  release(lease: Lease): Promise<void>;

  close(): Promise<void>;
}
