import { describe, expect, it } from 'vitest';
import type { PortClaim, Width } from './device.ts';
import { PortSpace } from './port-space.ts';

/** Registers that answer their offset plus `tag` in each byte and write down what they are given. */
function registers(base: number, count: number, tag: number, extra: Partial<PortClaim> = {}) {
  const log: string[] = [];
  const claim: PortClaim = {
    base,
    count,
    ...extra,
    read: (offset: number, width: Width) => {
      log.push(`r${width}@${offset}`);
      let value = 0;
      for (let i = 0; i < width; i++) value += (tag + offset + i) * 2 ** (8 * i);
      return value;
    },
    write: (offset: number, width: Width, value: number) => void log.push(`w${width}@${offset}=${value.toString(16)}`),
  };
  return { claim, log };
}

describe('PortSpace', () => {
  it('routes an access to its claim by offset', () => {
    const space = new PortSpace();
    const { claim, log } = registers(0x3f8, 8, 0x10);
    space.claim('uart', claim);

    expect(space.read(0x3fd, 1)).toBe(0x15);
    expect(space.read(0x3f8, 4)).toBe(0x13121110);
    space.write(0x3fa, 2, 0x1_beef);
    expect(log).toEqual(['r1@5', 'r4@0', 'w2@2=beef']);
  });

  it('answers all ones where nothing is, and says so once', () => {
    const seen: string[] = [];
    const space = new PortSpace((kind, port, width, value) => seen.push(`${kind} ${port} ${width} ${value}`));

    expect([space.read(0x80, 1), space.read(0x81, 2), space.read(0xfffe, 4)]).toEqual([0xff, 0xffff, 0xffff_ffff]);
    space.write(0x80, 4, 5);
    expect(seen).toEqual(['read 128 1 255', 'read 129 2 65535', 'read 65534 4 4294967295', 'write 128 4 5']);
  });

  it('splits what crosses claims, is misaligned or wider than the unit, lowest address first', () => {
    const space = new PortSpace();
    const a = registers(0x20, 2, 0xa0, { unit: 1 });
    const b = registers(0x22, 2, 0xb0);
    space.claim('a', a.claim);
    space.claim('b', b.claim);

    expect(space.read(0x20, 4)).toBe(0xb1b0a1a0);
    expect(space.read(0x21, 2)).toBe(0xb0a1);
    space.write(0x20, 4, 0x44332211);
    expect(a.log).toEqual(['r1@0', 'r1@1', 'r1@1', 'w1@0=11', 'w1@1=22']);
    expect(b.log).toEqual(['r2@0', 'r1@0', 'w2@0=4433']);
    expect(space.read(0x23, 2)).toBe(0xffb1);
  });

  it('gives dword accesses at an exact claim to it and all others to whoever lies there', () => {
    const space = new PortSpace();
    const address = registers(0xcf8, 4, 1, { exactly: 4 });
    const reset = registers(0xcf9, 1, 0x90);
    space.claim('pci', address.claim);
    space.claim('reset', reset.claim);

    space.write(0xcf8, 4, 0x80000000);
    space.write(0xcf9, 1, 6);
    expect(space.read(0xcf8, 2)).toBe(0x90ff);
    expect(address.log).toEqual(['w4@0=80000000']);
    expect(reset.log).toEqual(['w1@0=6', 'r1@0']);
  });

  it('refuses two fixed claims on one port and claims outside the space', () => {
    const space = new PortSpace();
    space.claim('first', registers(0x60, 5, 0).claim);

    expect(() => space.claim('second', registers(0x64, 1, 0).claim)).toThrow(
      expect.objectContaining({ code: 'port.claimed' }),
    );
    expect(() => space.claim('third', registers(0xffff, 2, 0).claim)).toThrow(
      expect.objectContaining({ code: 'port.out-of-range' }),
    );
  });

  it('lets fixed claims shadow movable ones, and gives the ports back on release', () => {
    const space = new PortSpace();
    const older = space.claim('older', registers(0x1000, 16, 0x10).claim, 0);
    space.claim('newer', registers(0x1008, 16, 0x40).claim, 1);
    space.claim('fixed', registers(0x1004, 1, 0x70).claim);

    expect([space.read(0x1004, 1), space.read(0x1008, 1), space.read(0x1010, 1)]).toEqual([0x70, 0x18, 0x48]);
    expect(space.read(0x1004, 4)).toBe(0x17161570);
    older.release();
    expect([space.read(0x1003, 1), space.read(0x1008, 1)]).toEqual([0xff, 0x40]);
    expect(space.ownerOf(0x1004)).toBe('fixed');
  });
});
