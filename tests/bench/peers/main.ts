/** `pnpm bench peers`: the same guest in Tomei, QEMU TCG and v86, by the clock on the wall. See options.ts. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildBenchGuest } from '../guest/build-guest.ts';
import { describeMachine } from '../here.ts';
import { PEERS, v86Version, type Boot, type Peer } from '../peers.ts';
import { runPeer, type Run } from '../run-peer.ts';
import { figure } from '../tables.ts';
import { ratioChart } from './chart.ts';
import { USAGE, parseOptions, type PeersBenchOptions } from './options.ts';
import { markdownPage, terminalReport, verdict, type Report } from './report.ts';
import { compare, disagreements, missing, type Circumstances } from './results.ts';
import { isMet, targetsOf } from './targets.ts';

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

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** The whole comparison. Returns the exit code. Throws an Error for wrong options, and where there is no guest to boot. */
export async function benchPeers(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const circumstances = describe(options);
  const { boot, program } = await guestOf(options);
  const { runs, failures } = await inTurn(boot, options);
  if (runs.length === 0) throw new Error('no hypervisor came to the end of a run');
  const expected = program === undefined ? {} : expectedResults(program, runs[0]!, options.scale);
  const comparison = compare(
    runs,
    PEERS.map(({ name }) => name),
  );
  const wrong = [...failures, ...disagreements(runs, expected), ...missing(runs)];
  const targets = targetsOf(comparison);
  const report: Report = { circumstances, comparison, targets, wrong };
  console.log(terminalReport(report));

  const verdicts = targets.map((target) => ({ ...target, met: isMet(target) ?? null, verdict: verdict(target) }));
  const json = `${JSON.stringify({ circumstances, comparison, targets: verdicts, wrong, expected, runs }, null, 2)}\n`;
  if (options.json !== undefined) writeFileSync(options.json, json);
  if (options.write) {
    // A page with a column left empty would stand for a comparison that was not made.
    if (wrong.length > 0) say(`${join(PAGES, PAGE)} is left as it was: ${wrong.join('; ')}`);
    else writePages(report, json);
  }
  return wrong.length === 0 ? 0 : 1;
}

/** What is booted, and the workloads as a program of this host where the initrd is our own. */
async function guestOf({ kernel, initrd, scale, work }: PeersBenchOptions): Promise<{ boot: Boot; program?: string }> {
  if (kernel === undefined && !existsSync(TINY_KERNEL))
    throw new Error(`${TINY_KERNEL} is not there: run 'pnpm tomei guest build tiny', or name another by --kernel`);
  const built = initrd === undefined ? await buildBenchGuest(ARTEFACTS) : undefined;
  return {
    boot: {
      kernel: resolve(kernel ?? TINY_KERNEL),
      initrd: resolve(built?.initrd ?? initrd!),
      commandLine: `${COMMAND_LINE} SCALE=${scale} WORK=${work}`,
      memoryMiB: MEMORY_MIB,
    },
    ...(built === undefined ? {} : { program: built.program }),
  };
}

/** Each hypervisor once, then each again: what slows the machine for a while slows all. */
async function inTurn(boot: Boot, options: PeersBenchOptions): Promise<{ runs: Run[]; failures: string[] }> {
  const runs: Run[] = [],
    failures: string[] = [];
  for (let n = 1; n <= options.runs; n++) {
    for (const peer of PEERS) {
      const run = await attempt(peer, boot, options.timeoutSeconds);
      if (typeof run === 'string') {
        say(run);
        failures.push(run.split('\n', 1)[0]!);
        continue;
      }
      const { booted, done } = run;
      say(
        `run ${n} of ${options.runs}: ${peer.name} has a shell after ${figure(booted?.wall)} s, ends after ${figure(done.wall)} s`,
      );
      runs.push(run);
    }
  }
  return { runs, failures };
}
/** A hypervisor that is not installed, or fails, leaves its figures out; why is what comes back then. */
async function attempt(peer: Peer, boot: Boot, timeoutSeconds: number): Promise<Run | string> {
  try {
    return await runPeer(peer, boot, /@ DONE/, timeoutSeconds);
  } catch (error) {
    return `a run of ${peer.name} failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** What the host's own processor answers; workloads of the shell are compared between hypervisors only. */
function expectedResults(program: string, run: Run, scale: number): Record<string, string> {
  const own = new Set(execFileSync(program, { encoding: 'utf8' }).trim().split('\n'));
  return Object.fromEntries(
    // `exec` starts /bin/work, which is in the guest only.
    run.workloads
      .filter(({ name }) => own.has(name) && name !== 'exec')
      .map(({ name }) => [
        name,
        execFileSync(program, [name], { encoding: 'utf8', env: { SCALE: String(scale) } }).trim(),
      ]),
  );
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

function writePages(report: Report, json: string): void {
  mkdirSync(PAGES, { recursive: true });
  const write = (name: string, content: string): void => {
    writeFileSync(join(PAGES, name), content);
    say(`wrote ${join(PAGES, name)}`);
  };
  write(FILES.chart, ratioChart(report.comparison));
  write(FILES.json, json);
  write(PAGE, markdownPage(report, FILES));
}
