/** One run of one mode: two guests on a network of their own, and what one of them did in each workload. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { startGuest, type Guest, type GuestStats } from '@tomei/guest';
import type { Moment } from '../marks.ts';
import { treeSeconds } from '../process-time.ts';
import type { PairGuest } from './build-guest.ts';
import { between, type Figures } from './figures.ts';

/** `tomei.paravirt` of the `.vmx`, which is the only difference between the two. */
export const MODES = { full: 'off', paravirt: 'kvm' } as const;
export type Mode = keyof typeof MODES;

export interface PairRun {
  readonly mode: Mode;
  /** What the guest says that it found: `disk`, `net`, `clock`. */
  readonly found: string;
  readonly workloads: readonly PairResult[];
}
export interface PairResult {
  readonly name: string;
  /** The line that it printed. */
  readonly result: string;
  readonly figures: Figures;
}
export interface PairRunOptions {
  readonly workloads: readonly string[];
  readonly scale: number;
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
  /** Called as the run goes on: what the guest does, and how many workloads it has ended. */
  readonly onStep?: (step: string, ended: number) => void;
}

const MEMORY_MIB = 192;
const COMMAND_LINE = 'console=ttyS0 quiet panic=-1 noisapnp cryptomgr.notests';

/** Rejects when a guest ends or the time is over before all is done. Both processes have ended and their files are gone then. */
export async function runPair(image: PairGuest, mode: Mode, options: PairRunOptions): Promise<PairRun> {
  const { workloads, scale, timeoutSeconds, signal } = options;
  const folder = mkdtempSync(join(tmpdir(), 'tomei-bench-'));
  const network = basename(folder);
  const server = new Lines(vmxOf(folder, 'server', mode, image, { network, words: 'ROLE=server', disks: [] })),
    client = new Lines(
      vmxOf(folder, 'client', mode, image, {
        network,
        words: `SCALE=${scale} WORK=${workloads.join(',')}`,
        disks: image.disks,
      }),
    );
  const stop = (): void => [server, client].forEach(({ guest }) => guest.kill());
  const patience = setTimeout(stop, timeoutSeconds * 1000);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    await server.until('@ SERVING');
    return await follow(client, mode, options);
  } finally {
    clearTimeout(patience);
    signal.removeEventListener('abort', stop);
    stop();
    await Promise.allSettled([server.guest.ended, client.guest.ended]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads counters at each mark, where the guest stands still, and has it go on. */
async function follow(client: Lines, mode: Mode, { onStep }: PairRunOptions): Promise<PairRun> {
  const results: PairResult[] = [];
  let found = '',
    result = '',
    name = '',
    began: Reading | undefined;
  for (;;) {
    const line = await client.next();
    if (line.startsWith('@ FOUND ')) found = line.slice('@ FOUND '.length);
    else if (line === '@ BOOTED') client.goOn();
    else if (line.startsWith('@ FAILED')) throw new Error(`the guest of mode ${mode}: ${line}`);
    else if (line.startsWith('@ BEGIN ')) {
      name = line.slice('@ BEGIN '.length);
      onStep?.(name, results.length);
      began = await client.read();
      client.goOn();
    } else if (line === '@ END' && began !== undefined) {
      const ended = await client.read();
      results.push({ name, result, figures: between(began, ended) });
      client.goOn();
    } else if (line === '@ DONE') return { mode, found, workloads: results };
    else if (line !== '') result = line;
  }
}

export interface Reading {
  readonly at: Moment;
  readonly stats: GuestStats;
}

/** A guest and the lines of its serial port. */
class Lines {
  readonly guest: Guest;
  private readonly lines: string[] = [];
  private rest = '';
  private wake: () => void = () => undefined;
  private trouble: Error | undefined;

  constructor(vmx: string) {
    this.guest = startGuest(vmx, { serial: (_, bytes) => this.feed(Buffer.from(bytes).toString('latin1')) });
    for (const rejected of [this.guest.running, this.guest.console]) rejected.catch(() => undefined);
    const over = (why: unknown): void => {
      const said = [...this.lines.slice(-5), this.rest].join('\n');
      this.trouble = new Error(`a guest ended before its time: ${why instanceof Error ? why.message : ''}\n${said}`);
      this.wake();
    };
    this.guest.ended.then(over, over);
  }
  private feed(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    this.lines.push(...lines.map((line) => line.trim()));
    this.wake();
  }
  async next(): Promise<string> {
    for (;;) {
      const line = this.lines.shift();
      if (line !== undefined) return line;
      if (this.trouble !== undefined) throw this.trouble;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
  async until(wanted: string): Promise<void> {
    while ((await this.next()) !== wanted);
  }
  goOn(): void {
    this.guest.type(0, Buffer.from('\n'));
  }
  /** Host time and the guest's counters, while it waits. */
  async read(): Promise<Reading> {
    const at = { wall: performance.now() / 1000, cpu: treeSeconds(this.guest.pid) };
    return { at, stats: await this.guest.stats() };
  }
}

interface Wishes {
  readonly network: string;
  readonly words: string;
  readonly disks: readonly string[];
}
/** Writes a `.vmx` with disks of its own; the same in both modes, but for the mode. */
function vmxOf(folder: string, name: string, mode: Mode, image: PairGuest, { network, words, disks }: Wishes): string {
  const values: Record<string, string> = {
    'config.version': '8',
    displayName: name,
    memsize: String(MEMORY_MIB),
    'serial0.present': 'TRUE',
    'tomei.kernel': image.kernel,
    'tomei.initrd': image.initrd,
    'tomei.cmdline': `${COMMAND_LINE} ${words}`,
    'tomei.paravirt': MODES[mode],
    'ethernet0.present': 'TRUE',
    'ethernet0.networkName': network,
    'ethernet0.virtualDev': mode === 'full' ? 'e1000' : 'virtio',
  };
  disks.forEach((path, i) => {
    copyFileSync(path, join(folder, `${name}${i}.vmdk`));
    values[`ide0:${i}.present`] = 'TRUE';
    values[`ide0:${i}.deviceType`] = 'disk';
    values[`ide0:${i}.fileName`] = `${name}${i}.vmdk`;
  });
  const vmx = join(folder, `${name}.vmx`);
  writeFileSync(
    vmx,
    Object.entries(values)
      .map(([key, value]) => `${key} = "${value}"\n`)
      .join(''),
  );
  return vmx;
}
