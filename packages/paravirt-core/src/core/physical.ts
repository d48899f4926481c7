/** What the processor reaches without a device: which guest-physical pages are memory, where, and whether they can be written. */

const PAGES = 1 << 20;
const WRITABLE = 1;

/** Guest-physical 4 KiB pages to addresses in linear memory. Pages that are not memory belong to devices. */
export class PhysicalMap {
  private readonly pages = new Uint32Array(PAGES);
  /** The address lines that leave the processor: with the A20 gate closed, bit 20 of every address is 0. */
  addressMask = 0xffffffff;

  /** Maps `size` bytes of linear memory at `host` to guest-physical `address`; all are multiples of 4096. */
  map(address: number, host: number, size: number, writable: boolean): void {
    if (((address | host | size) & 0xfff) !== 0) throw new RangeError('physical ranges are whole pages');
    for (let i = 0; i < size / 4096; i++)
      this.pages[address / 4096 + i] = (host + i * 4096 + (writable ? WRITABLE : 0)) >>> 0;
  }
  unmap(address: number, size: number): void {
    this.pages.fill(0, address / 4096, (address + size) / 4096);
  }
  /** Where the page of a guest-physical address lies in linear memory; 0 when it is no memory. */
  hostPage(address: number): number {
    return (this.pages[address >>> 12]! & ~0xfff) >>> 0;
  }
  isWritable(address: number): boolean {
    return (this.pages[address >>> 12]! & WRITABLE) !== 0;
  }
}
