/** How an application processor starts that its guest has given an initial state for, by VMI's SetInitialAPState. */
import { ATTRIBUTE, GUEST_FAULT, dplOf } from '../core/cpu.ts';
import { rplOf } from '../core/segmentation.ts';
import type { Processor } from '../core/processor.ts';
import { CS, EXCEPTION, SS } from '../isa/build.ts';
import type { DeviceOf } from '../machine/device.ts';
import type { ApState, vmi } from '../vmi/index.ts';

/** IA32_EFER. */
const EFER = 0xc000_0080;
const DATA_SEGMENTS = [0, 3, 4, 5] as const;
const REGISTERS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'] as const;

/**
 * What becomes of a start-up message for a processor that waits for one: undefined where it starts as processors do, or where its guest
 * uses VMI whether it has been brought into its initial state. A state that the processor cannot have is the guest's mistake, and
 * leaves it waiting, as the interface has it.
 */
export function startByVmi(
  device: DeviceOf<typeof vmi> | undefined,
  index: number,
  processor: Processor,
): boolean | undefined {
  const state = device?.parts.start(index);
  if (device === undefined || state === undefined) return undefined;
  if (state === null) return false;
  const why = enterState(processor, state);
  if (why === undefined) return true;
  device.parts.startRefused(index, why);
  return false;
}

/** `processor` is as after INIT, and is so again where this answers what it cannot take, for a person. */
export function enterState(processor: Processor, state: ApState): string | undefined {
  const { cpu } = processor,
    cr0 = cpu.get('cr0');
  let what = '';
  try {
    load(processor, state, (next) => (what = next));
    return undefined;
  } catch (error) {
    if (error !== GUEST_FAULT) throw error;
    cpu.set('fault', 0);
    // INIT leaves its bits for caches as they are, which had been right.
    cpu.set('cr0', cr0);
    processor.init();
    return what;
  }
}

/** Everything by the ways that instructions take, so that what they refuse is refused here. `at` says what comes next. */
function load({ cpu, system, segments }: Processor, state: ApState, at: (what: string) => void): void {
  const { selectors } = state;
  at(`CR4 ${hex(state.cr4)}`);
  system.writeControl(4, state.cr4);
  at(`EFER ${hex(state.efer)}`);
  // It is 0. Where there is no NX, there is no such register.
  if (state.efer !== 0n) system.msrs.write(EFER, state.efer);
  at(`CR0 ${hex(state.cr0)} with CR3 ${hex(state.cr3)}`);
  system.writeControl(3, state.cr3);
  system.writeControl(0, state.cr0);
  cpu.set('gdtBase', state.gdtBase);
  cpu.set('gdtLimit', state.gdtLimit);
  cpu.set('idtBase', state.idtBase);
  cpu.set('idtLimit', state.idtLimit);
  const selector = (name: string, value: number): number => {
    at(`${name} ${hex(value)}, by the table at ${hex(state.gdtBase)} of limit ${hex(state.gdtLimit)}`);
    return value;
  };
  segments.loadLdt(selector('LDTR', state.ldt));
  loadCode(segments, selector('CS', selectors[CS]!));
  at(`EIP ${hex(state.eip)}`);
  if (state.eip > cpu.segment(CS, 'limit')) cpu.raise(EXCEPTION.GP, 0);
  segments.load(SS, selector('SS', selectors[SS]!));
  for (const index of DATA_SEGMENTS) segments.load(index, selector(REGISTERS[index], selectors[index]!));
  cpu.set('cr2', state.cr2);
  cpu.eflags = state.eflags;
  state.registers.forEach((value, index) => cpu.setRegister(index, value));
  cpu.set('eip', state.eip);
  cpu.refreshMode();
}
/** A far jump of ring 0 would load it so (SDM vol. 2, JMP). The kernel is at ring 0, as its processor was when it called VMI_Init. */
function loadCode(segments: Processor['segments'], selector: number): void {
  const isNull = (selector & ~3) === 0,
    d = isNull ? segments.fail(EXCEPTION.GP, 0) : segments.read(selector);
  const isCode = (d.attributes & (ATTRIBUTE.s | ATTRIBUTE.code)) === (ATTRIBUTE.s | ATTRIBUTE.code);
  if (!isCode || rplOf(selector) !== 0 || dplOf(d.attributes) !== 0) segments.fail(EXCEPTION.GP, selector);
  if ((d.attributes & ATTRIBUTE.present) === 0) segments.fail(EXCEPTION.NP, selector);
  segments.commit(CS, d);
}
const hex = (n: number | bigint): string => `${n.toString(16)}h`;
