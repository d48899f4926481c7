/** Small boot images for tests, well-formed unless told otherwise. */

export interface TestSegment {
  offset?: number;
  vaddr?: number;
  paddr?: number;
  filesz?: number;
  memsz?: number;
  type?: number;
}

/** An executable whose program headers follow its header and whose data starts at byte 0x100. */
export function makeElf(headers: TestSegment[], entry = 0x10_0000, dataSize = 0x100): Uint8Array {
  const bytes = new Uint8Array(0x100 + dataSize);
  const data = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  data.setUint16(16, 2, true);
  data.setUint16(18, 3, true);
  data.setUint32(20, 1, true);
  data.setUint32(24, entry, true);
  data.setUint32(28, 52, true);
  data.setUint16(42, 32, true);
  data.setUint16(44, headers.length, true);
  headers.forEach((header, i) => {
    const { offset = 0x100, vaddr = 0x10_0000, paddr = vaddr, filesz = 0x80, memsz = filesz, type = 1 } = header;
    [type, offset, vaddr, paddr, filesz, memsz].forEach((word, k) => data.setUint32(52 + 32 * i + 4 * k, word, true));
  });
  for (let i = 0x100; i < bytes.length; i++) bytes[i] = i & 0xff;
  return bytes;
}

/** Writes a multiboot header with a right checksum into an image; `words` are the address fields. */
export function addMultibootHeader(image: Uint8Array, offset: number, flags: number, words: number[] = []): Uint8Array {
  const data = new DataView(image.buffer);
  const checksum = -(0x1bad_b002 + flags) >>> 0;
  [0x1bad_b002, flags, checksum, ...words].forEach((word, i) => data.setUint32(offset + 4 * i, word, true));
  return image;
}

/** Fields of a bzImage's setup header, under their names in boot.rst. */
export interface BzImageFields {
  version?: number;
  setupSects?: number;
  bootFlag?: number;
  magic?: number;
  loadflags?: number;
  relocatable?: number;
  alignment?: number;
  prefAddress?: number;
  initSize?: number;
  initrdAddrMax?: number;
  cmdlineSize?: number;
  syssize?: number;
  payload?: number;
}

/** A bzImage with the setup header of a 6.1 kernel, one setup sector, and 0x2000 bytes of payload counting up. */
export function makeBzImage(fields: BzImageFields = {}): Uint8Array {
  const { setupSects = 1, payload = 0x2000 } = fields;
  const bytes = new Uint8Array((setupSects + 1) * 512 + payload);
  const data = new DataView(bytes.buffer);
  data.setUint8(0x1f1, setupSects);
  data.setUint32(0x1f4, fields.syssize ?? payload / 16, true);
  data.setUint16(0x1fe, fields.bootFlag ?? 0xaa55, true);
  data.setUint16(0x200, 0x6aeb, true);
  data.setUint32(0x202, fields.magic ?? 0x5372_6448, true);
  data.setUint16(0x206, fields.version ?? 0x20f, true);
  data.setUint8(0x211, fields.loadflags ?? 1);
  data.setUint32(0x214, 0x10_0000, true);
  data.setUint32(0x22c, fields.initrdAddrMax ?? 0x7fff_ffff, true);
  data.setUint32(0x230, fields.alignment ?? 0x20_0000, true);
  data.setUint8(0x234, fields.relocatable ?? 1);
  data.setUint32(0x238, fields.cmdlineSize ?? 2047, true);
  data.setUint32(0x258, fields.prefAddress ?? 0x100_0000, true);
  data.setUint32(0x260, fields.initSize ?? 0x30_0000, true);
  for (let i = 0; i < payload; i++) bytes[(setupSects + 1) * 512 + i] = i & 0xff;
  return bytes;
}
