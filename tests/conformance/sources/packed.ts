/** Cases for MMX and the integer and move instructions of SSE and SSE2. */
import { families, type Row } from '@tomei/paravirt-core';
import { MEMORY, type CaseSource } from '../case.ts';
import { integerVectors, littleEndian } from '../operands.ts';
import { tableSource, type Draft } from './from-table.ts';

const EDI = 7;
const rowsOf = (family: string): readonly Row[] => families.flat().filter((row) => row.family === family);

/** Counts around the widths of lanes and registers. */
const COUNTS = [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 0xff] as const;

const PENDING = { fcw: 0x0340, fsw: 0x8081 } as const;

/** TOP and tags that an MMX instruction changes, on a part of the cases; an x87 exception that waits (#MF), on a few. */
export function disturbX87(draft: Draft): void {
  const { fx, random } = draft;
  if (fx.mm === undefined || random.oneIn(2)) return;
  draft.fx = { ...fx, top: random.below(8), ...(random.oneIn(8) ? PENDING : { fsw: random.below(0x8000) & 0x4700 }) };
}

const packedInteger = tableSource({
  family: 'packed-integer',
  rows: rowsOf('packed-integer'),
  casesPerForm: 14,
  prepare: disturbX87,
});

const packedShift = tableSource({
  family: 'packed-shift',
  rows: rowsOf('packed-shift'),
  casesPerForm: 24,
  prepare: (draft) => {
    disturbX87(draft);
    const { form, random } = draft;
    if (form.row.operands[1]?.kind === 'imm') draft.choice = { ...draft.choice, immediate: random.pick(COUNTS) };
    else if (!random.oneIn(4)) {
      // The count is the source's low half.
      const count = littleEndian(random.pick(COUNTS), 8);
      const put = (bytes: Uint8Array): Uint8Array => Uint8Array.from([...count, ...bytes.subarray(8)]);
      const rm = draft.choice.rm ?? 0;
      if (form.memory) draft.memory = put(draft.memory);
      else draft.fx = { ...draft.fx, ...replaced(draft, rm, put) };
    }
  },
});

function replaced(draft: Draft, n: number, put: (bytes: Uint8Array) => Uint8Array): Draft['fx'] {
  const change = (list: readonly Uint8Array[] | undefined): readonly Uint8Array[] | undefined =>
    list?.map((bytes, i) => (i === n ? put(bytes) : bytes));
  const { mm, xmm } = draft.fx;
  return { ...(mm === undefined ? {} : { mm: change(mm)! }), ...(xmm === undefined ? {} : { xmm: change(xmm)! }) };
}

const packedShuffle = tableSource({
  family: 'packed-shuffle',
  rows: rowsOf('packed-shuffle'),
  casesPerForm: 20,
  prepare: (draft) => {
    disturbX87(draft);
    const { form, random } = draft;
    if (form.row.operands.at(-1)?.kind === 'imm') draft.choice = { ...draft.choice, immediate: random.below(256) };
  },
});

const sseMove = tableSource({
  family: 'sse-move',
  rows: rowsOf('sse-move'),
  casesPerForm: 20,
  vectors: ({ random }, length) => (random.oneIn(2) ? random.bytes(length) : random.pick(integerVectors(length))),
  prepare: (draft) => {
    disturbX87(draft);
    const { form, random, registers } = draft;
    const { mnemonic } = form.row;
    if (mnemonic === 'emms') draft.fx = { top: random.below(8), mm: Array.from({ length: 8 }, () => random.bytes(8)) };
    if (mnemonic.startsWith('maskmov')) {
      const edge = random.oneIn(2);
      const page = edge ? random.pick([0xff0, 0xff8, 0xfff, -1, -8]) : 0x400 + random.below(64);
      // With 16-bit addresses the low half of EDI reaches no page.
      if (form.addressSize === 32) registers[EDI] = MEMORY.data.address + page;
      if (edge || form.addressSize === 16) {
        // What a fault leaves behind is the processor's choice: how much is stored, and whether TOP is 0 already.
        draft.masks.undefinedMemory = true;
        delete (draft.fx as { top?: number }).top;
      }
    }
    if (mnemonic === 'ldmxcsr' && random.oneIn(2)) draft.memory = littleEndian(0x1f80 ^ (random.u32() & 0xffff), 4);
    if (mnemonic === 'stmxcsr') draft.fx = { mxcsr: random.u32() & 0xffff };
  },
});

export const PACKED_SOURCES: readonly CaseSource[] = [packedInteger, packedShift, packedShuffle, sseMove];
