/** The program `tomei`, once it is settled what it is loaded from. */
import type { PreparedGuest } from '@tomei/guest';
import { machinery } from './machinery.ts';
import { runProgram } from './program.ts';

/** With `prepared`, a guest that is run has this process. */
export async function startProgram(prepared?: PreparedGuest): Promise<void> {
  try {
    process.exitCode = await runProgram(process.argv.slice(2), machinery(prepared));
  } finally {
    prepared?.kill('SIGKILL');
  }
}
