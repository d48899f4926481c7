/** The store of a lab: one process, the same promises as RedisStore. */
import { Announced } from '../bus/listeners.ts';
import { checkKey, checkOwner, checkValue, conflict, prefixOf, unavailable } from './keys.ts';
import type { Entry, Lease, Store } from './store.ts';

export interface MemoryStoreOptions {
  /** Milliseconds, for leases to run out by. */
  readonly now?: () => number;
}

export class MemoryStore implements Store {
  private readonly now: () => number;
  private readonly connection = new Announced(true);
  private readonly entries = new Map<string, Entry>();
  private readonly leases = new Map<string, { readonly lease: Lease; readonly until: number }>();
  private readonly epochs = new Map<string, number>();
  private lastVersion = 0;

  constructor(options: MemoryStoreOptions = {}) {
    this.now = options.now ?? (() => performance.now());
  }

  /** For tests of what a service does without a store. */
  setConnected(connected: boolean): void {
    this.connection.set(connected);
  }
  onConnection(handler: (connected: boolean) => void): { close(): void } {
    const watching = this.connection.watch(handler);
    return { close: () => void watching.close() };
  }
  /** Everything happens in a later turn, as it does over a network. */
  private async reach(): Promise<void> {
    await Promise.resolve();
    if (!this.connection.value) throw unavailable('the store is disconnected');
  }

  async get(key: string): Promise<Entry | undefined> {
    checkKey(key);
    await this.reach();
    return this.entries.get(key);
  }
  async list(prefix: string): Promise<readonly Entry[]> {
    const start = prefixOf(prefix);
    await this.reach();
    return [...this.entries.values()]
      .filter(({ key }) => key.startsWith(start))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }
  async put(key: string, value: string, options: { readonly expect?: number } = {}): Promise<number> {
    checkKey(key);
    checkValue(key, value);
    await this.reach();
    this.check(key, options.expect);
    const version = ++this.lastVersion;
    this.entries.set(key, { key, value, version });
    return version;
  }
  async delete(key: string, options: { readonly expect?: number } = {}): Promise<boolean> {
    checkKey(key);
    await this.reach();
    this.check(key, options.expect);
    return this.entries.delete(key);
  }
  private check(key: string, expected: number | undefined): void {
    const version = this.entries.get(key)?.version ?? 0;
    if (expected !== undefined && expected !== version) throw conflict(key, expected, version);
  }

  async acquire(name: string, owner: string, ttlMs: number): Promise<Lease | undefined> {
    checkKey(name);
    checkOwner(owner);
    await this.reach();
    const held = this.held(name);
    if (held !== undefined && held.owner !== owner) return undefined;
    const epoch = held?.epoch ?? (this.epochs.get(name) ?? 0) + 1;
    this.epochs.set(name, epoch);
    const lease = { name, owner, epoch };
    this.leases.set(name, { lease, until: this.now() + ttlMs });
    return lease;
  }
  async renew(lease: Lease, ttlMs: number): Promise<boolean> {
    await this.reach();
    if (!this.isHeld(lease)) return false;
    this.leases.set(lease.name, { lease, until: this.now() + ttlMs });
    return true;
  }
  async release(lease: Lease): Promise<void> {
    await this.reach();
    if (this.isHeld(lease)) this.leases.delete(lease.name);
  }
  private held(name: string): Lease | undefined {
    const known = this.leases.get(name);
    return known !== undefined && known.until > this.now() ? known.lease : undefined;
  }
  private isHeld({ name, owner, epoch }: Lease): boolean {
    const held = this.held(name);
    return held?.epoch === epoch && held.owner === owner;
  }

  close(): Promise<void> {
    this.connection.set(false);
    return Promise.resolve();
  }
}
