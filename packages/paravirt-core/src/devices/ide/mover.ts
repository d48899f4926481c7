/** A drive's way to its backend: one request at a time, and none before what was given up has ended. */
import type { GuestMemory } from '../../machine/device.ts';
import type { BlockBackend, BlockRequest } from '../virtio/block-backend.ts';
import type { Segment } from '../virtio/segments.ts';

interface Asked {
  readonly kind: 'read' | 'write' | 'flush';
  readonly sector: number;
  readonly count: number;
  readonly segments: readonly Segment[];
  readonly done: (ok: boolean) => void;
}

/**
 * A command that is given up (by a reset) may still be on its way: the I/O side writes to its memory until it has completed. What is
 * asked next waits for that, which the guest sees as a drive that is busy.
 */
export class Mover {
  private readonly memory: GuestMemory;
  private backend: BlockBackend | undefined;
  /** Requests that the backend has not completed. */
  private readonly owed = new Map<number, BlockRequest>();
  private current: { readonly id: number; readonly done: (ok: boolean) => void } | undefined;
  private waiting: Asked | undefined;
  private lastId = 0;

  constructor(memory: GuestMemory, backend: BlockBackend | undefined) {
    this.memory = memory;
    this.use(backend);
  }

  /** Goes over to another backend: what the old one still owes counts no more. */
  use(backend: BlockBackend | undefined): void {
    if (backend === this.backend) return;
    this.abandon();
    this.backend = backend;
    backend?.onComplete((id, ok) => this.completed(id, ok));
  }

  /** Asks for one thing; `done` is called once, perhaps before this returns. */
  ask(kind: Asked['kind'], sector: number, count: number, segments: readonly Segment[], done: Asked['done']): void {
    const asked = { kind, sector, count, segments, done };
    if (this.owed.size > 0) this.waiting = asked;
    else this.send(asked);
  }

  /** Nobody waits for what was asked any more. */
  abandon(): void {
    this.current = undefined;
    this.waiting = undefined;
  }

  private send({ kind, sector, count, segments, done }: Asked): void {
    const id = (this.lastId = (this.lastId + 1) >>> 0);
    if (this.backend === undefined) return done(false);
    const request: BlockRequest = { id, kind, sector, count, segments, unmap: false };
    this.owed.set(id, request);
    this.current = { id, done };
    this.backend.submit(request);
  }

  private completed(id: number, ok: boolean): void {
    const request = this.owed.get(id);
    if (request === undefined) return;
    this.owed.delete(id);
    // Whoever waits for it: the memory may hold new bytes, code among them.
    if (request.kind === 'read')
      for (const { address, length } of request.segments)
        if (address < this.memory.size) this.memory.written(address, length);
    const { current, waiting } = this;
    if (current?.id === id) {
      this.current = undefined;
      current.done(ok);
    } else if (this.owed.size === 0 && waiting !== undefined) {
      this.waiting = undefined;
      this.send(waiting);
    }
  }
}
