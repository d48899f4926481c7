/**
 * What systems do at every call, fault and interrupt, in WebAssembly: loading segment registers, SYSENTER and SYSEXIT, IRET, and
 * delivery through a gate, all between flat segments of protected mode, where nothing faults and all memory is in the TLB. Each function
 * either does what the core's own does in that case (segmentation.ts, transfer.ts, delivery.ts) and returns 1, or has changed nothing
 * and returns 0: the core does it then.
 */
import { CS, DS, ECX, EDX, EFLAGS, ES, ESP, FS, GS, SS } from '../../isa/build.ts';
import { OFFSET, SEGMENT, TLB, TR, segmentOffset } from '../layout.ts';
import { FlatBuild, readableOf, type FlatFunction } from './flat-build.ts';
import { bulkMove, bulkStore } from './flat-strings.ts';

/** Signatures, by the name of the service. `deliver` is what Delivery calls, the others what handlers do. */
export const FLAT_SERVICES = {
  loadSegment: 'ii:i',
  enterSystem: ':i',
  exitSystem: ':i',
  returnInterrupt: 'i:i',
  bulkMove: 'ii:i',
  bulkStore: 'i:i',
  deliver: 'iiii:i',
} as const;
export type FlatService = keyof typeof FLAT_SERVICES;

const gpr = (index: number): number => OFFSET.gpr + index * 8;
const DPL_SHIFT = 13,
  TSS_IS_32_BIT = 8;
/** A data segment that grows upwards, present and accessed: of the descriptor's second doubleword. */
const DATA = { mask: 0x9d00, value: 0x9100 },
  WRITABLE = 0x200,
  GRANULAR = 0x80_0000;
/** Base 0 and 4 GiB: of the second doubleword. */
const WHOLE = { mask: 0xff8f_00ff | 0, value: 0x008f_0000 };

/** (register, selector): MOV and POP to DS, ES, FS, GS. DS and ES stay flat; CS and SS are the core's. */
function loadSegment(cpuGlobal: number): FlatFunction {
  const b = new FlatBuild(2, cpuGlobal),
    { code } = b;
  const index = b.parameter(0),
    selector = b.parameter(1);
  const [low, high, at, dpl, limit] = [b.local(), b.local(), b.local(), b.local(), b.local()];
  const part = (name: keyof typeof SEGMENT): number => segmentOffset(0) + SEGMENT[name];
  const put = (name: keyof typeof SEGMENT, value: () => void): void => {
    code.get(at);
    value();
    code.memory('i32.store', part(name));
  };
  b.isFlat();
  code.get(index).i32(SS).op('i32.eq').get(index).i32(CS).op('i32.eq').op('i32.or');
  b.refuse();
  code.get(selector).i32(0xffff).op('i32.and').set(selector);
  b.segmentAt(index).set(at);
  code.get(index).i32(FS).op('i32.ge_u').get(selector).i32(4).op('i32.lt_u').op('i32.and').if();
  for (const name of ['base', 'limit', 'readBound', 'writeBound', 'attributes'] as const)
    put(name, () => void code.i32(0));
  put('selector', () => void code.get(selector));
  code.i32(1).return().end();
  b.descriptor(selector, low, high);
  code.get(high).i32(DATA.mask).op('i32.and').i32(DATA.value).op('i32.ne');
  b.refuse();
  code.get(high).i32(DPL_SHIFT).op('i32.shr_u').i32(3).op('i32.and').set(dpl);
  code.get(selector).i32(3).op('i32.and').get(dpl).op('i32.gt_u');
  b.field('cpl').get(dpl).op('i32.gt_u').op('i32.or');
  b.refuse();
  code.get(index).i32(FS).op('i32.lt_u').if();
  code
    .get(low)
    .i32(0xffff)
    .op('i32.ne')
    .get(high)
    .i32(WHOLE.mask | WRITABLE)
    .op('i32.and');
  code
    .i32(WHOLE.value | WRITABLE)
    .op('i32.ne')
    .op('i32.or');
  b.refuse();
  code.else();
  code.get(low).i32(16).op('i32.shr_u').get(high).i32(0xff).op('i32.and').i32(16).op('i32.shl').op('i32.or');
  code
    .get(high)
    .i32(0xff00_0000 | 0)
    .op('i32.and')
    .op('i32.or')
    .set(dpl);
  put('base', () => void code.get(dpl));
  code.get(low).i32(0xffff).op('i32.and').get(high).i32(0xf_0000).op('i32.and').op('i32.or').set(limit);
  code.get(limit).i32(12).op('i32.shl').i32(0xfff).op('i32.or').get(limit);
  code.get(high).i32(GRANULAR).op('i32.and').select().set(limit);
  put('limit', () => void code.get(limit));
  code.get(limit).i32(14).op('i32.sub').i32(0).get(limit).i32(14).op('i32.gt_u').select().set(limit);
  put('readBound', () => void code.get(limit));
  put('writeBound', () => void code.get(limit).i32(0).get(high).i32(WRITABLE).op('i32.and').select());
  code.end();
  put('selector', () => void code.get(selector));
  put('attributes', () => void b.attributesOf(high));
  return b.done();
}

const constant = (b: FlatBuild, n: number) => (): void => {
  b.code.i32(n);
};

function enterSystem(cpuGlobal: number): FlatFunction {
  const b = new FlatBuild(0, cpuGlobal);
  b.isFlat();
  b.field('sysenterCs').i32(0xfffc).op('i32.and').op('i32.eqz');
  b.refuse();
  b.setField('systemFlags', () => {
    b.field('systemFlags')
      .i32(~(EFLAGS.VM | EFLAGS.IF))
      .op('i32.and');
  });
  const selector = (n: number) => (): void => {
    b.field('sysenterCs').i32(0xfffc).op('i32.and').i32(n).op('i32.add').i32(0xffff).op('i32.and');
  };
  b.enter(
    0,
    { selector: selector(0), attributes: constant(b, 0xc09b), readable: constant(b, 1) },
    { selector: selector(8), attributes: constant(b, 0xc093) },
  );
  b.store(gpr(ESP), () => void b.field('sysenterEsp'));
  b.setField('eip', () => void b.field('sysenterEip'));
  return b.done();
}
function exitSystem(cpuGlobal: number): FlatFunction {
  const b = new FlatBuild(0, cpuGlobal);
  b.isFlat();
  b.field('sysenterCs').i32(0xfffc).op('i32.and').op('i32.eqz');
  b.refuse();
  // Alignment checks begin with it, perhaps.
  b.field('systemFlags')
    .i32(EFLAGS.AC | EFLAGS.VM)
    .op('i32.and');
  b.refuse();
  const selector = (n: number) => (): void => {
    b.field('sysenterCs').i32(n).op('i32.add').i32(3).op('i32.or').i32(0xffff).op('i32.and');
  };
  b.enter(
    3,
    { selector: selector(16), attributes: constant(b, 0xc0fb), readable: constant(b, 1) },
    { selector: selector(24), attributes: constant(b, 0xc0f3) },
  );
  b.store(gpr(ESP), () => void b.at(gpr(ECX)));
  b.setField('eip', () => void b.at(gpr(EDX)));
  return b.done();
}

/** Flags that IRET from CPL 0 loads besides the status flags, and those that the core looks at more closely. */
const LOADED = EFLAGS.DF | EFLAGS.IF | EFLAGS.IOPL | EFLAGS.ID | EFLAGS.TF | EFLAGS.NT | EFLAGS.AC | EFLAGS.RF,
  SPECIAL = EFLAGS.TF | EFLAGS.NT | EFLAGS.AC | EFLAGS.VM | EFLAGS.VIF | EFLAGS.VIP;

/**
 * (operand size): IRET from CPL 0 to CPL 0 or 3. RF is left out, without which the next instruction starts by itself: this is no
 * mode in which there are breakpoints on code, and the instruction clears it.
 */
function returnInterrupt(cpuGlobal: number): FlatFunction {
  const b = new FlatBuild(1, cpuGlobal),
    { code } = b;
  const [esp, host, eip, cs, flags, low, high, ss, ssLow, ssHigh] = Array.from({ length: 10 }, () => b.local()) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  b.isFlat();
  code.get(b.parameter(0)).i32(32).op('i32.ne');
  b.field('cpl').op('i32.or');
  b.field('nmi').op('i32.or');
  b.field('systemFlags').i32(SPECIAL).op('i32.and').op('i32.or');
  b.refuse();
  b.at(gpr(ESP)).set(esp);
  b.reach(esp, 20, TLB.supervisorRead, host);
  code.get(host).memory('i32.load', 0).set(eip);
  code.get(host).memory('i32.load16_u', 4).set(cs);
  code.get(host).memory('i32.load', 8).tee(flags).i32(SPECIAL).op('i32.and');
  b.refuse();
  code.get(flags).i32(EFLAGS.IF).op('i32.and').i32(0).op('i32.ne');
  b.field('interruptPending').i32(0).op('i32.ne').op('i32.and');
  b.refuse();
  b.descriptor(cs, low, high);
  const newFlags = (): void => {
    b.setField('systemFlags', () => {
      b.field('systemFlags')
        .i32(~LOADED)
        .op('i32.and')
        .get(flags)
        .i32(LOADED & ~EFLAGS.RF)
        .op('i32.and');
      code.op('i32.or').i32(2).op('i32.or');
    });
    statusFlags(b, flags);
    b.setField('eip', () => void code.get(eip));
  };
  const target = {
    selector: (): void => void code.get(cs),
    attributes: (): void => void b.attributesOf(high),
    readable: readableOf(b, high),
  };
  code.get(cs).i32(3).op('i32.and').op('i32.eqz').if();
  b.flatCode(low, high, 0);
  b.enter(0, target, undefined);
  b.store(gpr(ESP), () => void code.get(esp).i32(12).op('i32.add'));
  newFlags();
  code.i32(1).return().end();
  code.get(cs).i32(3).op('i32.and').i32(3).op('i32.ne');
  b.refuse();
  b.flatCode(low, high, 3);
  code.get(host).memory('i32.load16_u', 16).tee(ss).i32(3).op('i32.and').i32(3).op('i32.ne');
  b.refuse();
  b.descriptor(ss, ssLow, ssHigh);
  b.flatStack(ssLow, ssHigh, 3);
  // Data segments of an inner ring become null; those that are null already have no attributes.
  for (const index of [ES, DS, FS, GS]) {
    b.at(segmentOffset(index) + SEGMENT.attributes)
      .i32(0)
      .op('i32.ne');
    b.at(segmentOffset(index) + SEGMENT.attributes)
      .i32(0x60)
      .op('i32.and')
      .i32(0x60)
      .op('i32.ne')
      .op('i32.and');
    b.refuse();
  }
  b.enter(3, target, { selector: () => void code.get(ss), attributes: () => void b.attributesOf(ssHigh) });
  b.store(gpr(ESP), () => void code.get(host).memory('i32.load', 12));
  newFlags();
  return b.done();
}
/** Puts the status flags of an EFLAGS image into the two words (layout.ts). */
function statusFlags(b: FlatBuild, image: number): void {
  const { code } = b;
  const bit = (from: number, to: number): void => {
    code.get(image).i32(from).op('i32.shr_u').i32(1).op('i32.and').i32(to).op('i32.shl');
  };
  b.setField('flagResult', () => {
    bit(6, 8);
    code.i32(0x100).op('i32.xor');
  });
  b.setField('flagAux', () => {
    bit(0, 31);
    bit(0, 30);
    bit(11, 30);
    code.op('i32.xor').op('i32.or');
    bit(4, 3);
    code.op('i32.or');
    bit(2, 8);
    code.i32(0x100).op('i32.xor').op('i32.or');
    bit(7, 0);
    code.op('i32.or');
  });
}

/**
 * (vector, EFLAGS to push, error code or -1, whether the gate's DPL is asked): through an interrupt or trap gate of 32 bits to CPL 0,
 * from there or from CPL 3.
 */
function deliver(cpuGlobal: number): FlatFunction {
  const b = new FlatBuild(4, cpuGlobal),
    { code } = b;
  const [vector, flags, error, isSoftware] = [0, 1, 2, 3].map((n) => b.parameter(n)) as [
    number,
    number,
    number,
    number,
  ];
  const [at, host, gateLow, gateHigh, cs, low, high, esp, ss, ssLow, ssHigh, bytes] = Array.from({ length: 12 }, () =>
    b.local(),
  ) as [number, number, number, number, number, number, number, number, number, number, number, number];
  b.isFlat();
  b.field('systemFlags').i32(EFLAGS.VM).op('i32.and');
  b.refuse();
  code.get(vector).i32(8).op('i32.mul').tee(at).i32(7).op('i32.add');
  b.field('idtLimit').op('i32.gt_u');
  b.refuse();
  b.field('idtBase').get(at).op('i32.add').set(at);
  b.reach(at, 8, TLB.supervisorRead, host);
  code.get(host).memory('i32.load').set(gateLow);
  code.get(host).memory('i32.load', 4).tee(gateHigh).i32(0x9e00).op('i32.and').i32(0x8e00).op('i32.ne');
  b.refuse();
  code.get(isSoftware).i32(0).op('i32.ne').get(gateHigh).i32(DPL_SHIFT).op('i32.shr_u').i32(3).op('i32.and');
  b.field('cpl').op('i32.lt_u').op('i32.and');
  b.refuse();
  code.get(gateLow).i32(16).op('i32.shr_u').set(cs);
  b.descriptor(cs, low, high);
  b.flatCode(low, high, 0);
  code.i32(12).i32(16).get(error).i32(0).op('i32.lt_s').select().set(bytes);
  b.field('cpl').op('i32.eqz').if();
  b.at(gpr(ESP)).set(esp);
  code.else();
  b.field('cpl').i32(3).op('i32.ne');
  b.refuse();
  b.at(segmentOffset(TR) + SEGMENT.attributes)
    .i32(TSS_IS_32_BIT)
    .op('i32.and')
    .op('i32.eqz');
  b.at(segmentOffset(TR) + SEGMENT.limit)
    .i32(9)
    .op('i32.lt_u')
    .op('i32.or');
  b.refuse();
  b.at(segmentOffset(TR) + SEGMENT.base)
    .i32(4)
    .op('i32.add')
    .set(at);
  b.reach(at, 6, TLB.supervisorRead, host);
  code.get(host).memory('i32.load').set(esp);
  code.get(host).memory('i32.load16_u', 4).tee(ss).i32(3).op('i32.and');
  b.refuse();
  b.descriptor(ss, ssLow, ssHigh);
  b.flatStack(ssLow, ssHigh, 0);
  code.get(bytes).i32(8).op('i32.add').set(bytes);
  code.end();
  // At most six words, in one page.
  code
    .get(esp)
    .get(bytes)
    .op('i32.sub')
    .tee(at)
    .i32(0xfff)
    .op('i32.and')
    .i32(4096)
    .get(bytes)
    .op('i32.sub')
    .op('i32.gt_u');
  b.refuse();
  b.reach(at, 4, TLB.supervisorWrite, host);
  const push = (value: () => void): void => {
    code.get(host);
    value();
    code.memory('i32.store');
    code.get(host).i32(4).op('i32.add').set(host);
  };
  code.get(error).i32(0).op('i32.ge_s').if();
  push(() => void code.get(error));
  code.end();
  push(() => void b.field('eip'));
  push(() => void b.at(segmentOffset(CS) + SEGMENT.selector));
  push(() => void code.get(flags));
  const cleared = EFLAGS.TF | EFLAGS.NT | EFLAGS.RF | EFLAGS.VM;
  b.setField('systemFlags', () => {
    b.field('systemFlags')
      .i32(~(cleared | EFLAGS.IF))
      .i32(~cleared);
    code.get(gateHigh).i32(0x100).op('i32.and').op('i32.eqz').select().op('i32.and');
  });
  const target = {
    selector: (): void => void code.get(cs).i32(0xfffc).op('i32.and'),
    attributes: (): void => void b.attributesOf(high),
    readable: readableOf(b, high),
  };
  b.field('cpl').if();
  push(() => void b.at(gpr(ESP)));
  push(() => void b.at(segmentOffset(SS) + SEGMENT.selector));
  b.enter(0, target, { selector: () => void code.get(ss), attributes: () => void b.attributesOf(ssHigh) });
  code.else();
  b.enter(0, target, undefined);
  code.end();
  b.store(gpr(ESP), () => void code.get(at));
  b.setField('eip', () => {
    code
      .get(gateLow)
      .i32(0xffff)
      .op('i32.and')
      .get(gateHigh)
      .i32(0xffff_0000 | 0)
      .op('i32.and')
      .op('i32.or');
  });
  return b.done();
}

/** The functions by name, in the order in which a module has them. */
export const flatFunctions = (cpuGlobal: number): Readonly<Record<FlatService, FlatFunction>> => ({
  loadSegment: loadSegment(cpuGlobal),
  enterSystem: enterSystem(cpuGlobal),
  exitSystem: exitSystem(cpuGlobal),
  returnInterrupt: returnInterrupt(cpuGlobal),
  bulkMove: bulkMove(cpuGlobal),
  bulkStore: bulkStore(cpuGlobal),
  deliver: deliver(cpuGlobal),
});
