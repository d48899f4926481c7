/** Joins the commands to the machine. */
import { disassemblyLines } from './disassembly.ts';
import type { PreparedGuest } from '@tomei/guest';
import type { Machinery } from './program.ts';
import { runGuestWith } from './run-guest.ts';

export const machinery = (prepared?: PreparedGuest): Machinery => ({
  runGuest: runGuestWith(prepared),
  // The machine runs in processes of its own: loading it here too would keep each of them waiting.
  disassemble: async ({ code, address, bits }) => {
    const { disassemble } = await import('@tomei/paravirt-core');
    return disassemblyLines(disassemble(code, { address, big: bits === 32 }));
  },
});
