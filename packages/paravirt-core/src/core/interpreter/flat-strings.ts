/**
 * Repeated string moves and stores in WebAssembly, between flat segments of which the TLB knows the pages: as many repetitions as stay
 * within a page on each side. As flat-services.ts has it, 1 is done, even if that is nothing, and 0 leaves it to the core's `bulkMove`
 * and `bulkStore` (services.ts).
 */
import { EAX, ECX, EDI, EFLAGS, ESI } from '../../isa/build.ts';
import { MEMORY_COPY, MEMORY_FILL } from '../bulk-memory.ts';
import { OFFSET } from '../layout.ts';
import { FlatBuild, type FlatFunction } from './flat-build.ts';

const gpr = (index: number): number => OFFSET.gpr + index * 8;

/** What both have: where they write, how many repetitions there is room for. */
class StringBuild extends FlatBuild {
  readonly bytes = this.parameter(0);
  readonly to = this.local();
  readonly room = this.local();
  protected readonly right = this.local();
  private readonly address = this.local();
  private readonly count = this.local();
  private readonly budget = this.local();

  /** Is done if what is on the stack is not 0: repetitions are not to be done many at once. */
  nothing(): void {
    this.code.if().i32(1).return().end();
  }
  start(): void {
    const { code } = this;
    this.isFlat();
    this.field('pollBudget').tee(this.budget).op('i32.eqz');
    this.field('systemFlags').i32(EFLAGS.DF).op('i32.and').op('i32.or');
    this.at(gpr(ECX)).tee(this.count).op('i32.eqz').op('i32.or');
    this.nothing();
    this.field('accessRead').set(this.right);
    code.i32(-1).set(this.room);
  }
  /** Where the address in a register lies; what is left of its page bounds `room`. */
  reachBy(register: number, write: boolean, host: number): void {
    const { code, right, address } = this;
    this.at(gpr(register)).set(address);
    if (write) code.get(right).i32(1).op('i32.shl').set(right);
    this.reachFrom(address, right, host);
    code.i32(4096).get(host).i32(0xfff).op('i32.and').op('i32.sub').set(address);
    this.lower(this.room, address);
  }
  /** `room` becomes the bytes of as many repetitions as there are room and budget for; the last one is left. */
  settle(): void {
    const { code, room, bytes, count, budget } = this;
    code.get(room).get(bytes).op('i32.div_u').set(room);
    code.get(count).i32(1).op('i32.sub').set(count);
    this.lower(room, count);
    this.lower(room, budget);
    this.setField('pollBudget', () => void code.get(budget).get(room).op('i32.sub'));
    this.store(gpr(ECX), () => void code.get(count).i32(1).op('i32.add').get(room).op('i32.sub'));
    code.get(room).get(bytes).op('i32.mul').set(room);
  }
  advance(register: number): void {
    this.store(gpr(register), () => void this.at(gpr(register)).get(this.room).op('i32.add'));
  }
}

/** (bytes of an element, address of the source's segment register): REP MOVS. */
export function bulkMove(cpuGlobal: number): FlatFunction {
  const b = new StringBuild(2, cpuGlobal),
    { code, to, room } = b;
  const from = b.local();
  b.start();
  b.isWhole(b.parameter(1));
  b.reachBy(ESI, false, from);
  b.reachBy(EDI, true, to);
  // Overlapping upward moves repeat a pattern: element by element.
  code.get(to).get(from).op('i32.gt_u').get(to).get(from).op('i32.sub').get(room).op('i32.lt_u').op('i32.and');
  b.nothing();
  b.settle();
  code
    .get(to)
    .get(from)
    .get(room)
    .raw(...MEMORY_COPY);
  b.advance(ESI);
  b.advance(EDI);
  return b.done();
}
/** (bytes of an element): REP STOS of a value whose bytes are all the same. */
export function bulkStore(cpuGlobal: number): FlatFunction {
  const b = new StringBuild(1, cpuGlobal),
    { code, to, room, bytes } = b;
  const value = b.local();
  b.start();
  b.at(gpr(EAX)).i32(0xff).op('i32.and').i32(0x0101_0101).op('i32.mul').set(value);
  // Of one byte and two the rest of EAX says nothing.
  b.at(gpr(EAX)).get(value).op('i32.xor').i32(32).get(bytes).i32(3).op('i32.shl').op('i32.sub').op('i32.shl');
  b.refuse();
  b.reachBy(EDI, true, to);
  b.settle();
  code
    .get(to)
    .get(value)
    .get(room)
    .raw(...MEMORY_FILL);
  b.advance(EDI);
  return b.done();
}
