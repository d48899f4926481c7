/** The processor's block of linear memory, to be put back and to be compared: registers by name, and what is nobody's business. */
import { OFFSET, type Cpu } from '@tomei/paravirt-core';

type Field = keyof typeof OFFSET;

/**
 * What two ways through the same instructions may leave differently: scratch space, what is computed from the rest, and what engines
 * keep of themselves. The two words of the status flags are compared as EFLAGS.
 */
const UNSEEN = new Set<Field>([
  ...(['zero', 'address16', 'scratch', 'flagResult', 'flagAux'] as const),
  ...(['pageEip', 'pageMap', 'compiledMode', 'tlb', 'codeTlb'] as const),
  ...(['exit', 'fault', 'faultVector', 'faultCode'] as const),
  ...(['instructionsLeft', 'instructionsReturned', 'pollBudget', 'interruptPending'] as const),
]);
/** Slots that are wider than what they hold: bytes that count of each so many. */
const SLOTS: Partial<Record<Field, readonly [bytes: number, of: number]>> = { gpr: [4, 8], fpr: [10, 16] };
const GENERAL = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;

/** Places in the block that are compared. */
interface Part {
  readonly name: string;
  readonly at: number;
  readonly bytes: number;
}
function partsOf(blockBytes: number): Part[] {
  const fields = (Object.entries(OFFSET) as [Field, number][]).sort(([, a], [, b]) => a - b);
  return fields.flatMap(([name, at], i): Part[] => {
    if (UNSEEN.has(name)) return [];
    const end = fields[i + 1]?.[1] ?? blockBytes,
      [bytes, of] = SLOTS[name] ?? [end - at, end - at];
    const count = Math.floor((end - at) / of);
    return Array.from({ length: count }, (_, n) => ({
      name: name === 'gpr' ? GENERAL[n]! : count === 1 ? name : `${name}[${n}]`,
      at: at + n * of,
      bytes,
    }));
  });
}

export class ProcessorCopy {
  readonly bytes: Uint8Array;
  eflags = 0;

  constructor(cpu: Cpu) {
    this.bytes = cpu.save();
  }
  take(cpu: Cpu): void {
    this.bytes.set(cpu.u8.subarray(cpu.base, cpu.base + this.bytes.length));
    this.eflags = cpu.eflags;
  }
  putBack(cpu: Cpu): void {
    cpu.u8.set(this.bytes, cpu.base);
  }
  field(name: Field): number {
    return new DataView(this.bytes.buffer, this.bytes.byteOffset).getInt32(OFFSET[name], true);
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.toReversed()).toString('hex');

export class ProcessorComparison {
  private readonly parts: readonly Part[];

  constructor(blockBytes: number) {
    this.parts = partsOf(blockBytes);
  }
  /** Each register in which two states differ: 'ecx 00000001, not 00000002'. `except` names those that do not count. */
  differences(is: ProcessorCopy, wanted: ProcessorCopy, except: ReadonlySet<string>): string[] {
    const found: string[] = [];
    if (is.eflags !== wanted.eflags) found.push(`eflags ${word(is.eflags)}, not ${word(wanted.eflags)}`);
    // Mostly all is the same.
    if (Buffer.compare(is.bytes, wanted.bytes) === 0) return found;
    for (const { name, at, bytes } of this.parts) {
      const end = at + bytes;
      let i = at;
      while (i < end && is.bytes[i] === wanted.bytes[i]) i++;
      if (i === end || except.has(name)) continue;
      // Of long fields the part that differs is enough.
      const from = bytes > 16 ? i & ~3 : at,
        to = bytes > 16 ? from + 4 : end;
      const place = bytes > 16 ? `${name}+${from - at}` : name;
      found.push(`${place} ${hex(is.bytes.subarray(from, to))}, not ${hex(wanted.bytes.subarray(from, to))}`);
    }
    return found;
  }
}

/** Eight hexadecimal digits. */
export const word = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
