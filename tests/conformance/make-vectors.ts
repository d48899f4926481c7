/**
 * Makes the stored vectors on the processor of this machine, or checks that this processor agrees with the stored ones.
 *
 *     node tests/conformance/make-vectors.ts [--family NAME]... [--out DIRECTORY]
 *     node tests/conformance/make-vectors.ts --check [--family NAME]...
 */
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { EXIT, TomeiError, messageOf } from '@tomei/kit';
import { HostCpu } from './host/host-cpu.ts';
import { CASE_SOURCES } from './sources/index.ts';
import { VECTORS_DIRECTORY, readVectors, storedFamilies, writeVectors } from './vectors.ts';
import { checkVectors, makeVectors } from './vector-making.ts';

const TOOL = 'make-vectors 1';
/** Disagreements of one family that are printed. */
const SHOWN = 20;

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

function chosen(families: readonly string[], known: readonly string[]): readonly string[] {
  const unknown = families.find((family) => !known.includes(family));
  if (unknown !== undefined)
    throw new TomeiError('family.unknown', `no family '${unknown}'; there are: ${known.join(', ')}`);
  return families.length > 0 ? families : known;
}

async function make(cpu: HostCpu, families: readonly string[], out: string): Promise<void> {
  mkdirSync(out, { recursive: true });
  const wanted = chosen(
    families,
    CASE_SOURCES.map((source) => source.family),
  );
  const { vendor, brand, signature } = cpu.identity;
  const date = new Date().toISOString().slice(0, 10);
  for (const source of CASE_SOURCES.filter(({ family }) => wanted.includes(family))) {
    const vectors = await makeVectors(source, cpu);
    const size = writeVectors(
      out,
      { family: source.family, cpu: { vendor, brand, signature }, date, tool: TOOL },
      vectors,
    );
    say(`${source.family}: ${vectors.length} cases, ${size} bytes`);
  }
}

/** The number of vectors that this processor does not agree with. */
async function check(cpu: HostCpu, families: readonly string[], directory: string): Promise<number> {
  let wrong = 0;
  for (const family of chosen(families, storedFamilies(directory))) {
    const { header, vectors } = readVectors(family, directory);
    const disagreements = await checkVectors(vectors, cpu);
    wrong += disagreements.length;
    say(`${family}: ${disagreements.length} of ${vectors.length} differ from ${header.cpu.brand} (${header.date})`);
    for (const { name, lines } of disagreements.slice(0, SHOWN)) say(`  ${name}: ${lines.join('; ')}`);
  }
  return wrong;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      family: { type: 'string', multiple: true, default: [] },
      out: { type: 'string', default: VECTORS_DIRECTORY },
      check: { type: 'boolean', default: false },
    },
  });
  await using cpu = await HostCpu.start();
  say(`${cpu.identity.vendor} ${cpu.identity.brand}, signature ${cpu.identity.signature.toString(16)}`);
  if (values.check) return (await check(cpu, values.family, values.out)) === 0 ? EXIT.ok : EXIT.failed;
  await make(cpu, values.family, values.out);
  return EXIT.ok;
}

function exitCodeOf(error: unknown): number {
  const usage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (usage || (error instanceof TomeiError && error.code === 'family.unknown')) return EXIT.usage;
  return error instanceof TomeiError && error.code.startsWith('host-cpu.') ? EXIT.hostTrouble : EXIT.failed;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`make-vectors: ${messageOf(error)}\n`);
  process.exitCode = exitCodeOf(error);
}
