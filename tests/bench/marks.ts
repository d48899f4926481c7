/** What a guest says on its serial port, as times: when it was up, how long each workload took, and what it answered. */

/** Seconds since the start of a run: on the wall, and of processor time that the hypervisor's processes took. */
export interface Moment {
  readonly wall: number;
  readonly cpu: number;
}
export interface Workload {
  readonly name: string;
  readonly time: Moment;
  /** The line that it printed; empty when it printed none. */
  readonly result: string;
}

const minus = (a: Moment, b: Moment): Moment => ({ wall: a.wall - b.wall, cpu: a.cpu - b.cpu });

export class Marks {
  /** When the last line that matters was seen, by what was asked for. */
  booted: Moment | undefined;
  done: Moment | undefined;
  readonly workloads: Workload[] = [];
  private readonly until: RegExp;
  private readonly now: () => Moment;
  private rest = '';
  private current: { name: string; from: Moment; result: string } | undefined;

  /** `until` ends a run; it may match an unfinished line, as a prompt is. */
  constructor(until: RegExp, now: () => Moment) {
    this.until = until;
    this.now = now;
  }

  /** What the guest does now, for whoever waits. */
  get step(): string {
    if (this.done !== undefined) return 'ending';
    return this.current?.name ?? (this.booted === undefined ? 'kernel to shell' : 'next workload');
  }

  /** Takes output as it arrives. Returns whether the run is at its end. */
  feed(text: string): boolean {
    this.rest += text;
    for (let end = this.rest.indexOf('\n'); end >= 0; end = this.rest.indexOf('\n')) {
      this.line(this.rest.slice(0, end).trim());
      this.rest = this.rest.slice(end + 1);
    }
    if (this.until.test(this.rest)) this.done ??= this.now();
    return this.done !== undefined;
  }

  private line(line: string): void {
    if (line === '@ BOOTED') this.booted ??= this.now();
    else if (line.startsWith('@ BEGIN '))
      this.current = { name: line.slice('@ BEGIN '.length), from: this.now(), result: '' };
    else if (line === '@ END') this.finish();
    else if (this.current !== undefined && line !== '') this.current.result = line;
    if (this.until.test(line)) this.done ??= this.now();
  }
  private finish(): void {
    if (this.current === undefined) return;
    const { name, from, result } = this.current;
    this.workloads.push({ name, time: minus(this.now(), from), result });
    this.current = undefined;
  }
}
