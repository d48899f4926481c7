/** What the processor reaches without a device: which guest-physical pages are memory, where, and whether they can be written. */

const PAGES = 1 << 20;
const WRITABLE = 1;

/** Guest-physical 4 KiB pages to addresses in linear memory. Pages that are not memory belong to devices. */
export class PhysicalMap {
  private readonly pages = new Uint32Array(PAGES);
  /** A page that registers of the processor's own cover, and what would be there. */
  private covered = -1;
  private below = 0;
  /** The address lines that leave the processor: with the A20 gate closed, bit 20 of every address is 0. */
  addressMask = 0xffffffff;

  /** Maps `size` bytes of linear memory at `host` to guest-physical `address`; all are multiples of 4096. */
  map(address: number, host: number, size: number, writable: boolean): void {
    if (((address | host | size) & 0xfff) !== 0) throw new RangeError('physical ranges are whole pages');
    const covered = this.covered;
    this.cover(undefined);
    for (let i = 0; i < size / 4096; i++)
      this.pages[address / 4096 + i] = (host + i * 4096 + (writable ? WRITABLE : 0)) >>> 0;
    if (covered >= 0) this.cover(covered * 4096);
  }
  unmap(address: number, size: number): void {
    this.pages.fill(0, address / 4096, (address + size) / 4096);
    if (this.covered >= address / 4096 && this.covered < (address + size) / 4096) this.below = 0;
  }
  /** Makes one page no memory, whatever is or will be mapped there, instead of the one before; undefined for none. */
  cover(address: number | undefined): void {
    if (this.covered >= 0) this.pages[this.covered] = this.below;
    this.covered = address === undefined || address > 0xffff_ffff ? -1 : address >>> 12;
    if (this.covered < 0) return;
    this.below = this.pages[this.covered]!;
    this.pages[this.covered] = 0;
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
