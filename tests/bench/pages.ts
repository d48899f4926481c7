/** What a benchmark leaves behind: its results as JSON, and pages in docs/. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A line for whoever waits; standard output is for the results. */
export const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** As it is printed and stored. */
export const asJson = (results: unknown): string => `${JSON.stringify(results, null, 2)}\n`;

/** Writes files of a folder, by name. */
export function writePages(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), content);
    say(`wrote ${join(folder, name)}`);
  }
}
