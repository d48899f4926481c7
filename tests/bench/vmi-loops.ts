/**
 * Loops that do one VMI call again and again in each way that a kernel could be told to: natively, by a call, by a jump, not at all. And as
 * the ROM's code would be without being called, in place: no engine that compiled calls inline could do with less.
 */
import { CALL, EVERY_CALL, HYPERCALL_BASE, HostClock, Machine, vmiRom, type CallName } from '@tomei/paravirt-core';
import { Assembler } from './assembler.ts';
import { threadSeconds } from './measure-loops.ts';
import { median } from './statistics.ts';

const LOAD = 0x10_0000,
  ENTRY = LOAD + 32;
const ROM = 0xc_8000;
const DATA = 0x20_0000,
  PAGE_DIRECTORY = 0x21_0000,
  OTHER_DIRECTORY = 0x22_0000,
  USED_PAGES = 0x30_0000;
const EAX = 0,
  ECX = 1,
  EDX = 2;
const rom = vmiRom(EVERY_CALL);

type Emit = (a: Assembler) => void;
export type Way = 'native' | 'call' | 'place' | 'jump' | 'nothing';
/** How one operation is done in each way that there is. ECX counts the rounds on the stack: all registers are free. */
export interface VmiLoop {
  readonly name: string;
  /** Where the name is not that of a call, or of several with `and` between them. */
  readonly call?: CallName;
  readonly rounds: number;
  readonly ways: Readonly<Partial<Record<Way, Emit>>>;
}

const load = (a: Assembler, register: number, value: number): Assembler => a.code(0xb8 + register).dword(value);
/** CALL rel32 to a linear address. */
const callAt = (a: Assembler, address: number, jump = false): Assembler => {
  const label = `at ${address}`;
  a.absolute(label, address);
  return a.code(jump ? 0xe9 : 0xe8).relative(label);
};
const inRom = (number: number): number => ROM + rom.offsetOf.get(number)!;
const given =
  (...values: readonly number[]): Emit =>
  (a) =>
    values.forEach((value, i) => load(a, [EAX, EDX, ECX][i]!, value));
/** An operation behind a pointer, as kernels have those that are C functions: what the pointer points to is all that differs. */
function pointer(name: string, number: number, native: readonly number[], set: Emit, rounds = 300_000): VmiLoop {
  const through =
    (target: (a: Assembler) => void): Emit =>
    (a) => {
      set(a);
      target(a);
    };
  return {
    name,
    rounds,
    ways: {
      native: through((a) => {
        a.code(0xeb, native.length + 1)
          .label(`native ${name}`)
          .code(...native, 0xc3);
        a.code(0xe8).relative(`native ${name}`);
      }),
      call: through((a) => callAt(a, inRom(number))),
    },
  };
}
/** A patch site: natively an indirect call that keeps ECX and EDX, otherwise one call. */
const site = (
  name: string,
  number: number,
  native: readonly number[],
  place: readonly number[],
  set: Emit = () => undefined,
): VmiLoop => {
  const { ways, ...loop } = pointer(name, number, native, set, 1_000_000);
  const native_: Emit = (a) => {
    a.code(0x51, 0x52);
    ways.native!(a);
    a.code(0x5a, 0x59);
  };
  return { ...loop, ways: { ...ways, native: native_, place: (a) => (set(a), void a.code(...place)) } };
};
const returnFrame =
  (name: string, leave: Emit): Emit =>
  (a) => {
    a.code(0x9c, 0x0e, 0x68).address(name); // pushf; push cs; push offset
    leave(a);
    a.label(name);
  };
const stacked =
  (number: number, ...values: readonly number[]): Emit =>
  (a) => {
    a.code(0x6a, 0, 0x6a, 0); // push 0; push 0
    given(...values)(a);
    callAt(a, inRom(number)).code(0x83, 0xc4, 8);
  };
/** One that the host answers: its hypercall in place as well, without the call and what it keeps. */
const hosted = (name: CallName, native: readonly number[], set: Emit): VmiLoop => {
  const { ways, ...loop } = pointer(name, CALL[name], native, set, 100_000);
  const place: Emit = (a) => {
    set(a);
    a.code(0x89, 0xc3); // mov ebx,eax
    load(a, EAX, HYPERCALL_BASE + CALL[name]).code(0x0f, 0x01, 0xc1);
  };
  return { ...loop, ways: { ...ways, place } };
};
const RET: readonly number[] = [];
/** Loads CR3 with another root, reads a byte of so many pages, and comes back to do the same. */
function switches(pages: number): VmiLoop {
  const name = `SetCR3 there and back, ${pages} pages used in each`,
    { ways } = pointer(name, CALL.SetCR3, [0x0f, 0x22, 0xd8], given());
  const both =
    (way: Emit): Emit =>
    (a) =>
      [OTHER_DIRECTORY, PAGE_DIRECTORY].forEach((root) => {
        load(a, EAX, root);
        way(a);
        load(a, EDX, USED_PAGES);
        load(a, ECX, pages).label(`use ${root}`);
        a.code(0x8a, 0x02, 0x81, 0xc2).dword(4096).countDown(`use ${root}`); // mov al,[edx]; add edx,4096
      });
  const native: Emit = (a) => void a.code(0x0f, 0x22, 0xd8);
  return { name, call: 'SetCR3', rounds: 10_000, ways: { native: both(native), call: both(ways.call!) } };
}

export const VMI_LOOPS: readonly VmiLoop[] = [
  site('EnableInterrupts', CALL.EnableInterrupts, [0xfb], [0xfb, 0x90]),
  site('DisableInterrupts', CALL.DisableInterrupts, [0xfa], [0xfa]),
  site('GetInterruptMask', CALL.GetInterruptMask, [0x9c, 0x58, 0x25, 0, 2, 0, 0], [0x9c, 0x58, 0x25, 0, 2, 0, 0]),
  // test eax,200h; jz over; sti; nop; jmp behind; over: cli
  site(
    'SetInterruptMask',
    CALL.SetInterruptMask,
    [0x50, 0x9d],
    [0xa9, 0, 2, 0, 0, 0x74, 4, 0xfb, 0x90, 0xeb, 1, 0xfa],
    given(0),
  ),
  {
    name: 'IRET',
    rounds: 300_000,
    ways: {
      call: returnFrame('by call', (a) => callAt(a, inRom(CALL.IRET))),
      jump: returnFrame('by jump', (a) => callAt(a, ROM + rom.iret, true)),
    },
  },
  pointer('UpdateKernelStack', CALL.UpdateKernelStack, [0x89, 0x15, 4, 0, 0x20, 0], given(0x10, 0x9000)),
  pointer('GetCR0', CALL.GetCR0, [0x0f, 0x20, 0xc0], given()),
  pointer('GetCR2', CALL.GetCR2, [0x0f, 0x20, 0xd0], given()),
  pointer('SetCR3', CALL.SetCR3, [0x0f, 0x22, 0xd8], given(PAGE_DIRECTORY), 50_000),
  switches(8),
  switches(64),
  pointer('RDTSC', CALL.RDTSC, [0x0f, 0x31], given()),
  pointer('SetPxE', CALL.SetPxE, [0x89, 0x02], given(0, DATA, 1), 1_000_000),
  pointer('SetPxELong', CALL.SetPxELong, [0x89, 0x51, 0x04, 0x89, 0x01], given(0, 0, DATA), 1_000_000),
  pointer('UpdatePxE', CALL.UpdatePxE, RET, given(DATA, 1), 1_000_000),
  {
    name: 'AllocatePage and ReleasePage',
    rounds: 50_000,
    ways: {
      native: (a) => void a.code(0x90),
      call: (a) => {
        stacked(CALL.AllocatePage, 0x300, 0x41, 0)(a);
        given(0x300, 1)(a);
        callAt(a, inRom(CALL.ReleasePage));
      },
    },
  },
  pointer('InvalPage', CALL.InvalPage, [0x0f, 0x01, 0x38], given(DATA), 100_000),
  pointer('FlushTLB', CALL.FlushTLB, [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8], given(1), 50_000),
  hosted('APICWrite', [0x89, 0x15, 0xb0, 0, 0xe0, 0xfe], given(0xb0, 0)),
  hosted('APICRead', [0xa1, 0x30, 0, 0xe0, 0xfe], given(0x30)),
  (() => {
    const { ways, ...rest } = pointer('IODelay', CALL.IODelay, [0xe6, 0x80], given(), 100_000);
    return { ...rest, ways: { ...ways, nothing: () => undefined } };
  })(),
  hosted('GetCycleCounter', [0x0f, 0x31], given(0)),
  pointer('SetLazyMode', CALL.SetLazyMode, RET, given(1), 1_000_000),
];

const u32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];
/** Nanoseconds of the thread's processor time that each of `rounds` of something takes, and the instructions of the whole run. Throws when the guest does not end as it should. */
export function runVmiLoop(emit: Emit, rounds: number): { readonly ns: number; readonly instructions: number } {
  const a = new Assembler(ENTRY);
  // No interrupts: the 8259s' masks.
  a.code(0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1);
  // Pages of 4 MiB over the same addresses: CR4.PSE, CR3, CR0.PG.
  load(a, EAX, 0x10).code(0x0f, 0x22, 0xe0);
  load(a, EAX, PAGE_DIRECTORY).code(0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xc0, 0x0d).dword(0x8000_0000).code(0x0f, 0x22, 0xc0);
  a.code(0xbc).dword(0x9000); // mov esp
  load(a, ECX, rounds).label('loop').code(0x51); // push ecx
  emit(a);
  a.code(0x59).countDown('loop'); // pop ecx
  a.code(0xfa, 0xb0, 0, 0xe6, 0xf4, 0xf4); // cli; mov al,0; out 0f4h,al; hlt
  const code = a.finish(),
    flags = 1 << 16,
    end = ENTRY + code.length;
  const header = [0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, LOAD, LOAD, end, end, ENTRY].flatMap(u32);
  const machine = new Machine(
    {
      ...{ ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: 0, commandLine: '', vmi: 'every-call' as const },
      kernel: { name: 'vmi loop', bytes: Uint8Array.from([...header, ...code]) },
    },
    { serial: [], disks: [] },
    new HostClock(),
    undefined,
    { hotLandings: 16 },
  );
  machine.powerOn();
  for (const directory of [PAGE_DIRECTORY, OTHER_DIRECTORY])
    for (let i = 0; i < 1024; i++) machine.board.ram.write32(directory + 4 * i, ((i << 22) | 0x83) >>> 0);
  const from = threadSeconds();
  for (;;) {
    const slice = machine.runSlice();
    if (slice.kind === 'stopped' && slice.why === 'exit') break;
    if (slice.kind === 'stopped') throw new Error(`it ended by ${slice.why}: ${machine.describe()}`);
  }
  return { ns: ((threadSeconds() - from) * 1e9) / rounds, instructions: machine.processor.instructions };
}

export interface VmiFigure {
  readonly name: string;
  readonly call?: CallName;
  /** Nanoseconds of one operation, without the loop around it. */
  readonly ns: Readonly<Partial<Record<Way, number>>>;
}
/** Medians of `runs` measurements, the ways of one call in turn. */
export function measureVmi(runs: number, report: (figure: VmiFigure) => void): VmiFigure[] {
  return VMI_LOOPS.map(({ name, call, rounds, ways }) => {
    const all = { empty: (() => undefined) as Emit, ...ways };
    const seen = new Map<string, number[]>(Object.keys(all).map((way) => [way, []]));
    for (let i = 0; i < runs; i++)
      for (const [way, emit] of Object.entries(all)) seen.get(way)!.push(runVmiLoop(emit, rounds).ns);
    const empty = median(seen.get('empty')!);
    const ns = Object.fromEntries(Object.keys(ways).map((way) => [way, Math.max(0, median(seen.get(way)!) - empty)]));
    const figure = { name, ns, ...(call === undefined ? {} : { call }) };
    report(figure);
    return figure;
  });
}
