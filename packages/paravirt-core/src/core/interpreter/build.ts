/** Generates the interpreter of the whole table into `gen/`. Run as part of `pnpm build`. */
import { allRows } from '../../isa/instructions/index.ts';
import { FormTable } from '../../isa/forms.ts';
import { generateInterpreter } from './generate.ts';
import { writePrebuilt } from './prebuilt.ts';

writePrebuilt(generateInterpreter(new FormTable(allRows).forms));
