/**
 * A disk in memory: the twin of the real backend for tests, with what a test wants to decide itself: order, failure and
 * loss of power.
 */
import { type GuestMemory } from '../../machine/device.ts';
import { SECTOR_BYTES, type BlockBackend, type BlockRequest } from './block-backend.ts';

/**
 * Requests wait in `pending` until the test completes them, as those of a slow disk do, or are done at once with
 * `immediate`. Guest RAM is read and written when a request is completed, never before or after.
 */
export class MemoryDisk implements BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly id: string;
  /** What a read sees. */
  readonly data: Uint8Array;
  /** What is left after a loss of power: `data` as of the last flush. */
  readonly stable: Uint8Array;
  /** Submitted and not completed, oldest first. */
  readonly pending: BlockRequest[] = [];
  /** Everything ever submitted, oldest first. */
  readonly submitted: BlockRequest[] = [];
  private readonly memory: Pick<GuestMemory, 'view'>;
  private readonly immediate: boolean;
  private handler: (id: number, ok: boolean) => void = () => undefined;

  constructor(options: {
    /** RAM; with staging memory, where the device uses any (`Board.ioView`). */
    memory: Pick<GuestMemory, 'view'>;
    sectors: number;
    id?: string;
    readOnly?: boolean;
    immediate?: boolean;
    data?: Uint8Array;
  }) {
    this.memory = options.memory;
    this.sectors = options.sectors;
    this.id = options.id ?? 'memory-disk';
    this.readOnly = options.readOnly ?? false;
    this.immediate = options.immediate ?? false;
    this.data = options.data ?? new Uint8Array(options.sectors * SECTOR_BYTES);
    this.stable = this.data.slice();
  }

  onComplete(handler: (id: number, ok: boolean) => void): void {
    this.handler = handler;
  }

  submit(request: BlockRequest): void {
    this.pending.push(request);
    this.submitted.push(request);
    if (this.immediate) this.complete(request);
  }

  /** Does `request` and reports it; with `ok` false it fails and nothing is moved. */
  complete(request: BlockRequest, ok = true): void {
    this.pending.splice(this.pending.indexOf(request), 1);
    if (ok) this.carryOut(request);
    this.handler(request.id, ok);
  }

  /** Completes everything, oldest first, including what is submitted meanwhile. */
  completeAll(): void {
    for (let request = this.pending[0]; request !== undefined; request = this.pending[0]) this.complete(request);
  }

  private carryOut(request: BlockRequest): void {
    const start = request.sector * SECTOR_BYTES;
    const end = start + request.count * SECTOR_BYTES;
    if (request.kind === 'flush') this.stable.set(this.data);
    if (request.kind === 'discard' || request.kind === 'write-zeroes') this.data.fill(0, start, end);
    let at = start;
    for (const { address, length } of request.segments) {
      const guest = this.memory.view(address, length);
      if (request.kind === 'read') guest.set(this.data.subarray(at, at + length));
      else this.data.set(guest, at);
      at += length;
    }
  }
}
