/** Joins the commands to the machine. */
import { TomeiError } from '@tomei/kit';
import type { Machinery } from './program.ts';
import { runGuest } from './run-guest.ts';

const absent = (what: string): never => {
  throw new TomeiError('machine.absent', `this version cannot ${what} yet`);
};

export const machinery: Machinery = {
  runGuest,
  disassemble: () => absent('disassemble'),
};
