/** Random programs on several engines: finding one that they disagree on, and the few instructions that it takes. */
import { type CpuCase, type CpuResult, type CpuUnderTest } from './case.ts';
import {
  describeProgram,
  isWellDefined,
  programCase,
  programDifferences,
  randomProgram,
  type Instruction,
  type InstructionTemplate,
  type RandomProgram,
} from './random-program.ts';
import { Random } from './random.ts';
import { shrink } from './shrink.ts';

export interface FuzzEngine {
  readonly name: string;
  readonly cpu: CpuUnderTest;
}
/** A program as short as it gets, and how the engine differs from the reference at its end. */
export interface FuzzFinding {
  readonly engine: string;
  readonly seed: number;
  readonly program: string;
  readonly lines: readonly string[];
}

async function resultOf({ cpu }: FuzzEngine, one: CpuCase): Promise<CpuResult> {
  const [result] = await cpu.run([one]);
  if (result === undefined) throw new Error('an engine gave no result');
  return result;
}

/** Whether the program of a seed is 16-bit code: one in four. */
const isNarrow = (seed: number): boolean => seed % 4 === 3;

/**
 * Runs programs of `length` instructions with seeds from `first` on, and gives the first disagreement of each engine, if any. `narrow`:
 * whether some are 16-bit code, which a reference must be able to run; true if missing.
 */
export async function fuzz(
  templates: readonly InstructionTemplate[],
  reference: FuzzEngine,
  engines: readonly FuzzEngine[],
  { first, count, length, narrow = true }: { first: number; count: number; length: number; narrow?: boolean },
): Promise<FuzzFinding[]> {
  const programs = Array.from({ length: count }, (_, i) =>
    randomProgram(new Random(first + i), first + i, templates, length, !(narrow && isNarrow(first + i))),
  );
  const cases = programs.map((program) => programCase(program));
  const expected = await reference.cpu.run(cases);
  const findings: FuzzFinding[] = [];
  for (const engine of engines) {
    const actual = await engine.cpu.run(cases);
    const at = programs.findIndex(
      (program, i) => programDifferences(program, program.instructions, expected[i]!, actual[i]!).length > 0,
    );
    if (at >= 0) findings.push(await explain(programs[at]!, reference, engine));
  }
  return findings;
}

async function explain(program: RandomProgram, reference: FuzzEngine, engine: FuzzEngine): Promise<FuzzFinding> {
  const differ = async (some: readonly Instruction[]): Promise<string[]> => {
    const one = programCase(program, some);
    return programDifferences(program, some, await resultOf(reference, one), await resultOf(engine, one));
  };
  const few = await shrink(
    program.instructions,
    async (some) => isWellDefined(some) && (await differ(some)).length > 0,
  );
  return {
    engine: engine.name,
    seed: Number(program.seed),
    program: describeProgram(program, few),
    lines: (await differ(few)).map((line) => `${line} (${reference.name})`),
  };
}
