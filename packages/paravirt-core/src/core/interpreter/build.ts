/** Generates the interpreter of the whole table into `gen/`, with its machine code. Run as part of `pnpm build`. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { GUEST_V8_FLAGS, startedWith } from '@tomei/kit';
import { allRows } from '../../isa/instructions/index.ts';
import { FormTable } from '../../isa/forms.ts';
import { optimizedCode } from '../../wasm/machine-code.ts';
import { generateInterpreter } from './generate.ts';
import { writePrebuilt } from './prebuilt.ts';

if (startedWith(GUEST_V8_FLAGS)) {
  const generated = generateInterpreter(new FormTable(allRows).forms),
    code = optimizedCode(generated.bytes);
  writePrebuilt({ generated, ...(code !== undefined && { code }) });
} else {
  // Code is taken over by processes of the same flags only.
  const { status, error } = spawnSync(process.execPath, [...GUEST_V8_FLAGS, fileURLToPath(import.meta.url)], {
    stdio: 'inherit',
  });
  if (error !== undefined) throw error;
  process.exitCode = status ?? 1;
}
