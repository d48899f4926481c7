/** What is wrong with a `.vmx`, as data: one list serves the first-error readers and `tomei vmx check` alike. */
import { TomeiError } from '@tomei/kit';

/** One finding. `message` stands alone: it starts with `file:line:` and names the key. */
export interface VmxProblem {
  readonly severity: 'error' | 'warning';
  /** Stable, e.g. `vmx.syntax`. */
  readonly code: string;
  readonly message: string;
  readonly fileName: string;
  /** Counted from 1; 0 when the finding is about the file as a whole. */
  readonly line: number;
  readonly key?: string;
}

/** Where a finding belongs. */
export interface Place {
  readonly line: number;
  readonly key?: string;
}

/** Collects findings about one file. */
export class Problems {
  readonly list: VmxProblem[] = [];
  private readonly fileName: string;

  constructor(fileName: string) {
    this.fileName = fileName;
  }

  error(code: string, place: Place, what: string): void {
    this.add('error', code, place, what);
  }

  warn(code: string, place: Place, what: string): void {
    this.add('warning', code, place, what);
  }

  get warnings(): VmxProblem[] {
    return this.list.filter((p) => p.severity === 'warning');
  }

  /** Throws the first error as a TomeiError with `data` naming file, line and key; does nothing when there is none. */
  throwFirst(): void {
    const first = this.list.find((p) => p.severity === 'error');
    if (first !== undefined) throw problemError(first);
  }

  private add(severity: VmxProblem['severity'], code: string, place: Place, what: string): void {
    const where = place.line > 0 ? `${this.fileName}:${place.line}` : this.fileName;
    // eslint-disable-next-line no-control-regex -- keys may hold control characters, a terminal must not get them
    const message = `${where}: ${what}`.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');
    const { line, key } = place;
    this.list.push({ severity, code, message, fileName: this.fileName, line, ...(key === undefined ? {} : { key }) });
  }
}

/** The TomeiError that carries a finding. */
export function problemError(problem: VmxProblem): TomeiError {
  const { code, message, fileName, line, key } = problem;
  return new TomeiError(code, message, { data: { file: fileName, line, ...(key === undefined ? {} : { key }) } });
}
