/** `pnpm bench peers`: the same guest in Tomei, QEMU TCG and v86, by the clock on the wall. See options.ts. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildBenchGuest, workloadNames } from '../guest/build-guest.ts';
import { describeMachine } from '../here.ts';
import { interruptible } from '../interrupt.ts';
import { asJson, say, writePages } from '../pages.ts';
import { PEERS, v86Version, type Boot } from '../peers.ts';
import { Progress } from '../progress.ts';
import { runPeer, type Run } from '../run-peer.ts';
import { figure } from '../tables.ts';
import { judged } from '../targets.ts';
import { ratioChart } from './chart.ts';
import { USAGE, parseOptions, type PeersBenchOptions } from './options.ts';
import { markdownPage, terminalReport, type Report } from './report.ts';
import { compare, disagreements, missing, type Circumstances } from './results.ts';
import { targetsOf } from './targets.ts';

const ROOT = join(import.meta.dirname, '../../..');
const TINY_KERNEL = join(ROOT, 'guests/tiny/vmlinuz');
const ARTEFACTS = join(ROOT, 'artefacts/bench');
const PAGES = join(ROOT, 'docs/bench');
const PAGE = 'peers.md';
const FILES = { chart: 'peers.svg', json: 'peers.json' } as const;
const MEMORY_MIB = 256;
/**
 * The same for all: no search for hardware that none of them has, no self-tests of ciphers, and no look whether timer interrupts
 * come within ten ticks: on a busy host QEMU is late, and the kernel panics.
 */
const COMMAND_LINE = 'console=ttyS0 quiet panic=-1 noisapnp cryptomgr.notests no_timer_check';

/** What is booted. */
interface Guest {
  readonly boot: Boot;
  /** How many workloads it will run; undefined where that is not known. */
  readonly workloads: number | undefined;
  /** What each of some workloads has to answer. */
  readonly expected: Readonly<Record<string, string>>;
}

/** The whole comparison. Returns the exit code. Throws an Error for wrong options, and where there is no guest to boot. */
export async function benchPeers(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const circumstances = describe(options);
  return interruptible(async (signal) => {
    const guest = await guestOf(options);
    const { runs, failures } = await inTurn(guest, options, signal);
    return conclude(options, circumstances, guest.expected, runs, failures);
  });
}

/** Prints and writes what the runs come to. Returns the exit code. */
function conclude(
  { json, write }: PeersBenchOptions,
  circumstances: Circumstances,
  expected: Guest['expected'],
  runs: readonly Run[],
  failures: readonly string[],
): number {
  if (runs.length === 0) throw new Error('no hypervisor came to the end of a run');
  const comparison = compare(
    runs,
    PEERS.map(({ name }) => name),
  );
  const wrong = [...failures, ...disagreements(runs, expected), ...missing(runs)];
  const targets = targetsOf(comparison);
  const report: Report = { circumstances, comparison, targets, wrong };
  const results = asJson({ circumstances, comparison, targets: judged(targets), wrong, expected, runs });
  process.stdout.write(json ? results : terminalReport(report));
  for (const sentence of wrong) say(sentence);
  // A page with a column left empty would stand for a comparison that was not made.
  if (write && wrong.length > 0) say(`${join(PAGES, PAGE)} is left as it was`);
  else if (write) {
    writePages(PAGES, {
      [FILES.chart]: ratioChart(comparison),
      [FILES.json]: results,
      [PAGE]: markdownPage(report, FILES),
    });
  }
  return wrong.length === 0 ? 0 : 1;
}

/**
 * Whose result on the host's own processor says nothing: `exec` starts /bin/work, which is in the guest only; `simd` takes reciprocal
 * square roots (RSQRTPS), of which each maker's processors give other last bits (SDM vol. 2, RSQRTPS: within 1.5 * 2^-12).
 */
const NOT_COMPARED_HERE = ['exec', 'simd'];

async function guestOf({ kernel, initrd, scale, only }: PeersBenchOptions): Promise<Guest> {
  if (kernel === undefined && !existsSync(TINY_KERNEL))
    throw new Error(`${TINY_KERNEL} is not there: run 'pnpm tomei guest build tiny', or name another by --kernel`);
  const built = initrd === undefined ? await buildBenchGuest(ARTEFACTS) : undefined;
  const boot: Boot = {
    kernel: resolve(kernel ?? TINY_KERNEL),
    initrd: resolve(built?.initrd ?? initrd!),
    commandLine: `${COMMAND_LINE} SCALE=${scale} WORK=${only}`,
    memoryMiB: MEMORY_MIB,
  };
  if (built === undefined) return { boot, workloads: undefined, expected: {} };
  const { own, all } = workloadNames(built.program);
  const asked = only === 'all' ? all : only === 'none' ? [] : only.split(',');
  const unknown = asked.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`--only ${unknown.join(',')}: known are all, none, ${all.join(', ')}`);
  const native = asked.filter((name) => own.includes(name) && !NOT_COMPARED_HERE.includes(name));
  return { boot, workloads: asked.length, expected: expectedResults(built.program, native, scale) };
}
/** What the host's own processor answers; workloads of the shell are compared between hypervisors only. */
function expectedResults(program: string, names: readonly string[], scale: number): Record<string, string> {
  const env = { SCALE: String(scale) };
  return Object.fromEntries(
    names.map((name) => [name, execFileSync(program, [name], { encoding: 'utf8', env }).trim()]),
  );
}

/**
 * Each hypervisor once, then each again: what slows the machine for a while slows all. One that is not installed, or fails, leaves its
 * figures out, and why is among `failures`.
 */
async function inTurn(
  { boot, workloads }: Guest,
  { runs: count, timeoutSeconds }: PeersBenchOptions,
  signal: AbortSignal,
): Promise<{ runs: Run[]; failures: string[] }> {
  const runs: Run[] = [],
    failures: string[] = [];
  const progress = new Progress();
  try {
    for (let n = 0; n < count * PEERS.length; n++) {
      const peer = PEERS[n % PEERS.length]!,
        which = `run ${Math.floor(n / PEERS.length) + 1} of ${count}`;
      // The boot counts as one more workload.
      const onStep = (step: string, ended: number): void =>
        progress.at(
          (n + Math.min(1, ended / ((workloads ?? Infinity) + 1))) / (count * PEERS.length),
          `${which}: ${peer.name}, ${step}`,
        );
      onStep('starting', 0);
      try {
        const run = await runPeer(peer, boot, { until: /@ DONE/, timeoutSeconds, signal, onStep });
        progress.note(
          `${which}: ${peer.name} has a shell after ${figure(run.booted?.wall)} s, ends after ${figure(run.done.wall)} s`,
        );
        runs.push(run);
      } catch (error) {
        signal.throwIfAborted();
        const sentence = `a run of ${peer.name} failed: ${error instanceof Error ? error.message : String(error)}`;
        progress.note(sentence);
        failures.push(sentence.split('\n', 1)[0]!);
      }
    }
  } finally {
    progress.end();
  }
  return { runs, failures };
}

function describe({ runs, scale, kernel, initrd }: PeersBenchOptions): Circumstances {
  const version = spawnSync('qemu-system-i386', ['--version'], { encoding: 'utf8' });
  return {
    ...describeMachine(),
    versions: {
      V8: process.versions.v8,
      QEMU: version.status === 0 ? (/version (\S+)/.exec(version.stdout)?.[1] ?? 'unknown') : 'none',
      v86: v86Version(),
    },
    runs,
    scale,
    kernel,
    initrd,
  };
}
