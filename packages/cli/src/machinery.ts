/** Joins the commands to the machine. */
import { disassemble } from '@tomei/paravirt-core';
import { disassemblyLines } from './disassembly.ts';
import type { Machinery } from './program.ts';
import { runGuest } from './run-guest.ts';

export const machinery: Machinery = {
  runGuest,
  disassemble: ({ code, address, bits }) => disassemblyLines(disassemble(code, { address, big: bits === 32 })),
};
