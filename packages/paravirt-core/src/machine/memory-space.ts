/**
 * Trapped guest-physical ranges: device registers that live in memory. RAM is not here; whoever runs the processor asks this
 * space only for addresses that are not RAM.
 */
import { TomeiError } from '@tomei/kit';
import type { MemoryClaim, Width } from './device.ts';
import { OPEN_BUS, type Claimed, type UnclaimedAccess } from './port-space.ts';

interface Holder {
  readonly owner: string;
  readonly claim: MemoryClaim;
  /** See `claim`. */
  readonly movable: number | undefined;
}
/** A stretch `base .. end - 1` that one holder answers. */
interface Segment {
  readonly base: number;
  readonly end: number;
  readonly holder: Holder;
}

/** One trapped stretch, for those who draw maps. */
export interface TrappedRange {
  readonly owner: string;
  readonly base: number;
  readonly size: number;
}

/** Physical addresses have at most 52 bits (Intel SDM vol. 3, 4.1.4). */
const ADDRESS_LIMIT = 2 ** 52;

export class MemorySpace {
  private readonly holders: Holder[] = [];
  private segments: readonly Segment[] = [];
  private last: Segment | undefined;
  private readonly unclaimed: UnclaimedAccess | undefined;
  private readonly changed: (() => void) | undefined;

  /** `changed` is called after every claim and release, when addresses that the processor looked up may mean something else. */
  constructor(unclaimed?: UnclaimedAccess, changed?: () => void) {
    this.unclaimed = unclaimed;
    this.changed = changed;
  }

  /**
   * Puts `claim` into force for `owner`; with a number it is `movable` by the guest (a PCI BAR). Where a movable claim overlaps
   * another, the fixed claim answers, then the lower number, then the older one; one that is `first` answers before all.
   * @throws TomeiError `memory.out-of-range`, or `memory.claimed` when two fixed claims overlap.
   */
  claim(owner: string, claim: MemoryClaim, movable?: number): Claimed {
    const { base, size } = claim;
    if (
      !Number.isSafeInteger(base) ||
      !Number.isSafeInteger(size) ||
      base < 0 ||
      size < 1 ||
      base + size > ADDRESS_LIMIT
    ) {
      throw new TomeiError('memory.out-of-range', `${owner}: addresses ${base} + ${size} do not lie within 52 bits`);
    }
    const clash =
      movable !== undefined
        ? undefined
        : this.holders.find(
            (h) => h.movable === undefined && base < h.claim.base + h.claim.size && h.claim.base < base + size,
          );
    if (clash !== undefined) {
      throw new TomeiError(
        'memory.claimed',
        `${owner} and ${clash.owner} both claim memory at 0x${Math.max(base, clash.claim.base).toString(16)}; move one of them`,
        { data: { owner, other: clash.owner } },
      );
    }
    const holder = { owner, claim, movable };
    this.holders.push(holder);
    this.rebuild();
    return {
      release: () => {
        const at = this.holders.indexOf(holder);
        if (at >= 0) this.holders.splice(at, 1);
        this.rebuild();
      },
    };
  }

  /** Looks again where claims lie: one has moved. */
  refresh(): void {
    this.rebuild();
  }

  /** Whether a device answers at `address`. */
  isClaimed(address: number): boolean {
    return this.find(address) !== undefined;
  }

  /** All trapped stretches by ascending address. */
  ranges(): TrappedRange[] {
    return this.segments.map(({ base, end, holder }) => ({ owner: holder.owner, base, size: end - base }));
  }

  /** Reads `width` bytes; unsigned. Never throws. */
  read(address: number, width: Width): number {
    const segment = this.find(address);
    if (segment !== undefined && fits(segment, address, width)) {
      return segment.holder.claim.read(address - segment.holder.claim.base, width);
    }
    if (segment === undefined && this.isOpen(address, width)) {
      this.unclaimed?.('read', address, width, OPEN_BUS[width]);
      return OPEN_BUS[width];
    }
    const half = (width >> 1) as Width;
    const low = this.read(address, half);
    return (low | (this.read(address + half, half) << (8 * half))) >>> 0;
  }

  /** Writes the low `width` bytes of `value`. Never throws. */
  write(address: number, width: Width, value: number): void {
    const cut = (value & OPEN_BUS[width]) >>> 0;
    const segment = this.find(address);
    if (segment !== undefined && fits(segment, address, width)) {
      return segment.holder.claim.write(address - segment.holder.claim.base, width, cut);
    }
    if (segment === undefined && this.isOpen(address, width)) return this.unclaimed?.('write', address, width, cut);
    const half = (width >> 1) as Width;
    this.write(address, half, cut);
    this.write(address + half, half, cut >>> (8 * half));
  }

  private isOpen(address: number, width: Width): boolean {
    return width === 1 || this.find(address + width - 1) === undefined;
  }

  private find(address: number): Segment | undefined {
    const last = this.last;
    if (last !== undefined && address >= last.base && address < last.end) return last;
    let low = 0;
    let high = this.segments.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const segment = this.segments[middle]!;
      if (address < segment.base) high = middle - 1;
      else if (address >= segment.end) low = middle + 1;
      else return (this.last = segment);
    }
    return undefined;
  }

  /** Cuts the claims into disjoint segments at every boundary; a machine has a few dozen claims and moves them rarely. */
  private rebuild(): void {
    const rank = ({ claim, movable }: Holder): number =>
      claim.first === true ? 0 : movable === undefined ? 1 : 2 + movable;
    const byRank = this.holders.filter(({ claim }) => claim.size > 0).sort((a, b) => rank(a) - rank(b));
    const cuts = [...new Set(byRank.flatMap((h) => [h.claim.base, h.claim.base + h.claim.size]))].sort((a, b) => a - b);
    const segments: Segment[] = [];
    for (let i = 0; i + 1 < cuts.length; i++) {
      const base = cuts[i]!;
      const end = cuts[i + 1]!;
      const holder = byRank.find((h) => h.claim.base <= base && end <= h.claim.base + h.claim.size);
      if (holder === undefined) continue;
      const previous = segments.at(-1);
      if (previous?.holder === holder && previous.end === base) segments.splice(-1, 1, { ...previous, end });
      else segments.push({ base, end, holder });
    }
    this.segments = segments;
    this.last = undefined;
    this.changed?.();
  }
}

/** Whether the segment can take the access in one piece. A byte always fits, so splitting ends. */
function fits(segment: Segment, address: number, width: Width): boolean {
  return (
    width === 1 ||
    (address % width === 0 && address + width <= segment.end && width <= (segment.holder.claim.unit ?? 4))
  );
}
