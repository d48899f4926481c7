/** How compiled code is left for other compiled code, and what it shares with the dispatch loop: finding a page's map. */
import { Code } from '../../wasm/module.ts';
import { CODE_TLB_ENTRIES, JUMP, JUMP_ENTRIES, OFFSET, TLB } from '../layout.ts';
import { ENTRY_BITS, PSEUDO, RECORD, REGION } from './record.ts';
import { Locals } from './value.ts';

/** Indices of the module that functions refer to: the tables of handlers and of compiled code, and the types of their functions. */
export interface Indices {
  readonly cpuGlobal: number;
  /** How often control has to land somewhere until the core is asked for compiled code. */
  readonly hotLandings: number;
  readonly handlerType: number;
  readonly handlers: number;
  readonly regionType: number;
  readonly regions: number;
}

/**
 * One jump in 32 is counted: where the instructions left, times the golden ratio, leave nothing in their upper bits. That is spread
 * evenly whatever steps loops take, and needs no division.
 */
const GOLDEN = 0x9e3779b1 | 0,
  COUNTED_SHIFT = 27;

/**
 * (target, left) -> REGION: where compiled code leaves for an EIP, in a mode of `COMPILED`. Goes on in compiled code if there is some: by
 * the cache of jumps, or by code TLB, map and record, three places of memory that are seldom close at hand.
 */
export function chainFunction(indices: Indices): { locals: Locals['types']; code: Code } {
  const { cpuGlobal, hotLandings, regionType, regions } = indices;
  const target = 0,
    left = 1;
  const locals = new Locals(2);
  const cpu = locals.fixed('i'),
    map = locals.fixed('i'),
    record = locals.fixed('i'),
    landings = locals.fixed('i'),
    jump = locals.fixed('i'),
    key = locals.fixed('i');
  const code = new Code();
  code.globalGet(cpuGlobal).set(cpu).block();
  code.get(left).i32(0).op('i32.le_s').brIfSeldom(0);
  jumpEntry(code, cpu, target, jump);
  knownJump(code, { cpu, target, left, jump, key, regionType, regions });
  codeTlbEntry(code, cpu, target, map);
  code.get(map).memory('i32.load', 0);
  code.get(target).i32(-4096).op('i32.and').get(cpu).memory('i32.load', OFFSET.codeKey).op('i32.or');
  code.op('i32.ne').brIfSeldom(0);
  code.get(map).memory('i32.load', 4).tee(map);
  code.get(target).i32(0xfff).op('i32.and').i32(2).op('i32.shl').op('i32.add').memory('i32.load').tee(record);
  code.op('i32.eqz').brIfSeldom(0);
  code.get(record).memory('i32.load16_u', RECORD.handler).i32(PSEUDO.region).op('i32.ne').brIfSeldom(0);
  code.get(record).memory('i32.load', RECORD.displacement).get(cpu).memory('i32.load', OFFSET.compiledMode);
  code.op('i32.ne').brIfSeldom(0);
  // As the dispatch loop counts; who notices that it is often enough is the dispatch loop too.
  code.get(record).memory('i32.load16_u', RECORD.landings).i32(1).op('i32.add').tee(landings);
  code.globalGet(hotLandings).op('i32.eq').brIfSeldom(0);
  code.get(record).get(landings).memory('i32.store16', RECORD.landings);
  rememberJump(code, { cpu, target, record, jump });
  code.get(cpu).get(target).i32(-4096).op('i32.and').memory('i32.store', OFFSET.pageEip);
  code.get(cpu).get(map).memory('i32.store', OFFSET.pageMap);
  code.get(record).memory('i32.load', RECORD.immediate).set(record);
  enter(code, left, record).returnCallIndirect(regionType, regions);
  code.end();
  code.get(cpu).get(target).memory('i32.store', OFFSET.eip);
  code.get(cpu).get(left).memory('i32.store', OFFSET.instructionsLeft);
  code.i32(REGION.next);
  return { locals: locals.types, code };
}
/** Locals, the mode where it is known, and the indices of what regions are called by. `jump` and `key` are for the way's own use. */
export interface Jump {
  readonly cpu: number;
  readonly target: number;
  readonly left: number;
  readonly jump: number;
  readonly key: number;
  readonly regionType: number;
  readonly regions: number;
  readonly mode?: number;
}
/** The way from a region to the one at `target`: by the cache of jumps, or by `chain`. */
export function goOn(code: Code, at: Jump, chain: number): void {
  code.get(at.left).i32(0).op('i32.gt_s').if();
  jumpEntry(code, at.cpu, at.target, at.jump);
  knownJump(code, at);
  code.end();
  code.get(at.target).get(at.left).returnCall(chain);
}
/**
 * Goes on in compiled code by the cache of jumps, if that knows the way and the jump is not one to be counted; `jump` is the address of the
 * EIP's entry. `mode` is what `compiledMode` is known to be.
 */
function knownJump(code: Code, at: Jump): void {
  const { cpu, target, left, jump, key, regionType, regions, mode } = at;
  code.block();
  code.get(left).i32(GOLDEN).op('i32.mul').i32(COUNTED_SHIFT).op('i32.shr_u').op('i32.eqz').brIfSeldom(0);
  code.get(jump).memory('i32.load', 0).get(target).op('i32.ne').brIfSeldom(0);
  code.get(jump).memory('i32.load', 4);
  if (mode === undefined) code.get(cpu).memory('i32.load', OFFSET.compiledMode);
  else code.i32(mode);
  code.op('i32.sub').tee(key);
  code.get(cpu).memory('i32.load', JUMP.local).op('i32.ne');
  code.get(key).get(cpu).memory('i32.load', JUMP.global).op('i32.ne').op('i32.and').brIfSeldom(0);
  code.get(cpu).get(target).i32(-4096).op('i32.and').memory('i32.store', OFFSET.pageEip);
  code.get(jump).memory('i32.load', 8).set(jump);
  enter(code, left, jump).returnCallIndirect(regionType, regions);
  code.end();
}
/** Pushes what a call of a region at an entrance takes: (left, entrance), and its place in the table. */
export function enter(code: Code, left: number, entrance: number): Code {
  return code.get(left).get(entrance).get(entrance).i32(ENTRY_BITS).op('i32.shr_u');
}
/** Pushes which of a region's entries an entrance is. */
export function entryNumber(code: Code, entrance: number): Code {
  return code
    .get(entrance)
    .i32((1 << ENTRY_BITS) - 1)
    .op('i32.and');
}
/** Puts the address of an EIP's entry in the cache of jumps into `to`. */
function jumpEntry(code: Code, cpu: number, target: number, to: number): void {
  code.get(cpu).memory('i32.load', JUMP.cache).get(target).get(target).i32(10).op('i32.shr_u').op('i32.xor');
  code
    .i32(JUMP_ENTRIES - 1)
    .op('i32.and')
    .i32(4)
    .op('i32.shl')
    .op('i32.add')
    .set(to);
}
/** Fills an EIP's entry. */
function rememberJump(code: Code, at: { cpu: number; target: number; record: number; jump: number }): void {
  const { cpu, target, record, jump } = at;
  code.get(jump).get(target).memory('i32.store', 0);
  code.get(jump);
  code.get(cpu).memory('i32.load', JUMP.global);
  code.get(cpu).memory('i32.load', JUMP.local);
  code.get(cpu).memory('i32.load', OFFSET.tlb).get(target).i32(10).op('i32.shr_u').i32(0x3ffffc).op('i32.and');
  code.op('i32.add').memory('i32.load').i32(TLB.global).op('i32.and').select();
  code.get(cpu).memory('i32.load', OFFSET.compiledMode).op('i32.add').memory('i32.store', 4);
  code.get(jump).get(record).memory('i32.load', RECORD.immediate).memory('i32.store', 8);
}
/** Puts the address of a linear address's code TLB entry into `to`. */
export function codeTlbEntry(code: Code, cpu: number, linear: number, to: number): void {
  code.get(cpu).memory('i32.load', OFFSET.codeTlb).get(linear).i32(12).op('i32.shr_u');
  code
    .i32(CODE_TLB_ENTRIES - 1)
    .op('i32.and')
    .i32(3)
    .op('i32.shl')
    .op('i32.add')
    .set(to);
}
