/** In a built program, which begins with this: stacks of errors name the sources and their lines. */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

const maps = new Map<string, SourceMap | undefined>();
/** Read when a stack is looked at that names the file: a start has no errors, and the maps are larger than the programs. */
function mapOf(url: string): SourceMap | undefined {
  if (!maps.has(url)) maps.set(url, readMap(url));
  return maps.get(url);
}
function readMap(url: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(new URL(`${url}.map`), 'utf8')) as SourceMap['payload']);
  } catch {
    return undefined;
  }
}

/** A frame as V8 writes it, with its place in the source. */
function frameText(frame: NodeJS.CallSite): string {
  const text = frame.toString(),
    url = frame.getFileName() ?? '',
    line = frame.getLineNumber() ?? 0,
    column = frame.getColumnNumber() ?? 0;
  if (!url.startsWith(BUILT)) return text;
  // Counted from 0.
  const entry = mapOf(url)?.findEntry(line - 1, column - 1);
  if (entry === undefined || !('originalSource' in entry)) return text;
  const { originalSource, originalLine, originalColumn } = entry;
  const place = `${fileURLToPath(new URL(originalSource, url))}:${originalLine + 1}:${originalColumn + 1}`;
  return text.replace(`${url}:${line}:${column}`, place);
}

/** The folder of the program. */
const BUILT = new URL('./', import.meta.url).href;
Error.prepareStackTrace = (error, frames) =>
  [String(error), ...frames.map((frame) => `    at ${frameText(frame)}`)].join('\n');
