/** Cases whose ends must be the same on every engine, and on the processor of this machine. */
import type { CpuResult, NamedCase } from './case.ts';
import { differences } from './compare.ts';
import { compiledCpu } from './engines/compiled.ts';
import { interpreterCpu } from './engines/interpreter.ts';
import { oracleCpu } from './engines/oracle.ts';
import { HostCpu } from './host/host-cpu.ts';

/** Differences that are told: the others mostly have the same cause. */
const MOST_TOLD = 20;

/**
 * How interpreter, compiled code and careful compiled code end otherwise than the oracle, which goes by leaves: nothing that the manuals leave
 * open is excused. Compiled code is given the first `compiled` cases alone, since each of them is a region to compile.
 */
export async function differencesFromOracle(cases: readonly NamedCase[], compiled: number): Promise<string[]> {
  const defined = cases.map((each) => ({ ...each, undefinedStatus: 0 })),
    wanted = await oracleCpu().run(cases);
  const engines = [
    [interpreterCpu(), cases.length],
    [compiledCpu(), compiled],
    [compiledCpu({ isCareful: true }), compiled],
  ] as const;
  const wrong: string[] = [];
  for (const [cpu, count] of engines) wrong.push(...told(defined, wanted, await cpu.run(cases.slice(0, count))));
  return wrong;
}

/** How the interpreter ends otherwise than the processor of this machine, in what the manuals define. Only where `HostCpu.available`. */
export async function differencesFromHost(cases: readonly NamedCase[]): Promise<string[]> {
  await using native = await HostCpu.start();
  return told(cases, await native.run(cases), await interpreterCpu().run(cases));
}

const told = (cases: readonly NamedCase[], wanted: readonly CpuResult[], got: readonly CpuResult[]): string[] =>
  got
    .flatMap((each, i) => differences(cases[i]!, wanted[i]!, each).map((line) => `${cases[i]!.name}: ${line}`))
    .slice(0, MOST_TOLD);
