/** The I/O thread's side of the disk rings: takes requests, works on several at once, and reports each when it is done. */
import { ByteRing, TomeiError, type Doorbell } from '@tomei/kit';
import { SECTOR_BYTES } from '@tomei/paravirt-core';
import type { BlockDevice } from '@tomei/vmdk';
import { decodeRequest, encodeCompletion, type DiskRequest } from './disk-messages.ts';
import { RUNG_FOR } from './protocol.ts';

/** Zeros are written in pieces of this size. */
const ZERO_CHUNK = 1 << 20;
/** Messages name a disk by a byte. */
const LAST_DISK = 255;

export class DiskServer {
  private readonly disks: (BlockDevice | undefined)[];
  private readonly reach: Uint8Array;
  private readonly requests: ByteRing;
  private readonly completions: ByteRing;
  private readonly vcpuBell: Doorbell;
  private readonly onTrouble: (disk: number, error: TomeiError) => void;
  private readonly finished: Uint8Array[] = [];
  private readonly running = new Set<Promise<void>>();
  /** Disk and error code of what `onTrouble` was told. */
  private readonly told = new Set<string>();

  /** `onTrouble` hears of the first failure of each kind on each disk; the guest sees an I/O error each time. */
  constructor(parts: {
    disks: readonly BlockDevice[];
    /** RAM from guest-physical 0, with the devices' staging memory behind it. */
    reach: Uint8Array;
    requests: SharedArrayBuffer;
    completions: SharedArrayBuffer;
    vcpuBell: Doorbell;
    onTrouble: (disk: number, error: TomeiError) => void;
  }) {
    this.disks = [...parts.disks];
    this.reach = parts.reach;
    this.requests = new ByteRing(parts.requests);
    this.completions = new ByteRing(parts.completions);
    this.vcpuBell = parts.vcpuBell;
    this.onTrouble = parts.onTrouble;
  }

  /** Takes a further disk and returns its number; undefined when there is none left. */
  add(disk: BlockDevice): number | undefined {
    const free = this.disks.indexOf(undefined),
      number = free < 0 ? this.disks.length : free;
    if (number > LAST_DISK) return undefined;
    this.disks[number] = disk;
    return number;
  }
  /** Gives a number back when nothing of its disk is in flight; nobody may ask for more of it. */
  async remove(number: number): Promise<void> {
    await this.drained();
    this.disks[number] = undefined;
  }
  /** Starts every request that waits. Call when the I/O bell rings. */
  poll(): void {
    this.report();
    for (let message = this.requests.readMessage(); message !== undefined; message = this.requests.readMessage()) {
      const request = decodeRequest(message);
      const work = this.serve(request).finally(() => this.running.delete(work));
      this.running.add(work);
    }
  }
  /** Fulfilled when nothing is in flight. */
  async drained(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
  }

  private async serve(request: DiskRequest): Promise<void> {
    let ok = true;
    try {
      await this.carryOut(request);
    } catch (error) {
      ok = false;
      const known =
        error instanceof TomeiError
          ? error
          : new TomeiError('disk.io', `disk ${request.disk}: ${String(error)}`, { cause: error });
      const kind = `${request.disk} ${known.code}`;
      if (!this.told.has(kind)) this.onTrouble(request.disk, known);
      this.told.add(kind);
    }
    this.finished.push(encodeCompletion({ disk: request.disk, id: request.id, ok }));
    this.report();
  }
  /** What the ring has no room for goes with the next poll: the vCPU thread rings when it has made room by submitting more. */
  private report(): void {
    let any = false;
    while (this.finished.length > 0 && this.completions.writeMessage(this.finished[0]!)) {
      this.finished.shift();
      any = true;
    }
    if (any) this.vcpuBell.ring(RUNG_FOR.completions);
  }

  private async carryOut(request: DiskRequest): Promise<void> {
    const disk = this.disks[request.disk];
    if (disk === undefined) throw new TomeiError('disk.missing', `the guest has no disk ${request.disk}`);
    const start = request.sector * SECTOR_BYTES,
      length = request.count * SECTOR_BYTES;
    switch (request.kind) {
      case 'read':
        return this.transfer(request, start, (at, bytes) => disk.read(at, bytes));
      case 'write':
        return this.transfer(request, start, (at, bytes) => disk.write(at, bytes));
      case 'flush':
        return disk.flush();
      case 'discard':
        return disk.discard?.(start, length);
      case 'write-zeroes': {
        const zeros = new Uint8Array(Math.min(length, ZERO_CHUNK));
        for (let done = 0; done < length; done += zeros.length)
          await disk.write(start + done, zeros.subarray(0, Math.min(zeros.length, length - done)));
        return;
      }
      default:
        throw new TomeiError('disk.bad-request', 'a disk request asks for nothing that there is');
    }
  }
  /** Segment by segment where each is whole sectors, as drivers send them; else through a buffer of its own. */
  private async transfer(
    request: DiskRequest,
    start: number,
    access: (at: number, bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const windows = request.segments.map(({ address, length }) => {
      const inside = Number.isSafeInteger(address) && address >= 0 && address + length <= this.reach.length;
      if (!inside) throw new TomeiError('disk.bad-request', 'a disk request points outside of guest memory');
      return this.reach.subarray(address, address + length);
    });
    const bytes = windows.reduce((sum, window) => sum + window.length, 0);
    if (bytes !== request.count * SECTOR_BYTES)
      throw new TomeiError(
        'disk.bad-request',
        `a disk request of ${request.count} sectors has ${bytes} bytes of memory`,
      );
    if (windows.every((w) => w.length % SECTOR_BYTES === 0)) {
      let at = start;
      for (const window of windows) {
        await access(at, window);
        at += window.length;
      }
      return;
    }
    const whole = new Uint8Array(request.count * SECTOR_BYTES);
    if (request.kind === 'write') copyAll(windows, (window, at) => whole.set(window, at));
    await access(start, whole);
    if (request.kind === 'read') copyAll(windows, (window, at) => window.set(whole.subarray(at, at + window.length)));
  }
}

function copyAll(windows: readonly Uint8Array[], copy: (window: Uint8Array, at: number) => void): void {
  let at = 0;
  for (const window of windows) {
    copy(window, at);
    at += window.length;
  }
}
