/** Linear pages, each once. */
const PAGES = 1 << 20;

export class FilledPages {
  readonly pages = new Uint32Array(PAGES);
  count = 0;
  private readonly has = new Uint8Array(PAGES);

  add(page: number): void {
    if (this.has[page] !== 0) return;
    this.has[page] = 1;
    this.pages[this.count++] = page;
  }
  clear(): void {
    for (let i = 0; i < this.count; i++) this.has[this.pages[i]!] = 0;
    this.count = 0;
  }
}
