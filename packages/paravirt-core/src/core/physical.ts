/** What the processor reaches without a device: which guest-physical pages are memory, where, and whether they can be written. */

const PAGES = 1 << 20;
const WRITABLE = 1;

/** Guest-physical 4 KiB pages to addresses in linear memory. Pages that are not memory belong to devices. */
export class PhysicalMap {
  private readonly pages = new Uint32Array(PAGES);
  /** Pages that registers of the processors' own cover, and what would be there. */
  private readonly covered = new Map<number, number>();
  /** The address lines that leave the processor: with the A20 gate closed, bit 20 of every address is 0. */
  addressMask = 0xffffffff;

  /** Maps `size` bytes of linear memory at `host` to guest-physical `address`; all are multiples of 4096. */
  map(address: number, host: number, size: number, writable: boolean): void {
    if (((address | host | size) & 0xfff) !== 0) throw new RangeError('physical ranges are whole pages');
    const covered = this.uncover();
    for (let i = 0; i < size / 4096; i++)
      this.pages[address / 4096 + i] = (host + i * 4096 + (writable ? WRITABLE : 0)) >>> 0;
    this.cover(covered);
  }
  unmap(address: number, size: number): void {
    this.pages.fill(0, address / 4096, (address + size) / 4096);
    for (const page of this.covered.keys())
      if (page >= address / 4096 && page < (address + size) / 4096) this.covered.set(page, 0);
  }
  /** Makes the pages of these addresses no memory, whatever is or will be mapped there, instead of those before. */
  cover(addresses: readonly number[]): void {
    this.uncover();
    for (const address of addresses) {
      const page = address >>> 12;
      if (address > 0xffff_ffff || this.covered.has(page)) continue;
      this.covered.set(page, this.pages[page]!);
      this.pages[page] = 0;
    }
  }
  /** Shows what is mapped everywhere, and returns the addresses that were covered. */
  private uncover(): readonly number[] {
    const covered = [...this.covered];
    for (const [page, below] of covered) this.pages[page] = below;
    this.covered.clear();
    return covered.map(([page]) => page * 4096);
  }
  /** Where the page of a guest-physical address lies in linear memory; 0 when it is no memory, as all above 4 GiB. */
  hostPage(address: number): number {
    if (address > 0xffff_ffff) return 0;
    return (this.pages[address >>> 12]! & ~0xfff) >>> 0;
  }
  isWritable(address: number): boolean {
    return (this.pages[address >>> 12]! & WRITABLE) !== 0;
  }
}
