/** Joins the commands to the machine. */
import { disassemblyLines } from './disassembly.ts';
import type { Machinery } from './program.ts';
import { runGuest } from './run-guest.ts';

export const machinery: Machinery = {
  runGuest,
  // The machine runs in processes of its own: loading it here too would keep each of them waiting.
  disassemble: async ({ code, address, bits }) => {
    const { disassemble } = await import('@tomei/paravirt-core');
    return disassemblyLines(disassemble(code, { address, big: bits === 32 }));
  },
};
