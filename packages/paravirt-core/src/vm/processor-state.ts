/**
 * The processor's part of a saved machine: registers by the names of the manual, each checked, so that what is derived from them
 * (TLBs, access bounds, decoded code) is made anew and a saved state can never point the engine at anything but guest state.
 */
import { array, bool, bytes, nested, pod, u16, u32, u8, type StateOf } from '@tomei/kit';
import { CR0 } from '../core/cpu.ts';
import { OFFSET, type FieldName } from '../core/layout.ts';
import { modelSpecificState } from '../core/model-specific.ts';
import { counterState } from '../core/performance-counters.ts';
import type { Processor } from '../core/processor.ts';

/** Registers of 32 bits and less that are saved under their own name. `halted` holds 0 or 1. */
const PLAIN = {
  eip: u32(),
  cr0: u32(),
  cr2: u32(),
  cr3: u32(),
  cr4: u32(),
  efer: u32(),
  gdtBase: u32(),
  gdtLimit: u16(),
  idtBase: u32(),
  idtLimit: u16(),
  sysenterCs: u32(),
  sysenterEsp: u32(),
  sysenterEip: u32(),
  fpuControl: u16(),
  fpuStatus: u16(),
  fpuTop: u8(),
  fpuTags: u8(),
  fpuOpcode: u16(),
  fpuIp: u32(),
  fpuCs: u16(),
  fpuDp: u32(),
  fpuDs: u16(),
  mxcsr: u32(),
  cpl: u8(),
  /** Pending and blocked NMIs, DR6 bits of traps to come, what the next instruction holds back: as in `core/layout.ts`. */
  nmi: u8(),
  debugTraps: u16(),
  shadow: u8(),
  monitor: u8(),
} as const;
const PLAIN_NAMES = Object.keys(PLAIN) as (keyof typeof PLAIN)[];

/** A segment register with its hidden part; `attributes` as in `core/cpu.ts`. */
const segmentState = pod({ selector: u16(), base: u32(), limit: u32(), attributes: u16() });
const SEGMENTS = 8,
  SLOT_BYTES = 16,
  SLOTS = 8;

/** All that outlives an instruction. `eflags` is whole; segments are ES CS SS DS FS GS LDTR TR. */
export const processorState = pod({
  gpr: array(8, () => u32()),
  eflags: u32(2),
  ...PLAIN,
  segments: array(SEGMENTS, () => nested(segmentState)),
  dr: array(8, () => u32()),
  /** Page-directory-pointer entries, low and high half of each: memory may hold others since CR3 was loaded. */
  pdpte: array(8, () => u32()),
  modelSpecific: nested(modelSpecificState),
  counters: nested(counterState),
  /** Physical registers R0..R7, 16 bytes each of which 10 count. */
  fpr: bytes(SLOTS * SLOT_BYTES),
  xmm: bytes(SLOTS * SLOT_BYTES),
  halted: bool(),
})
  .check((s) => s.cpl <= 3 || `field 'cpl' is ${s.cpl}, not 0 to 3`)
  .check((s) => s.nmi <= 3 || `field 'nmi' is ${s.nmi}, not 0 to 3`)
  .check((s) => s.shadow <= 2 || `field 'shadow' is ${s.shadow}, not 0 to 2`)
  .check((s) => s.monitor <= 3 || `field 'monitor' is ${s.monitor}, not 0 to 3`)
  .check((s) => s.fpuTop <= 7 || `field 'fpuTop' is ${s.fpuTop}, not 0 to 7`)
  .check((s) => (s.cr0 & (CR0.PG | CR0.PE)) !== (CR0.PG | 0) || "field 'cr0' has paging without protection");
export type ProcessorState = StateOf<typeof processorState>;

/**
 * Every field of the layout and why it is, or need not be, in the state. A new field does not compile until it is here.
 * `derived` is recomputed from the others; `transient` is empty between slices.
 */
export const FIELD_ROLES = {
  gpr: 'saved',
  eip: 'saved',
  flagResult: 'saved',
  flagAux: 'saved',
  systemFlags: 'saved',
  cpl: 'saved',
  cr0: 'saved',
  cr2: 'saved',
  cr3: 'saved',
  cr4: 'saved',
  efer: 'saved',
  pdpte: 'saved',
  segments: 'saved',
  gdtBase: 'saved',
  gdtLimit: 'saved',
  idtBase: 'saved',
  idtLimit: 'saved',
  dr: 'saved',
  sysenterCs: 'saved',
  sysenterEsp: 'saved',
  sysenterEip: 'saved',
  fpuControl: 'saved',
  fpuStatus: 'saved',
  fpuTop: 'saved',
  fpuTags: 'saved',
  fpuOpcode: 'saved',
  fpuIp: 'saved',
  fpuCs: 'saved',
  fpuDp: 'saved',
  fpuDs: 'saved',
  mxcsr: 'saved',
  fpr: 'saved',
  xmm: 'saved',
  halted: 'saved',
  monitor: 'saved',
  shadow: 'saved',
  nmi: 'saved',
  debugTraps: 'saved',
  zero: 'derived',
  interruptPending: 'derived',
  stackMask: 'derived',
  codeLimit: 'derived',
  codeSkew: 'derived',
  codeBound: 'derived',
  accessRead: 'derived',
  unitDenied: 'derived',
  codeKey: 'derived',
  compiledMode: 'derived',
  pageEip: 'derived',
  pageMap: 'derived',
  tlb: 'derived',
  codeTlb: 'derived',
  address16: 'transient',
  fault: 'transient',
  faultVector: 'transient',
  faultCode: 'transient',
  exit: 'transient',
  pollBudget: 'transient',
  instructionsLeft: 'transient',
  instructionsReturned: 'transient',
  scratch: 'transient',
} as const satisfies Record<FieldName, 'saved' | 'derived' | 'transient'>;

/** A copy of the processor's state. Call between slices. */
export function saveProcessor({ cpu, system }: Processor): ProcessorState {
  const slots = (field: 'fpr' | 'xmm'): Uint8Array => {
    const at = cpu.base + OFFSET[field];
    return Uint8Array.from(cpu.u8.subarray(at, at + SLOTS * SLOT_BYTES));
  };
  const eight = <T>(value: (index: number) => T): T[] => Array.from({ length: 8 }, (_, i) => value(i));
  return {
    gpr: eight((i) => cpu.getRegister(i)),
    eflags: cpu.eflags,
    ...(Object.fromEntries(PLAIN_NAMES.map((name) => [name, cpu.get(name)])) as Record<keyof typeof PLAIN, number>),
    segments: eight((i) => ({
      selector: cpu.segment(i, 'selector'),
      base: cpu.segment(i, 'base'),
      limit: cpu.segment(i, 'limit'),
      attributes: cpu.segment(i, 'attributes'),
    })),
    dr: eight((i) => cpu.i32[(cpu.base + OFFSET.dr + i * 4) >> 2]! >>> 0),
    modelSpecific: system.msrs.save(),
    counters: system.counters.save(),
    pdpte: eight((i) => cpu.i32[(cpu.base + OFFSET.pdpte + i * 4) >> 2]! >>> 0),
    fpr: slots('fpr'),
    xmm: slots('xmm'),
    halted: cpu.get('halted') !== 0,
  };
}

/** Makes the processor as it was saved. The interrupt request is the board's: set it afterwards. */
export function restoreProcessor({ cpu, mmu, debug, system }: Processor, state: ProcessorState): void {
  cpu.reset();
  state.gpr.forEach((value, i) => cpu.setRegister(i, value));
  for (const name of PLAIN_NAMES) cpu.set(name, state[name]);
  cpu.eflags = state.eflags;
  state.segments.forEach((s, i) => cpu.setSegment(i, s.selector, s.base, s.limit, s.attributes));
  state.dr.forEach((value, i) => (cpu.i32[(cpu.base + OFFSET.dr + i * 4) >> 2] = value));
  system.msrs.restore(state.modelSpecific);
  system.counters.restore(state.counters);
  state.pdpte.forEach((value, i) => (cpu.i32[(cpu.base + OFFSET.pdpte + i * 4) >> 2] = value));
  cpu.u8.set(state.fpr, cpu.base + OFFSET.fpr);
  cpu.u8.set(state.xmm, cpu.base + OFFSET.xmm);
  cpu.set('halted', state.halted ? 1 : 0);
  cpu.refreshMode();
  mmu.flush(true);
  debug.refresh();
}
