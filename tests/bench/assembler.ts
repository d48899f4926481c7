/** Machine code for loops, put together by hand: bytes, numbers and labels. Addresses are linear, from an origin. */

interface Fixup {
  readonly at: number;
  readonly label: string;
  readonly relative: boolean;
}

export class Assembler {
  private readonly bytes: number[] = [];
  private readonly labels = new Map<string, number>();
  private readonly fixups: Fixup[] = [];
  private readonly origin: number;

  /** `origin`: the address at which the code will lie. */
  constructor(origin: number) {
    this.origin = origin;
  }

  /** Opcode bytes. */
  code(...bytes: readonly number[]): this {
    this.bytes.push(...bytes);
    return this;
  }
  /** A doubleword, little-endian. */
  dword(value: number): this {
    return this.code(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  }
  /** Names this place. */
  label(name: string): this {
    this.labels.set(name, this.bytes.length);
    return this;
  }
  /** Names an address outside of this code. */
  absolute(name: string, address: number): this {
    this.labels.set(name, address - this.origin);
    return this;
  }
  /** The address of a label as a doubleword. */
  address(label: string): this {
    return this.reference(label, false);
  }
  /** The distance from behind the doubleword to a label: the end of a near jump or call. */
  relative(label: string): this {
    return this.reference(label, true);
  }
  private reference(label: string, relative: boolean): this {
    this.fixups.push({ at: this.bytes.length, label, relative });
    return this.dword(0);
  }
  /** DEC ECX and a jump back while it is not zero. */
  countDown(label: string): this {
    return this.code(0x49).jump(0x5, label);
  }
  /** Jcc near: the condition by its number in the opcode (SDM vol. 2, Jcc). */
  jump(condition: number, label: string): this {
    return this.code(0x0f, 0x80 + condition).relative(label);
  }
  /** Where a label lies. Throws for one that was never set. */
  addressOf(label: string): number {
    const at = this.labels.get(label);
    if (at === undefined) throw new Error(`no label '${label}'`);
    return this.origin + at;
  }
  /** The finished code. */
  finish(): Uint8Array {
    const out = Uint8Array.from(this.bytes),
      data = new DataView(out.buffer);
    for (const { at, label, relative } of this.fixups) {
      data.setInt32(at, this.addressOf(label) - (relative ? this.origin + at + 4 : 0), true);
    }
    return out;
  }
}
