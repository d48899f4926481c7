/** What functions between flat segments (flat-services.ts) are written with: fields, linear memory through the TLB, descriptors. */
import { CS, SS } from '../../isa/build.ts';
import { Code } from '../../wasm/module.ts';
import { CR0, WHOLE_BOUND } from '../cpu.ts';
import { COMPILED, CODE_KEY, OFFSET, SEGMENT, SEGMENT_BYTES, TLB, segmentOffset, type FieldName } from '../layout.ts';
import { Locals } from './value.ts';

/** Bits of the stack's and the code's descriptor that say what they are: base 0, 4 GiB, 32-bit, present, accessed. */
const FLAT_LOW = 0xffff,
  FLAT_CODE = { mask: 0xffcf_9dff | 0, value: 0x00cf_9900 },
  FLAT_STACK = { mask: 0xffcf_9fff | 0, value: 0x00cf_9300 };
const READABLE = 0x200;

/** A function's locals behind its parameters, and its code; the signature is in FLAT_SERVICES. */
export interface FlatFunction {
  readonly locals: Locals['types'];
  readonly code: Code;
}

/** A function that gives up, with 0, before it has changed anything, or does all of its work and gives 1. */
export class FlatBuild {
  readonly code = new Code();
  readonly locals: Locals;
  readonly cpu: number;
  private readonly parameters: number;

  constructor(parameters: number, cpuGlobal: number) {
    this.parameters = parameters;
    this.locals = new Locals(parameters);
    this.cpu = this.local();
    this.code.globalGet(cpuGlobal).set(this.cpu);
  }
  local(): number {
    return this.locals.fixed('i');
  }
  /** The n-th parameter. */
  parameter(n: number): number {
    if (n >= this.parameters) throw new Error(`there is no parameter ${n}`);
    return n;
  }

  /** Gives up if what is on the stack is not 0. */
  refuse(): void {
    this.code.ifSeldom().i32(0).return().end();
  }
  done(): FlatFunction {
    this.code.i32(1);
    return { locals: this.locals.types, code: this.code };
  }
  field(name: FieldName): Code {
    return this.at(OFFSET[name]);
  }
  at(offset: number): Code {
    return this.code.get(this.cpu).memory('i32.load', offset);
  }
  /** Stores what `value` pushes. */
  store(offset: number, value: () => void): void {
    this.code.get(this.cpu);
    value();
    this.code.memory('i32.store', offset);
  }
  setField(name: FieldName, value: () => void): void {
    this.store(OFFSET[name], value);
  }
  set(name: FieldName, value: number): void {
    this.setField(name, () => void this.code.i32(value));
  }

  /**
   * The address in linear memory of `bytes` at the linear address in a local, all in one page that the TLB allows to use by `right`;
   * gives up otherwise.
   */
  reach(linear: number, bytes: number, right: number, host: number): void {
    const { code } = this;
    code
      .get(linear)
      .i32(0xfff)
      .op('i32.and')
      .i32(4096 - bytes)
      .op('i32.gt_u');
    this.refuse();
    this.entry(linear).tee(host).i32(right).op('i32.and').op('i32.eqz');
    this.refuse();
    code.get(host).i32(-4096).op('i32.and').get(linear).op('i32.add').set(host);
  }
  /** `reach` of one byte, by a right that lies in a local: in linear memory, from there to the end of its page. */
  reachFrom(linear: number, right: number, host: number): void {
    const { code } = this;
    code.get(linear).i32(WHOLE_BOUND).op('i32.ge_u');
    this.refuse();
    this.entry(linear).tee(host).get(right).op('i32.and').op('i32.eqz');
    this.refuse();
    code.get(host).i32(-4096).op('i32.and').get(linear).op('i32.add').set(host);
  }
  /** Pushes the TLB's entry of a linear address. */
  private entry(linear: number): Code {
    this.field('tlb').get(linear).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and').op('i32.add');
    return this.code.memory('i32.load');
  }
  /** Gives up unless the segment register at the address in a local begins at 0 and may be read up to 4 GiB. */
  isWhole(segmentAt: number): void {
    const { code } = this;
    code.get(segmentAt).memory('i32.load', SEGMENT.base).i32(0).op('i32.ne');
    code.get(segmentAt).memory('i32.load', SEGMENT.readBound).i32(WHOLE_BOUND).op('i32.ne').op('i32.or');
    this.refuse();
  }
  /** Puts the smaller of two locals, as unsigned numbers, into the first. */
  lower(a: number, b: number): void {
    this.code.get(a).get(b).get(a).get(b).op('i32.lt_u').select().set(a);
  }
  /** Reads the descriptor in the GDT that the selector in a local names; gives up for null and for the LDT. */
  descriptor(selector: number, low: number, high: number): void {
    const { code } = this;
    code.get(selector).i32(4).op('i32.and').get(selector).i32(0xfff8).op('i32.and').op('i32.eqz').op('i32.or');
    this.refuse();
    code.get(selector).i32(0xfff8).op('i32.and').tee(low).i32(7).op('i32.add');
    this.field('gdtLimit').op('i32.gt_u');
    this.refuse();
    this.field('gdtBase').get(low).op('i32.add').set(low);
    this.reach(low, 8, TLB.supervisorRead, high);
    code.get(high).memory('i32.load').set(low);
    code.get(high).memory('i32.load', 4).set(high);
  }
  private flat(low: number, high: number, cpl: number, { mask, value }: { mask: number; value: number }): void {
    const { code } = this;
    code.get(low).i32(FLAT_LOW).op('i32.ne');
    code
      .get(high)
      .i32(mask | 0x6000)
      .op('i32.and')
      .i32(value | (cpl << 13))
      .op('i32.ne')
      .op('i32.or');
    this.refuse();
  }
  /** Gives up unless a descriptor is code over all 4 GiB for a privilege level, not conforming. */
  flatCode(low: number, high: number, cpl: number): void {
    this.flat(low, high, cpl, FLAT_CODE);
  }
  /** The same for a stack. */
  flatStack(low: number, high: number, cpl: number): void {
    this.flat(low, high, cpl, FLAT_STACK);
  }
  /** Gives up unless the mode is one of `COMPILED`: protected mode, flat segments, no alignment checking. */
  isFlat(): void {
    this.field('compiledMode').op('i32.eqz');
    this.refuse();
    this.field('cr0').i32(CR0.PE).op('i32.and').op('i32.eqz');
    this.refuse();
  }

  /** Pushes the attributes of the descriptor whose second doubleword is in a local, as a segment register has them. */
  attributesOf(high: number): Code {
    return this.code.get(high).i32(8).op('i32.shr_u').i32(0xf0ff).op('i32.and');
  }
  /** CS, SS and the privilege level become these, all flat as they were. `readable` pushes whether CS may be read. */
  enter(cpl: 0 | 3, cs: SegmentParts & { readonly readable: () => void }, ss: SegmentParts | undefined): void {
    const { code } = this;
    const load = (index: number, parts: SegmentParts): void => {
      this.store(segmentOffset(index) + SEGMENT.selector, parts.selector);
      this.store(segmentOffset(index) + SEGMENT.attributes, parts.attributes);
    };
    load(CS, cs);
    this.store(segmentOffset(CS) + SEGMENT.readBound, () => {
      code.i32(WHOLE_BOUND).i32(0);
      cs.readable();
      code.select();
    });
    this.store(segmentOffset(CS) + SEGMENT.writeBound, () => void code.i32(0));
    if (ss === undefined) return;
    load(SS, ss);
    const user = cpl === 3;
    this.set('cpl', cpl);
    this.set('accessRead', user ? TLB.userRead : TLB.supervisorRead);
    this.set('codeKey', CODE_KEY.valid | CODE_KEY.big | (user ? CODE_KEY.user : 0));
    this.set('compiledMode', COMPILED.flat | (user ? COMPILED.user : 0));
  }
  /** Pushes the address of the segment register whose number is in a local, to be used with offsets of SEGMENT from `segmentOffset(0)`. */
  segmentAt(index: number): Code {
    return this.code.get(index).i32(SEGMENT_BYTES).op('i32.mul').get(this.cpu).op('i32.add');
  }
}
export interface SegmentParts {
  /** Each pushes its value. */
  readonly selector: () => void;
  readonly attributes: () => void;
}
/** `readable` of `FlatBuild.enter`, of a descriptor. */
export const readableOf = (b: FlatBuild, high: number) => (): void => {
  b.code.get(high).i32(READABLE).op('i32.and');
};
