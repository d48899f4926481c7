/** How compiled code is left for other compiled code, and what it shares with the dispatch loop: finding a page's map. */
import { Code } from '../../wasm/module.ts';
import { CODE_TLB_ENTRIES, OFFSET } from '../layout.ts';
import { PSEUDO, RECORD, REGION } from './record.ts';
import { Locals } from './value.ts';

/** Indices of the module that functions refer to: the tables of handlers and of compiled code, whose functions have one type. */
export interface Indices {
  readonly cpuGlobal: number;
  /** How often control has to land somewhere until the core is asked for compiled code. */
  readonly hotLandings: number;
  readonly handlerType: number;
  readonly handlers: number;
  readonly regions: number;
}

/**
 * (target, left) -> REGION: where compiled code leaves for an EIP, in a mode of `COMPILED`. Goes on in compiled code if there is some.
 */
export function chainFunction({ cpuGlobal, hotLandings, handlerType, regions }: Indices): {
  locals: Locals['types'];
  code: Code;
} {
  const target = 0,
    left = 1;
  const locals = new Locals(2);
  const cpu = locals.fixed('i'),
    map = locals.fixed('i'),
    record = locals.fixed('i'),
    landings = locals.fixed('i');
  const code = new Code();
  code.globalGet(cpuGlobal).set(cpu).block();
  code.get(left).i32(0).op('i32.le_s').brIf(0);
  codeTlbEntry(code, cpu, target, map);
  code.get(map).memory('i32.load', 0);
  code.get(target).i32(-4096).op('i32.and').get(cpu).memory('i32.load', OFFSET.codeKey).op('i32.or');
  code.op('i32.ne').brIf(0);
  code.get(map).memory('i32.load', 4).tee(map);
  code.get(target).i32(0xfff).op('i32.and').i32(2).op('i32.shl').op('i32.add').memory('i32.load').tee(record);
  code.op('i32.eqz').brIf(0);
  code.get(record).memory('i32.load16_u', RECORD.handler).i32(PSEUDO.region).op('i32.ne').brIf(0);
  code.get(record).memory('i32.load', RECORD.displacement).get(cpu).memory('i32.load', OFFSET.compiledMode);
  code.op('i32.ne').brIf(0);
  // As the dispatch loop counts; who notices that it is often enough is the dispatch loop too.
  code.get(record).memory('i32.load16_u', RECORD.landings).i32(1).op('i32.add').tee(landings);
  code.globalGet(hotLandings).op('i32.eq').brIf(0);
  code.get(record).get(landings).memory('i32.store16', RECORD.landings);
  code.get(cpu).get(target).i32(-4096).op('i32.and').memory('i32.store', OFFSET.pageEip);
  code.get(cpu).get(map).memory('i32.store', OFFSET.pageMap);
  code.get(left).get(record).memory('i32.load', RECORD.immediate).returnCallIndirect(handlerType, regions);
  code.end();
  code.get(cpu).get(target).memory('i32.store', OFFSET.eip);
  code.get(cpu).get(left).memory('i32.store', OFFSET.instructionsLeft);
  code.i32(REGION.next);
  return { locals: locals.types, code };
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
