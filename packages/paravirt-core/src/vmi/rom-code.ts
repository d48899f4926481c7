/**
 * The code of each call. Most of it is what the processor does by itself: the guest's kernel keeps ring 0, and the engine has the
 * processor's own state anyway. What needs the host is a hypercall. C functions: arguments in EAX, EDX, ECX, then on the stack; EBX, ESI,
 * EDI, EBP are kept. The interrupt flag's calls change flags alone, and may find any selectors in DS and ES.
 */
import { EFLAGS } from '../isa/index.ts';
import { Assembler, EAX, EBX, ECX, EDI, EDX, ESI, ESP, memory } from './assembler.ts';
import { AP_STATE_WORDS, CALL, HYPERCALL_BASE, type CallName } from './interface.ts';

/** How often the counters count in a second, and the time stamp counter with them. */
export const CYCLE_FREQUENCY = 1_000_000_000;

type Code = (a: Assembler) => void;

const ret: Code = (a) => void a.op('ret C3');
const move = (a: Assembler, to: number, from: number): Assembler => a.op('mov 89 /r', { reg: from, rm: to });
const load = (a: Assembler, to: number, base: number, displacement = 0): Assembler =>
  a.op('mov 8B /r', { reg: to, memory: memory(base, displacement) });
const store = (a: Assembler, from: number, base: number, displacement = 0): Assembler =>
  a.op('mov 89 /r', { reg: from, memory: memory(base, displacement) });
const constant = (a: Assembler, register: number, value: number): Assembler =>
  a.op('mov B8+r iv', { reg: register, immediate: value });
const push = (a: Assembler, ...registers: readonly number[]): void =>
  registers.forEach((reg) => a.op('push 50+r', { reg }));
const pop = (a: Assembler, ...registers: readonly number[]): void =>
  registers.forEach((reg) => a.op('pop 58+r', { reg }));

/** VMCALL. EAX is lost. */
const vmcall = (a: Assembler, number: number): Assembler =>
  constant(a, EAX, HYPERCALL_BASE + number).op('vmcall 0F 01 C1');
/** A call that the host answers. `onStack`: two more arguments there. */
export const hypercall =
  (number: number, { onStack = false } = {}): Code =>
  (a) => {
    push(a, EBX);
    move(a, EBX, EAX);
    if (onStack) {
      push(a, ESI, EDI);
      // Behind three registers and the return address.
      load(a, ESI, ESP, 16);
      load(a, EDI, ESP, 20);
    }
    vmcall(a, number);
    if (onStack) pop(a, EDI, ESI);
    pop(a, EBX);
    ret(a);
  };
/** Asks the host for something after which nothing comes. */
const lastCall =
  (number: number): Code =>
  (a) => {
    move(a, EBX, EAX);
    vmcall(a, number).label(`stand still ${number}`).op('cli FA').op('hlt F4');
    a.branch('jmp EB cb', `stand still ${number}`);
  };

/** One instruction, and back. */
const native =
  (name: string, choice: Parameters<Assembler['op']>[1] = {}): Code =>
  (a) =>
    void a.op(name, choice).op('ret C3');
const atEax = { memory: memory(EAX) };
const readControl = (n: number): Code => native('mov 0F 20 /r', { reg: n, rm: EAX });
const writeControl = (n: number): Code => native('mov 0F 22 /r', { reg: n, rm: EAX });
const selectorIn = (name: string): Code => native(name, { rm: EAX });
const string = (name: string, size: 16 | 32 = 32): Code => native(name, { size, repeated: true });

/** Debug registers are numbered in the instruction: a case for each. */
const debugRegister =
  (name: string, register: number, label: string): Code =>
  (a) => {
    for (const n of [0, 1, 2, 3, 6, 7]) {
      a.op('cmp 83 /7 ib', { rm: EAX, immediate: n }).branch('jnz 75 cb', `${label} not ${n}`);
      a.op(name, { reg: n, rm: register }).op('ret C3').label(`${label} not ${n}`);
    }
    ret(a);
  };
/** STI holds interrupts back for one instruction: what waits is to come before the call returns. */
const enable: Code = (a) => void a.op('sti FB').op('nop 0F 1F /r', { rm: EAX }).op('ret C3');
/** Table in EAX, index in EDX, the low half in ECX, the high one on the stack. */
const writeEntry: Code = (a) => {
  a.op('lea 8D /r', { reg: EAX, memory: memory(EAX, 0, { index: EDX, scale: 3 }) });
  load(a, EDX, ESP, 4);
  store(a, ECX, EAX);
  store(a, EDX, EAX, 4);
  ret(a);
};
/** ESP0 of the task state segment that TR holds: Linux has written it there already, others may not have. */
const updateKernelStack: Code = (a) => {
  push(a, EBX);
  a.op('sub 83 /5 ib', { rm: ESP, immediate: 8 }).op('sgdt 0F 01 /0', { memory: memory(ESP, 2) });
  load(a, EBX, ESP, 4);
  a.op('str 0F 00 /1', { rm: ECX }).op('and 81 /4 iv', { rm: ECX, immediate: 0xfff8 });
  a.op('add 01 /r', { reg: ECX, rm: EBX });
  // A descriptor has bits 23:0 of the base in its bytes 2 to 4, and the others in byte 7.
  load(a, ECX, EBX, 4);
  load(a, EBX, EBX, 2);
  a.op('and 81 /4 iv', { rm: EBX, immediate: 0x00ff_ffff }).op('and 81 /4 iv', { rm: ECX, immediate: 0xff00_0000 });
  a.op('or 09 /r', { reg: ECX, rm: EBX });
  store(a, EDX, EBX, 4);
  a.op('add 83 /0 ib', { rm: ESP, immediate: 8 });
  pop(a, EBX);
  ret(a);
};
/** A present entry is never seen half written: both halves change at once. */
const setLongEntry: Code = (a) => {
  push(a, EBX, ESI);
  move(a, ESI, ECX);
  move(a, EBX, EAX);
  move(a, ECX, EDX);
  load(a, EAX, ESI);
  load(a, EDX, ESI, 4);
  a.label('try entry')
    .op('cmpxchg8b 0F C7 /1', { memory: memory(ESI), lock: true })
    .branch('jnz 75 cb', 'try entry');
  pop(a, ESI, EBX);
  ret(a);
};
/** Bit 1 wants global entries gone too, which turning PGE off and on does. */
const flushTlb: Code = (a) => {
  const pge = 0x80;
  a.op('test A8 ib', { immediate: 2 }).branch('jz 74 cb', 'flush own');
  a.op('mov 0F 20 /r', { reg: 4, rm: EAX }).op('test A8 ib', { immediate: pge }).branch('jz 74 cb', 'flush own');
  move(a, EDX, EAX).op('xor 35 iv', { immediate: pge });
  a.op('mov 0F 22 /r', { reg: 4, rm: EAX }).op('mov 0F 22 /r', { reg: 4, rm: EDX }).op('ret C3');
  a.label('flush own').op('mov 0F 20 /r', { reg: 3, rm: EAX }).op('mov 0F 22 /r', { reg: 3, rm: EAX }).op('ret C3');
};
const setIopl: Code = (a) => {
  a.op('and 25 iv', { immediate: EFLAGS.IOPL }).op('pushf 9C');
  a.op('and 81 /4 iv', { memory: memory(ESP), immediate: ~EFLAGS.IOPL });
  a.op('or 09 /r', { reg: EAX, memory: memory(ESP) })
    .op('popf 9D')
    .op('ret C3');
};
/** Word by word, so that the kernel's own page tables say whether it may be read, and nobody else reads guest memory. */
const setInitialApState: Code = (a) => {
  push(a, EBX, ESI, EDI);
  move(a, ESI, EAX);
  move(a, EDI, EDX);
  a.op('xor 31 /r', { reg: EBX, rm: EBX }).label('next word');
  a.op('mov 8B /r', { reg: ECX, memory: memory(ESI, 0, { index: EBX, scale: 2 }) });
  move(a, EDX, EDI);
  vmcall(a, CALL.SetInitialAPState).op('inc 40+r', { reg: EBX });
  a.op('cmp 83 /7 ib', { rm: EBX, immediate: AP_STATE_WORDS }).branch('jnz 75 cb', 'next word');
  pop(a, EDI, ESI, EBX);
  ret(a);
};
const zero: Code = (a) => void a.op('xor 31 /r', { reg: EAX, rm: EAX }).op('ret C3');

/** What each call does; SetCallbacks has arguments that nobody knows, and is not there. */
export const CODE: Readonly<Partial<Record<CallName, Code>>> = {
  CPUID: native('cpuid 0F A2'),
  WRMSR: native('wrmsr 0F 30'),
  RDMSR: native('rdmsr 0F 32'),
  SetGDT: native('lgdt 0F 01 /2', atEax),
  SetLDT: selectorIn('lldt 0F 00 /2'),
  SetIDT: native('lidt 0F 01 /3', atEax),
  SetTR: selectorIn('ltr 0F 00 /3'),
  GetGDT: native('sgdt 0F 01 /0', atEax),
  GetLDT: selectorIn('sldt 0F 00 /0'),
  GetIDT: native('sidt 0F 01 /1', atEax),
  GetTR: selectorIn('str 0F 00 /1'),
  WriteGDTEntry: writeEntry,
  WriteLDTEntry: writeEntry,
  WriteIDTEntry: writeEntry,
  UpdateKernelStack: updateKernelStack,
  SetCR0: writeControl(0),
  SetCR2: writeControl(2),
  SetCR3: writeControl(3),
  SetCR4: writeControl(4),
  GetCR0: readControl(0),
  GetCR2: readControl(2),
  GetCR3: readControl(3),
  GetCR4: readControl(4),
  WBINVD: native('wbinvd 0F 09'),
  SetDR: debugRegister('mov 0F 23 /r', EDX, 'set DR'),
  GetDR: debugRegister('mov 0F 21 /r', EAX, 'get DR'),
  RDPMC: native('rdpmc 0F 33'),
  RDTSC: native('rdtsc 0F 31'),
  CLTS: native('clts 0F 06'),
  EnableInterrupts: enable,
  DisableInterrupts: native('cli FA'),
  GetInterruptMask: (a) =>
    void a.op('pushf 9C').op('pop 58+r', { reg: EAX }).op('and 25 iv', { immediate: EFLAGS.IF }).op('ret C3'),
  SetInterruptMask: (a) => {
    a.op('test A9 iv', { immediate: EFLAGS.IF }).branch('jz 74 cb', 'mask');
    enable(a);
    a.label('mask').op('cli FA').op('ret C3');
  },
  // Called, not jumped to: the return address says where the kernel's exception table has its entry for what IRET finds wrong.
  IRET: (a) =>
    void a
      .op('lea 8D /r', { reg: ESP, memory: memory(ESP, 4) })
      .label('IRET itself')
      .op('iret CF'),
  // The stack is left behind, with a return address on it or not.
  SYSEXIT: (a) => void a.op('sti FB').op('sysexit 0F 35'),
  Halt: (a) => void a.op('sti FB').op('hlt F4').op('ret C3'),
  Reboot: lastCall(CALL.Reboot),
  Shutdown: lastCall(CALL.Shutdown),
  SetPxE: native('mov 89 /r', { reg: EAX, memory: memory(EDX) }),
  SetPxELong: setLongEntry,
  UpdatePxE: ret,
  UpdatePxELong: ret,
  MachineToPhysical: ret,
  PhysicalToMachine: ret,
  AllocatePage: hypercall(CALL.AllocatePage, { onStack: true }),
  ReleasePage: hypercall(CALL.ReleasePage),
  InvalPage: native('invlpg 0F 01 /7', atEax),
  FlushTLB: flushTlb,
  SetLinearMapping: ret,
  INL: native('in ED'),
  INB: native('in EC'),
  INW: native('in ED', { size: 16 }),
  INSL: string('ins 6D'),
  INSB: string('ins 6C'),
  INSW: string('ins 6D', 16),
  OUTL: native('out EF'),
  OUTB: native('out EE'),
  OUTW: native('out EF', { size: 16 }),
  OUTSL: string('outs 6F'),
  OUTSB: string('outs 6E'),
  OUTSW: string('outs 6F', 16),
  SetIOPLMask: setIopl,
  SetInitialAPState: setInitialApState,
  APICWrite: hypercall(CALL.APICWrite),
  APICRead: hypercall(CALL.APICRead),
  IODelay: ret,
  GetCycleFrequency: (a) => {
    constant(a, EAX, CYCLE_FREQUENCY).op('xor 31 /r', { reg: EDX, rm: EDX }).op('ret C3');
  },
  GetCycleCounter: hypercall(CALL.GetCycleCounter),
  SetAlarm: hypercall(CALL.SetAlarm, { onStack: true }),
  CancelAlarm: hypercall(CALL.CancelAlarm),
  GetWallclockTime: hypercall(CALL.GetWallclockTime),
  // The machine's calendar goes on with its time, and is never set.
  WallclockUpdated: zero,
  SetLazyMode: ret,
};
