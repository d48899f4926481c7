/** Services that handlers call: control registers, ports, identity, model-specific registers, and what may not be done. */
import { beforeEach, describe, expect, it } from 'vitest';
import { EAX, EBX, ECX, EDX, EFLAGS, ESP, EXCEPTION } from '../isa/build.ts';
import { CR0, CR4 } from './cpu.ts';
import { TR } from './layout.ts';
import { AT, FLAT, SELECTOR, TestProcessor, le32 } from './test-processor.ts';

const { GP, UD } = EXCEPTION;
const t = new TestProcessor();
beforeEach(() => t.reset());
/** MOV EAX,n */
const mov = (n: number): number[] => [0xb8, ...le32(n)];
const TO_CR0 = [0x0f, 0x22, 0xc0],
  TO_CR4 = [0x0f, 0x22, 0xe0];
const faultOf = (...program: readonly number[]): string => {
  const { exception } = t.execute(...program);
  return exception === undefined ? 'none' : `${exception.vector}(${exception.code ?? ''})`;
};
const REFUSED = `${GP}(0)`;

describe('control registers', () => {
  it.each([
    ['paging without protection', (CR0.PG | CR0.ET) >>> 0, REFUSED],
    ['not-write-through without cache disable', CR0.PE | CR0.NW, REFUSED],
    ['both caching bits', CR0.PE | CR0.NW | CR0.CD, 'none'],
  ])('CR0 with %s', (_, value, fault) => {
    expect(faultOf(...mov(value), ...TO_CR0)).toBe(fault);
  });
  it('CR0 keeps ET set and bits that do not exist clear', () => {
    t.execute(...mov(CR0.PE | 0x1ff80 | CR0.NE), ...TO_CR0, 0x0f, 0x20, 0xc3);
    expect(t.register(EBX)).toBe(CR0.PE | CR0.ET | CR0.NE | CR0.WP);
  });
  it('CR4 refuses bits that this processor does not have', () => {
    expect(faultOf(...mov(CR4.PSE | CR4.PGE | CR4.OSFXSR), ...TO_CR4)).toBe('none');
    expect(faultOf(...mov(CR4.PAE | CR4.MCE | CR4.PCE | CR4.DE | CR4.TSD | CR4.OSXMMEXCPT), ...TO_CR4)).toBe('none');
    // VMXE, SMXE, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP and PKE are somebody else's.
    for (const bit of [11, 13, 14, 16, 17, 18, 20, 21, 22, 31])
      expect(faultOf(...mov((1 << bit) >>> 0), ...TO_CR4)).toBe(REFUSED);
  });
  it('LMSW sets PE and never clears it', () => {
    t.execute(...mov(0x0a), 0x0f, 0x01, 0xf0);
    expect(t.cpu.get('cr0') & 0xf).toBe(0x0b);
  });
  it('CLTS clears TS', () => {
    t.execute(...mov(CR0.PE | CR0.TS), ...TO_CR0, 0x0f, 0x06);
    expect([t.cpu.get('cr0') & CR0.TS, t.cpu.get('unitDenied') & 1]).toEqual([0, 0]);
  });
  it.each([
    ['MOV CR0', TO_CR0],
    ['MOV from CR3', [0x0f, 0x20, 0xd8]],
    ['MOV DR7', [0x0f, 0x23, 0xf8]],
    ['LGDT', [0x0f, 0x01, 0x15, ...le32(AT.data)]],
    ['INVLPG', [0x0f, 0x01, 0x3d, ...le32(AT.data)]],
    ['CLTS', [0x0f, 0x06]],
    ['LMSW', [0x0f, 0x01, 0xf0]],
    ['WBINVD', [0x0f, 0x09]],
    ['RDMSR', [0x0f, 0x32]],
    ['WRMSR', [0x0f, 0x30]],
    ['LTR', [0x0f, 0x00, 0xd8]],
    ['CLI', [0xfa]],
    ['STI', [0xfb]],
    ['IN', [0xec]],
  ])('%s is refused to users', (_, program) => {
    t.enterUser();
    expect(faultOf(...program)).toBe(REFUSED);
  });
});

describe('debug registers', () => {
  it('DR4 and DR5 are DR6 and DR7, and undefined with CR4.DE', () => {
    t.execute(...mov(0x123), 0x0f, 0x23, 0xe8, 0x0f, 0x21, 0xfb); // MOV DR5,EAX ; MOV EBX,DR7
    expect(t.register(EBX)).toBe(0x523);
    t.cr4(CR4.DE);
    expect(faultOf(0x0f, 0x21, 0xeb)).toBe(`${UD}()`);
  });
});

describe('ports', () => {
  const BITMAP = 0x68;
  /** A TSS with a permission bitmap that allows what `allowed` says. */
  function bitmap(limit: number, allowed: readonly number[]): void {
    t.ram.fill(0xff, AT.gdt + 0x100, AT.gdt + 0x200);
    t.cpu.setSegment(TR, SELECTOR.tss, AT.gdt + 0x100, limit, FLAT.tss);
    t.view.setUint16(AT.gdt + 0x100 + 102, BITMAP, true);
    for (const port of allowed) t.ram[AT.gdt + 0x100 + BITMAP + (port >> 3)]! &= ~(1 << (port & 7));
  }
  const IN: Record<number, readonly number[]> = { 1: [0xec], 2: [0x66, 0xed], 4: [0xed] };
  function read(port: number, bytes: number): boolean {
    t.cpu.setRegister(EDX, port);
    t.cpu.setRegister(ESP, AT.stack);
    t.enterUser();
    t.bus.log.length = 0;
    t.execute(...IN[bytes]!);
    return t.bus.log.length > 0;
  }

  it('are free for users whose IOPL is 3', () => {
    t.cpu.eflags = EFLAGS.IOPL;
    expect(read(0x60, 1)).toBe(true);
  });
  it('are otherwise allowed by the bitmap, for all bytes of an access', () => {
    bitmap(0x90, [0x20, 0x21, 0x22, 0x23, 0x27, 0x28]);
    expect([read(0x20, 1), read(0x22, 2), read(0x20, 4)]).toEqual([true, true, true]);
    expect([read(0x24, 1), read(0x23, 2), read(0x21, 4)]).toEqual([false, false, false]);
    expect(read(0x27, 2)).toBe(true); // over a byte of the bitmap
  });
  it('beyond the bitmap are refused, as is its last byte without one behind it', () => {
    bitmap(BITMAP + 4, [0x18, 0x20]);
    expect([read(0x18, 1), read(0x20, 1)]).toEqual([true, false]);
  });
  it('are refused by a 16-bit TSS and by one without room for the bitmap’s place', () => {
    bitmap(0x90, [0x20]);
    t.cpu.setSegment(TR, SELECTOR.tss, AT.gdt + 0x100, 0x90, 0x83);
    expect(read(0x20, 1)).toBe(false);
    bitmap(0x66, [0x20]);
    expect(read(0x20, 1)).toBe(false);
  });
  it('are read and written in the width of the instruction', () => {
    t.bus.answers.set(0x60, 0x11).set(0x61, 0x22).set(0x62, 0x33).set(0x63, 0x44);
    t.execute(0xe4, 0x60, 0x66, 0xe5, 0x60, 0xe5, 0x60, 0xe6, 0x70, 0x66, 0xe7, 0x70, 0xe7, 0x70);
    expect(t.bus.log).toEqual([
      'in1 00000060',
      'in2 00000060',
      'in4 00000060',
      'out1 00000070 11',
      'out2 00000070 2211',
      'out4 00000070 44332211',
    ]);
  });
});

describe('identity', () => {
  const cpuid = (leaf: number): number[] => {
    t.execute(...mov(leaf), 0x0f, 0xa2);
    return [EAX, EBX, ECX, EDX].map((i) => t.register(i));
  };
  it('names a vendor and the last leaf', () => {
    const [last, b, c, d] = cpuid(0) as [number, number, number, number];
    expect(new TextDecoder().decode(Uint8Array.from([b, d, c].flatMap(le32)))).toBe('GenuineIntel');
    expect(last).toBeGreaterThan(1);
  });
  it('offers only what there is: no long mode, no hyper-threading, no hypervisor', () => {
    const [, , c, d] = cpuid(1) as [number, number, number, number];
    expect([d & (1 << 28), c >>> 31, cpuid(0x8000_0001)[3]! & (1 << 29)]).toEqual([0, 0, 0]);
    for (const bit of [0, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26])
      expect(d & (1 << bit)).not.toBe(0);
  });
  it('brand leaves are text', () => {
    const text = [0x80000002, 0x80000003, 0x80000004].flatMap((leaf) => cpuid(leaf).flatMap(le32));
    expect(new TextDecoder().decode(Uint8Array.from(text)).replace(/\0+$/, '')).toMatch(/^[ -~]+$/);
  });
});

describe('model-specific registers', () => {
  it('SYSENTER’s keep what is written', () => {
    for (const [msr, value] of [
      [0x174, 8],
      [0x175, 0x1234],
      [0x176, 0x5678],
    ] as const) {
      t.execute(0xb9, ...le32(msr), ...mov(value), 0xba, ...le32(0), 0x0f, 0x30, 0x31, 0xc0, 0x0f, 0x32);
      expect([t.register(EAX), t.register(EDX)]).toEqual([value, 0]);
    }
  });
  it('those of features that are left out are #GP, and so are the CR4 bits', () => {
    const plain = new TestProcessor({ without: ['NX', 'MTRR', 'PAT', 'MCA', 'PAE', 'PGE'] });
    const refused = (...program: readonly number[]): boolean => {
      plain.reset();
      return plain.execute(...program).exception?.vector === EXCEPTION.GP;
    };
    for (const msr of [0xc000_0080, 0xfe, 0x2ff, 0x250, 0x200, 0x277, 0x179, 0x400])
      expect([msr, refused(0xb9, ...le32(msr), 0x0f, 0x32)]).toEqual([msr, true]);
    for (const bit of [CR4.PAE, CR4.PGE]) expect(refused(...mov(bit), ...TO_CR4)).toBe(true);
  });
  it('are as after power-on at a reset', () => {
    t.execute(0xb9, ...le32(0x2ff), 0xb8, ...le32(0xc06), 0x31, 0xd2, 0x0f, 0x30);
    const { msrs } = t.processor.system;
    const before = msrs.read(0x2ff);
    msrs.apicBase = 0xfee0_0000;
    t.reset();
    expect([before, msrs.read(0x2ff), msrs.apicBase]).toEqual([0xc06n, 0n, 0xfee0_0900]);
  });
  it('go through a saved state', () => {
    const { msrs } = t.processor.system;
    msrs.write(0x277, 0x0006_0606_0606_0606n);
    msrs.write(0x20f, 0xf_fff0_0800n);
    const state = msrs.save();
    msrs.reset();
    msrs.restore(state);
    expect([msrs.read(0x277), msrs.read(0x20f), msrs.save()]).toEqual([0x0006_0606_0606_0606n, 0xf_fff0_0800n, state]);
  });
  it('unknown ones are #GP, read and written', () => {
    expect(faultOf(0xb9, ...le32(0xc000_0081), 0x0f, 0x32)).toBe(REFUSED);
    expect(faultOf(0xb9, ...le32(0x9999), 0x0f, 0x30)).toBe(REFUSED);
  });
  it('the time stamp can be set, and goes on from there', () => {
    t.execute(0xb9, ...le32(0x10), ...mov(0x1234_5678), 0xba, ...le32(0x9a), 0x0f, 0x30, 0x31, 0xc0, 0x0f, 0x31);
    expect([t.register(EAX), t.register(EDX)]).toEqual([0x1234_5678, 0x9a]);
  });
  it('RDTSC is for the system alone with CR4.TSD', () => {
    t.cr4(CR4.TSD);
    expect(faultOf(0x0f, 0x31)).toBe('none');
    t.enterUser();
    expect(faultOf(0x0f, 0x31)).toBe(REFUSED);
  });
});
