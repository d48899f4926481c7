/** How `tomei disasm` lays its lines out. */
import type { DisassemblyLine } from '@tomei/paravirt-core';

/** Room for this many bytes; longer instructions push their text out. */
const BYTES_SHOWN = 8;

/** `00007c00  89 d8                    mov eax, ebx`. */
export function* disassemblyLines(lines: Iterable<DisassemblyLine>): Generator<string> {
  for (const { address, bytes, text } of lines) {
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    yield `${address.toString(16).padStart(8, '0')}  ${hex.padEnd(BYTES_SHOWN * 3)}  ${text}`;
  }
}
