/** The I/O port space of the board: 65,536 ports, each answered by one claim or by the open bus (Intel SDM vol. 1, 19.3). */
import { TomeiError } from '@tomei/kit';
import type { PortClaim, Width } from './device.ts';

/** What a real bus floats to where nothing drives it, by access width. */
export const OPEN_BUS: Readonly<Record<Width, number>> = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff };

/** Told of each access that no claim answers, once per access of the guest. */
export type UnclaimedAccess = (kind: 'read' | 'write', address: number, width: Width, value: number) => void;

/** A claim that is in force; `release` gives its ports back. */
export interface Claimed {
  release(): void;
}

interface Holder {
  readonly owner: string;
  readonly claim: PortClaim;
  /** See `claim`. */
  readonly movable: number | undefined;
}

const PORTS = 0x1_0000;

export class PortSpace {
  /** For each port the index of its holder, 0 for the open bus. */
  private readonly table = new Uint16Array(PORTS);
  private readonly holders: (Holder | undefined)[] = [undefined];
  private readonly whole = new Map<number, PortClaim>();
  private readonly unclaimed: UnclaimedAccess | undefined;

  constructor(unclaimed?: UnclaimedAccess) {
    this.unclaimed = unclaimed;
  }

  /**
   * Puts `claim` into force for `owner`; with a number it is `movable` by the guest (a PCI BAR). Where a movable claim overlaps
   * another, the fixed claim answers, then the lower number.
   * @throws TomeiError `port.out-of-range`, or `port.claimed` when two fixed claims overlap.
   */
  claim(owner: string, claim: PortClaim, movable?: number): Claimed {
    const { base, count } = claim;
    if (!Number.isInteger(base) || !Number.isInteger(count) || base < 0 || count < 1 || base + count > PORTS) {
      throw new TomeiError('port.out-of-range', `${owner}: ports ${base} + ${count} do not lie within 0..0xffff`);
    }
    if (claim.exactly !== undefined) return this.claimWhole(owner, claim);
    if (movable === undefined) this.refuseOverlap(owner, claim);

    let index = this.holders.indexOf(undefined, 1);
    if (index < 0) index = this.holders.length;
    this.holders[index] = { owner, claim, movable };
    this.fill(base, count);
    return {
      release: () => {
        this.holders[index] = undefined;
        this.fill(base, count);
      },
    };
  }

  /** The owner of a port, or undefined for the open bus. */
  ownerOf(port: number): string | undefined {
    return this.holders[this.table[port & 0xffff]!]?.owner;
  }

  /** Reads `width` bytes at `port`; unsigned. Never throws. Ports wrap at 0xffff. */
  read(port: number, width: Width): number {
    port &= 0xffff;
    if (width === 4) {
      const whole = this.whole.get(port);
      if (whole !== undefined) return whole.read(0, 4);
    }
    const holder = this.sole(port, width);
    if (holder !== undefined) return holder.claim.read(port - holder.claim.base, width);
    if (this.isOpen(port, width)) {
      this.unclaimed?.('read', port, width, OPEN_BUS[width]);
      return OPEN_BUS[width];
    }
    const half = (width >> 1) as Width;
    const low = this.read(port, half);
    return (low | (this.read(port + half, half) << (8 * half))) >>> 0;
  }

  /** Writes the low `width` bytes of `value`. Never throws. */
  write(port: number, width: Width, value: number): void {
    port &= 0xffff;
    if (width === 4) {
      const whole = this.whole.get(port);
      if (whole !== undefined) return whole.write(0, 4, value >>> 0);
    }
    const cut = (value & OPEN_BUS[width]) >>> 0;
    const holder = this.sole(port, width);
    if (holder !== undefined) return holder.claim.write(port - holder.claim.base, width, cut);
    if (this.isOpen(port, width)) return this.unclaimed?.('write', port, width, cut);
    const half = (width >> 1) as Width;
    this.write(port, half, cut);
    this.write(port + half, half, cut >>> (8 * half));
  }

  /** Many reads of one port in a row; returns how many bytes it moved, 0 where the claim takes single accesses only. */
  readBlock(port: number, width: Width, into: Uint8Array): number {
    const claim = this.sole(port & 0xffff, width)?.claim;
    return claim?.readBlock?.((port & 0xffff) - claim.base, width, into) ?? 0;
  }
  writeBlock(port: number, width: Width, from: Uint8Array): number {
    const claim = this.sole(port & 0xffff, width)?.claim;
    return claim?.writeBlock?.((port & 0xffff) - claim.base, width, from) ?? 0;
  }

  /** The holder that can take the access in one piece: aligned, all ports its own, no wider than its unit. */
  private sole(port: number, width: Width): Holder | undefined {
    const index = this.table[port]!;
    const holder = this.holders[index];
    if (holder === undefined || width === 1) return holder;
    if ((port & (width - 1)) !== 0 || width > (holder.claim.unit ?? 4)) return undefined;
    for (let i = 1; i < width; i++) if (this.table[port + i] !== index) return undefined;
    return holder;
  }

  private isOpen(port: number, width: Width): boolean {
    for (let i = 0; i < width; i++) if (this.table[(port + i) & 0xffff] !== 0) return false;
    return true;
  }

  private claimWhole(owner: string, claim: PortClaim): Claimed {
    if (this.whole.has(claim.base)) {
      throw new TomeiError('port.claimed', `${owner}: port 0x${claim.base.toString(16)} is claimed already`);
    }
    this.whole.set(claim.base, claim);
    return { release: () => void this.whole.delete(claim.base) };
  }

  private refuseOverlap(owner: string, { base, count }: PortClaim): void {
    for (const other of this.holders) {
      if (other === undefined || other.movable !== undefined) continue;
      if (base < other.claim.base + other.claim.count && other.claim.base < base + count) {
        throw new TomeiError(
          'port.claimed',
          `${owner} and ${other.owner} both claim ports at 0x${Math.max(base, other.claim.base).toString(16)}; move one of them`,
          { data: { owner, other: other.owner } },
        );
      }
    }
  }

  /** Recomputes who holds a range: fixed claims first, then movable ones by number. */
  private fill(base: number, count: number): void {
    this.table.fill(0, base, base + count);
    const rank = ({ movable = -1 }: Holder): number => movable;
    const within = [...this.holders.entries()].filter((entry): entry is [number, Holder] => {
      const [, holder] = entry;
      return holder !== undefined && holder.claim.base < base + count && base < holder.claim.base + holder.claim.count;
    });
    // Those that answer come last, over the others.
    for (const [i, { claim }] of within.sort(([, a], [, b]) => rank(b) - rank(a)))
      this.table.fill(i, Math.max(base, claim.base), Math.min(base + count, claim.base + claim.count));
  }
}
