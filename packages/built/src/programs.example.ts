/** A program that tells where it is, and where a mistake in it lies. */
import { readFileSync } from 'node:fs';

interface Told {
  readonly place: string;
  readonly firstLine: string;
  readonly stack: readonly string[];
}
function fail(): never {
  throw new Error('as it was meant to be');
}
const told = (error: Error): Told => ({
  place: import.meta.url,
  firstLine: readFileSync(new URL('programs.example.ts', import.meta.url), 'utf8').split('\n')[0]!,
  stack: error.stack!.split('\n'),
});
try {
  fail();
} catch (error) {
  process.stdout.write(JSON.stringify(told(error as Error)));
}
