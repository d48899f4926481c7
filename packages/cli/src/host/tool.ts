/** Runs programs of the host (apt-get, mke2fs, ...) without a shell and turns their failures into one clear error. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { TomeiError } from '@tomei/kit';

/** Debian keeps mke2fs, depmod and others where an ordinary user's PATH does not look. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

export interface ToolOptions {
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Text for its standard input; without it the input is empty. */
  readonly input?: string;
  /** Called with each line of standard output while the tool runs. */
  readonly onLine?: (line: string) => void;
  /** Likewise, for its standard error. */
  readonly onErrorLine?: (line: string) => void;
  /** Exit codes that are no failure; 0 alone by default. */
  readonly accept?: readonly number[];
}
export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const searchPath = (): string => [process.env['PATH'] ?? '', ...SYSTEM_DIRECTORIES].join(delimiter);

/** Where a command lies, looked for in PATH and in the system directories; undefined when it is not installed. */
export function findCommand(command: string): string | undefined {
  for (const directory of searchPath().split(delimiter)) {
    if (directory === '') continue;
    const path = join(directory, command);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here: the next directory may have it.
    }
  }
  return undefined;
}

const lastLines = (text: string, count: number): string => text.trim().split('\n').slice(-count).join('\n');

/**
 * Runs a tool to its end, in the C locale. Throws `tool.missing` when it is not installed and `tool.failed`, with the last
 * lines it wrote, when it ends with a code that is not accepted or by a signal.
 */
export async function runTool(
  command: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolResult> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, PATH: searchPath(), LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const out: string[] = [];
  const err: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    out.push(`${line}\n`);
    options.onLine?.(line);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    err.push(`${line}\n`);
    options.onErrorLine?.(line);
  });
  // A tool may end without reading its input; its exit code then says what matters.
  child.stdin.on('error', () => undefined).end(options.input ?? '');

  const end = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === 'ENOENT'
          ? new TomeiError('tool.missing', `the program ${command} is not installed`, { cause, data: { command } })
          : new TomeiError('tool.failed', `cannot start ${command}: ${cause.message}`, { cause, data: { command } }),
      ),
    );
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const result = { code: end.code ?? -1, stdout: out.join(''), stderr: err.join('') };
  if (end.code !== null && (options.accept ?? [0]).includes(end.code)) return result;
  const how = end.code === null ? `was ended by ${end.signal ?? 'a signal'}` : `failed with exit code ${end.code}`;
  throw new TomeiError('tool.failed', `${command} ${how}: ${lastLines(result.stderr || result.stdout, 4)}`, {
    data: { command, args, code: end.code },
  });
}
