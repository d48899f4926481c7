/** The disassembler against objdump (Debian package binutils), over an encoding of every form; and what is its own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Decoder, type MemoryOperand } from './decode.ts';
import { disassemble, instructionText } from './disasm.ts';
import { defaultSegment, encode, type Choice } from './encode.ts';
import { allRows } from './instructions/index.ts';
import type { Form } from './model.ts';

const decoder = new Decoder(allRows);
const lines = (hex: string, address = 0x1000, big = true): string[] =>
  [...disassemble(Buffer.from(hex, 'hex'), { address, big })].map(({ text }) => text);

describe('disassemble', () => {
  it('writes operands in the order and the words of Intel', () => {
    expect(lines('83442408ff')).toEqual(['add dword ptr [esp+8], -1']);
    expect(lines('f00fb10f')).toEqual(['lock cmpxchg dword ptr [edi], ecx']);
    expect(lines('f3a5f2ae')).toEqual([
      'rep movs dword ptr es:[edi], dword ptr ds:[esi]',
      'repne scas al, byte ptr es:[edi]',
    ]);
    expect(lines('ebfe7405')).toEqual(['jmp 0x1000', 'jz 0x1009']);
    expect(lines('64a128000000668b5c24fc')).toEqual(
      ['mov eax, fs:[0x28]', 'mov bx, word ptr [esp-4]'].map((t) => t.replace('fs:', 'dword ptr fs:')),
    );
    expect(lines('ea785634120800')).toEqual(['jmp 0x8:0x12345678']);
    expect(lines('d8c2dcc2dec2d9c9')).toEqual(['fadd st, st(2)', 'fadd st(2), st', 'faddp st(2), st', 'fxch st(1)']);
    expect(lines('60669c8f442404')).toEqual(['pusha', 'pushfw', 'pop dword ptr [esp+4]']);
  });

  it('follows the size of the code segment', () => {
    expect(lines('89d866608b4702e80000', 0x7c00, false)).toEqual([
      'mov ax, bx',
      'pushad',
      'mov ax, word ptr [bx+2]',
      'call 0x7c0a',
    ]);
  });

  it('goes on behind bytes that are no instruction, and ends with the code', () => {
    expect(lines('0f04400f')).toEqual(['db 0x0f', 'add al, 0x40', 'db 0x0f']);
    expect(lines('')).toEqual([]);
  });
});

const at = (parts: Partial<MemoryOperand>): MemoryOperand => {
  const whole = { base: -1, index: -1, scale: 0, displacement: 0, addressSize: 32 as 16 | 32, ...parts };
  return { segment: defaultSegment(whole.base), ...whole };
};
const ADDRESSES: readonly MemoryOperand[] = [
  at({ base: 3, index: 6, scale: 2, displacement: 0x10 }),
  at({ base: 4, displacement: -8 }),
  at({ displacement: 0x12345678 }),
  at({ base: 0, segment: 4 }),
  at({ base: 5, index: 1, displacement: -0x12345678 }),
  at({ index: 7, scale: 3, displacement: 0x100 }),
  at({ addressSize: 16, base: 5, index: 6, displacement: -3 }),
  at({ addressSize: 16, displacement: 0x1234 }),
];

/** Some encodings of a form. */
function choices(form: Form): Choice[] {
  const { row } = form;
  const offsets = row.operands.some((o) => o.kind === 'moffs');
  const memories = offsets
    ? [at({ displacement: 0x1234 }), at({ displacement: 0x77, segment: 5 })]
    : form.memory
      ? ADDRESSES.filter((m) => row.addressSized !== true || m.addressSize === form.addressSize)
      : [undefined, undefined];
  return memories.map((memory, n) => ({
    reg: row.operands.some((o) => o.kind === 'sreg')
      ? 3
      : row.operands.some((o) => o.kind === 'creg')
        ? [0, 3][n % 2]!
        : (n * 3 + 1) % 8,
    rm: (n * 5 + 2) % 8,
    ...(memory === undefined ? {} : { memory }),
    immediate: row.operands.some((o) => o.kind === 'simm' || o.kind === 'rel') && n % 2 === 1 ? -3 : 0x15,
    immediate2: 0x7,
    lock: row.lock === true && form.memory && n === 1,
    ...(row.repeat !== undefined && n === 1 && !['stos', 'scas', 'ins'].includes(row.mnemonic) ? { segment: 4 } : {}),
  }));
}

const ALIASES: Readonly<Record<string, string>> = {
  repz: 'repe',
  repnz: 'repne',
  lgdtd: 'lgdt',
  lidtd: 'lidt',
  sgdtd: 'sgdt',
  sidtd: 'sidt',
  fucompp: 'fucompp',
};
/** Conditions that have two names. */
const conditions = (word: string): string =>
  word.replace(/^(j|set|cmov)(n?)e$/, '$1$2z').replace(/^(set|cmov|j)(n?)c$/, '$1$2b');

/** One spelling for what two assemblers write differently: numbers in decimal, no ignored prefixes, one name a thing. */
function normal(text: string, size: number): string {
  let t = text.toLowerCase().replace(/\s+/g, ' ').replace(/ ?, ?/g, ', ').trim();
  t = t.replace(/\b(data16|addr16|addr32|ds|es|ss|cs|fs|gs|repz|repnz) (?=[a-z])/g, (all, word: string) =>
    ALIASES[word] !== undefined
      ? `${ALIASES[word]} `
      : word === 'addr16' && /loop/.test(text)
        ? all
        : /^(push|pop)/.test(text)
          ? all
          : '',
  );
  t = t
    .split(' ')
    .map((word) => conditions(ALIASES[word] ?? word))
    .join(' ');
  t = t
    .replace(/\*1\b/g, '')
    .replace(/\bdb([0-7])\b/g, 'dr$1')
    .replace(/^(mov [c-gs]s, )e/, '$1')
    .replace(/^(xlat .*)ds:/, '$1');
  t = t.replace(/([defgs]s):(0x[0-9a-f]+)/g, (_, s: string, n: string) => (s === 'ds' ? `[${n}]` : `${s}:[${n}]`));
  t = t
    .replace(/ds:\[(?!.*(esi|si|bx)\])/g, '[')
    .replace(/, -(\d+|0x[0-9a-f]+)$/, (_, n: string) => `, ${2 ** size - Number(n)}`)
    .replace(/^pushw? -(\d+)$/, (_, n: string) => `${size === 16 ? 'pushw' : 'push'} ${2 ** size - Number(n)}`);
  return t.replace(/0x[0-9a-f]+/g, (n) => String(Number(n)));
}
/** Where this disassembler's table and objdump's name things differently on purpose; the bytes mean the same. */
const EXEMPT = /^(nop|prefetch|ud[01]|salc|db|fneni|fndisi|fnsetpm|ffreep|int1|[lms]fence)\b/;

/** Between samples, so that objdump finds the next one after bytes that it does not know. */
const PADDING = Buffer.alloc(16, 0x90);

const objdumpMissing = (): string | undefined => {
  try {
    execFileSync('objdump', ['--version']);
    return undefined;
  } catch {
    return 'objdump is not installed (Debian package binutils)';
  }
};

describe('against objdump', () => {
  it('names every form as it does', (context) => {
    const missing = objdumpMissing();
    context.skip(missing !== undefined, missing);
    const samples: { form: Form; bytes: Uint8Array; at: number }[] = [];
    let end = 0;
    for (const form of decoder.table.forms)
      for (const choice of choices(form)) {
        const bytes = encode(form, choice);
        samples.push({ form, bytes, at: end });
        end += bytes.length + PADDING.length;
      }
    const directory = mkdtempSync(join(tmpdir(), 'disasm-'));
    const file = join(directory, 'code.bin');
    writeFileSync(file, Buffer.concat(samples.flatMap(({ bytes }) => [bytes, PADDING])));
    const output = execFileSync('objdump', ['-D', '-w', '-b', 'binary', '-m', 'i386', '-M', 'intel', file], {
      maxBuffer: 1 << 28,
    }).toString();
    rmSync(directory, { recursive: true });
    const theirs = new Map(
      output.split('\n').flatMap((line) => {
        const parts = /^ *([0-9a-f]+):\t[0-9a-f ]+\t(.*)$/.exec(line);
        return parts === null ? [] : [[parseInt(parts[1]!, 16), parts[2]!.replace(/ *#.*$/, '')] as const];
      }),
    );

    const wrong: string[] = [];
    let compared = 0;
    for (const { form, bytes, at } of samples) {
      const insn = decoder.decode(bytes, 0, bytes.length, true);
      if (typeof insn === 'string') throw new Error(`${form.row.mnemonic} ${form.row.encoding} does not decode`);
      const ours = instructionText(insn, { address: at, big: true }),
        other = theirs.get(at) ?? 'nothing';
      // Short branches with an operand size prefix clear the upper half of EIP (the vectors show it); objdump leaves it.
      const short = form.size === 16 && form.row.encoding.endsWith('cb');
      if (EXEMPT.test(form.row.mnemonic) || other.includes('(bad)') || short) continue;
      compared++;
      const untyped =
        form.row.mnemonic === 'lddqu' ||
        form.row.operands.some((o) => o.size === 'none' || o.kind === 'moffs' || o.size === 512);
      const plain = (text: string): string =>
        untyped ? normal(text, form.size).replace(/\w+ ptr /g, '') : normal(text, form.size);
      if (plain(ours) !== plain(other)) wrong.push(`${Buffer.from(bytes).toString('hex')}: ${ours} | ${other}`);
    }
    expect(wrong.slice(0, 60)).toEqual([]);
    expect(compared).toBeGreaterThan(2000);
  });
});
