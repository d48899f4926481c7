/**
 * Random programs with loops, calls, faults and instructions that are patched, for comparing compiled code with the interpreter. They
 * end by themselves, and what they do does not depend on when they are interrupted.
 */
import { AT, PTE, SELECTOR, le32, type TestProcessor } from '../core/test-processor.ts';

/** Where things lie; all is mapped one to one unless said otherwise. */
export const FLOW = {
  code: 0x20000,
  /** Loop counters, then the data that instructions work on; its second page can be mapped to either of two. */
  counters: 0x28000,
  data: 0x29000,
  otherData: 0x2b000,
  /** Nothing is mapped here. */
  hole: 0x3f0000,
  tables: 0x2c800,
  handlers: 0x2d000,
  interrupts: 0x2e000,
  faults: 0x2e004,
} as const;
const BLOCKS = 12,
  FUNCTIONS = 3;
const PAGE_FAULT = 14;
export const INTERRUPT = 0x40;

/** Numbers from a seed (mulberry32). */
export class Seeded {
  private state: number;
  constructor(seed: number) {
    this.state = seed | 0;
  }
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

type Hole = { readonly at: number; readonly to: string };

/** Writes the program of a seed into a processor's memory and leaves it before its first instruction, paging on. */
export function randomFlow(seed: number, t: TestProcessor): void {
  const random = new Seeded(seed);
  const code: number[] = [],
    labels = new Map<string, number>(),
    holes: Hole[] = [],
    tables: Hole[] = [];
  const here = (): number => FLOW.code + code.length;
  const emit = (...bytes: readonly number[]): void => void code.push(...bytes);
  const jump = (opcode: readonly number[], to: string): void => {
    emit(...opcode);
    holes.push({ at: code.length, to });
    emit(0, 0, 0, 0);
  };
  /** Any register but ESP. */
  const register = (): number => random.pick([0, 1, 2, 3, 5, 6, 7]);
  const dataAddress = (): number => FLOW.data + random.below(random.below(4) === 0 ? 8190 : 64);

  const instruction = (): void => {
    const a = register(),
      b = register(),
      op = random.below(8) * 8;
    switch (random.below(21)) {
      case 0:
      case 1:
        return emit(op + 1, 0xc0 | (a << 3) | b);
      case 2:
        return emit(op + 0, 0xc0 | (random.below(4) << 3) | random.below(4));
      case 3:
        return emit(op + 3, 0x05 | (a << 3), ...le32(dataAddress()));
      case 4:
        return emit(op + 1, 0x05 | (a << 3), ...le32(dataAddress()));
      case 5:
        return emit(0x66, op + 1, 0x05 | (a << 3), ...le32(dataAddress()));
      case 6:
        return emit(0x40 + random.below(2) * 8 + a);
      case 7:
        return emit(0xc0 + random.below(2), 0xc0 | (random.pick([0, 1, 2, 3, 4, 5, 7]) << 3) | a, random.below(40));
      case 8:
        return emit(0xd3, 0xc0 | (random.pick([0, 1, 4, 5, 7]) << 3) | a);
      case 9:
        return emit(0x0f, 0x90 + random.below(16), 0xc0 | random.below(8));
      case 10:
        return emit(0x0f, 0x40 + random.below(16), 0xc0 | (a << 3) | b);
      case 11:
        return emit(0x8d, 0x84 | (a << 3), 0x98 | b, ...le32(random.below(4096)));
      case 12:
        return emit(0x0f, 0xaf, 0xc0 | (a << 3) | b);
      case 13:
        // mov eax, [hole]: the handler of the page fault goes on behind its five bytes.
        return random.below(6) === 0 ? emit(0xa1, ...le32(FLOW.hole + random.below(64))) : emit(0x90);
      case 14: {
        // mov eax, n; and an instruction before it that has patched the n.
        const at = here();
        emit(0xfe, 0x05, ...le32(at + 7), 0xb8, ...le32(random.below(256)));
        return;
      }
      case 15:
        return emit(0x50 + a, 0x58 + b);
      case 16:
        // cmc, clc, stc.
        return emit(random.pick([0xf5, 0xf8, 0xf9]));
      case 17:
        // bt a, n.
        return emit(0x0f, 0xba, 0xe0 | a, random.below(32));
      case 18:
        // mul a; imul a.
        return emit(0xf7, 0xe0 | (random.below(2) << 3) | a);
      case 19:
        // shld b, a, n; shrd b, a, n.
        return emit(0x0f, random.pick([0xa4, 0xac]), 0xc0 | (a << 3) | b, random.below(32));
      default:
        return emit(0xf7, 0xd0 | (random.below(2) << 3) | a);
    }
  };
  const counter = (n: number): number => FLOW.counters + n * 4;
  let counters = 0;
  /** Goes to a block as long as a counter lasts. */
  const counted = (to: string): void => {
    const n = counters++;
    t.view.setUint32(counter(n), 1 + random.below(30), true);
    // dec dword [counter]; jns or jg; and back to 0 for those who come by again.
    emit(0xff, 0x0d, ...le32(counter(n)));
    jump([0x0f, 0x80 + random.pick([9, 15])], to);
    emit(0xc7, 0x05, ...le32(counter(n)), ...le32(0));
  };

  for (let n = 0; n < BLOCKS; n++) {
    labels.set(`b${n}`, here());
    for (let i = random.below(8); i >= 0; i--) instruction();
    if (random.below(3) === 0) jump([0xe8], `f${random.below(FUNCTIONS)}`);
    if (random.below(3) === 0) {
      // and eax, 3; jmp [eax*4 + table]: to the blocks behind this one.
      const table = FLOW.tables + n * 16;
      emit(0x83, 0xe0, 0x03, 0xff, 0x24, 0x85, ...le32(table));
      for (let i = 0; i < 4; i++)
        tables.push({ at: table + i * 4, to: `b${Math.min(BLOCKS, n + 1 + random.below(3))}` });
    }
    if (random.below(5) === 0) switchData(random, t, emit);
    if (random.below(3) === 0) jump([0x0f, 0x80 + random.below(16)], `b${Math.min(BLOCKS, n + 1 + random.below(3))}`);
    counted(`b${random.below(n + 1)}`);
  }
  labels.set(`b${BLOCKS}`, here());
  // hlt; jmp to it: an interrupt may end the halt.
  emit(0xf4, 0xeb, 0xfd);
  for (let n = 0; n < FUNCTIONS; n++) {
    labels.set(`f${n}`, here());
    for (let i = random.below(6); i >= 0; i--) instruction();
    if (n + 1 < FUNCTIONS && random.below(2) === 0) jump([0xe8], `f${n + 1}`);
    emit(0xc3);
  }
  for (const { at, to } of holes) {
    const distance = labels.get(to)! - (FLOW.code + at + 4);
    le32(distance).forEach((byte, i) => (code[at + i] = byte));
  }
  t.put(FLOW.code, ...code);
  for (let i = 0; i < FLOW.tables - FLOW.data; i++) t.ram[FLOW.data + i] = random.below(256);
  for (const { at, to } of tables) t.view.setUint32(at, labels.get(to)!, true);
  handlers(t);
  t.enablePaging();
  for (let n = 0; n < 8; n++) if (n !== 4) t.cpu.setRegister(n, random.below(2 ** 32));
  t.cpu.set('eip', FLOW.code);
  t.cpu.set('systemFlags', 0x202);
}

/** Maps the data's second page to the other of two, and forgets the old one. */
function switchData(_random: Seeded, t: TestProcessor, emit: (...bytes: readonly number[]) => void): void {
  const linear = FLOW.data + 4096;
  t.page(linear, linear, PTE.P | PTE.W | PTE.U);
  // xor dword [entry], a ^ b; invlpg [linear].
  emit(0x81, 0x35, ...le32(t.entryAt(linear)), ...le32(linear ^ FLOW.otherData));
  emit(0x0f, 0x01, 0x3d, ...le32(linear));
}

/** Interrupts are counted; page faults too, and go on behind MOV EAX, moffs. */
function handlers(t: TestProcessor): void {
  t.put(FLOW.handlers, 0xff, 0x05, ...le32(FLOW.interrupts), 0xcf);
  t.put(
    FLOW.handlers + 16,
    ...[0xff, 0x05, ...le32(FLOW.faults)],
    ...[0x83, 0x44, 0x24, 0x04, 0x05], // add dword [esp+4], 5
    ...[0x83, 0xc4, 0x04, 0xcf], // add esp, 4; iret
  );
  t.gate(INTERRUPT, FLOW.handlers, 0xee, SELECTOR.code);
  t.gate(PAGE_FAULT, FLOW.handlers + 16, 0xee, SELECTOR.code);
  t.cpu.setRegister(4, AT.stack);
}
