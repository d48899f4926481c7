/** `tomei run --perf`: a profile becomes a flame graph in a file, and a table. */
import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Profile, Symbols } from '@tomei/guest';
import { TomeiError, messageOf } from '@tomei/kit';
import { callTree, hotFunctions, type HotFunction } from './call-tree.ts';
import { flameGraph } from './flame-graph.ts';
import { hotTable } from './hot-table.ts';

export interface PerfOutput {
  readonly vmx: string;
  /** Gets the graph when its name ends in `.svg`; else it gets the table, and the graph lies beside it. */
  readonly file: string;
  /** For what the guest's kernel has no name for: its own are the ones that are true. */
  readonly symbols?: Symbols | undefined;
}
export interface PerfReport {
  /** For a terminal: the table, or where it is. */
  readonly lines: readonly string[];
  readonly samples: number;
  readonly functions: readonly HotFunction[];
}

/** Throws `perf.unwritable`. */
export async function writePerf(profile: Profile, { vmx, file, symbols }: PerfOutput): Promise<PerfReport> {
  const sources = [profile.symbols, symbols].filter((source) => source !== undefined);
  const functions = hotFunctions(profile, sources),
    text = hotTable(profile, functions);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const graph = flameGraph(callTree(profile, sources), {
    title: `Where ${basename(vmx)} spent its time`,
    subtitle: `${seconds(profile.ms)} of processor time in ${profile.samples.toLocaleString('en-US')} samples, halted for ${seconds(profile.idleMs)}${sources.length === 0 ? '; no symbols: give --symbols for names' : ''}`,
  });
  const isGraph = /\.svg$/i.test(file),
    graphFile = isGraph ? file : `${file}.svg`;
  await write(graphFile, graph);
  if (!isGraph) await write(file, `${text}\n`);
  const lines = isGraph ? text.split('\n') : [`--perf: the hot functions are in ${file}`];
  return { lines: [...lines, `--perf: the flame graph is in ${graphFile}`], samples: profile.samples, functions };
}
async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    throw new TomeiError('perf.unwritable', `--perf ${file}: ${messageOf(cause)}`, { cause });
  }
}
