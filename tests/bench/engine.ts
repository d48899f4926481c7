/** `pnpm bench engine`: loops on a bare processor, boots and workloads beside QEMU and v86. See options.ts. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { barChart } from './chart.ts';
import { buildBenchGuest, type BenchGuest } from './guest/build-guest.ts';
import { describeMachine } from './here.ts';
import { measureLoops } from './measure-loops.ts';
import { USAGE, parseOptions, type BenchOptions } from './options.ts';
import { PEERS, v86Version, type Boot, type Peer } from './peers.ts';
import { figure, markdownPage, terminalReport } from './report.ts';
import { disagreements, peersOf, suiteRows, type Circumstances, type Results } from './results.ts';
import { runPeer, type Run } from './run-peer.ts';

const ROOT = join(import.meta.dirname, '../..');
const TINY_KERNEL = join(ROOT, 'guests/tiny/vmlinuz');
const ARTEFACTS = join(ROOT, 'artefacts/bench');
const PAGE = join(ROOT, 'docs/reference/benchmarks.md');
const CHART = 'benchmarks.svg';
const MEMORY_MIB = 256;
/**
 * The same for all: no search for hardware that none of them has, no self-tests of ciphers, and no look whether timer interrupts
 * come within ten ticks: on a busy host QEMU is late, and the kernel panics.
 */
const COMMAND_LINE = 'console=ttyS0 quiet panic=-1 noisapnp cryptomgr.notests no_timer_check';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** The whole benchmark of the engine. Returns the exit code. */
export async function benchEngine(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options.help) {
    console.log(USAGE);
    return 0;
  }
  const circumstances = describeHere(options);
  const loops = options.parts.includes('loops')
    ? measureLoops(options.runs, ({ name, mips }) => say(`loop ${name}: ${figure(mips)} MIPS`))
    : [];
  let boots: Results['boots'] = [],
    suite: Run[] = [],
    expected: Record<string, string> = {};
  if (options.parts.includes('boot') || options.parts.includes('suite')) {
    if (!existsSync(TINY_KERNEL)) throw new Error(`${TINY_KERNEL} is not there: run 'pnpm tomei guest build tiny'`);
    const guest = await buildBenchGuest(ARTEFACTS);
    const boot = (parameters: string): Boot => ({
      kernel: TINY_KERNEL,
      initrd: guest.initrd,
      commandLine: `${COMMAND_LINE} ${parameters}`,
      memoryMiB: MEMORY_MIB,
    });
    if (options.parts.includes('boot'))
      boots = [{ title: 'the first process', runs: await inTurn(boot('WORK=none'), /@ BOOTED/, options) }];
    if (options.parts.includes('suite')) {
      suite = await inTurn(boot(`SCALE=${options.scale} WORK=${options.work}`), /@ DONE/, options);
      expected = expectedResults(guest, suite, options.scale);
    }
  }
  const results: Results = { circumstances, loops, boots, suite, expected };
  console.log(terminalReport(results));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (options.write) writePage(results);
  return disagreements(suite, expected).length === 0 ? 0 : 1;
}

/** Each hypervisor once, then each again: what slows the machine for a while slows all. */
async function inTurn(boot: Boot, until: RegExp, options: BenchOptions): Promise<Run[]> {
  const runs: Run[] = [];
  for (let n = 0; n < options.runs; n++) {
    for (const peer of PEERS) {
      const run = await attempt(peer, boot, until, options);
      if (run === undefined) continue;
      say(
        `${peer.name}: ${figure(run.done.cpu)} s of CPU, ${figure(run.done.wall)} s on the wall (${n + 1} of ${options.runs})`,
      );
      runs.push(run);
    }
  }
  return runs;
}
/** A hypervisor that is not installed, or fails, leaves its column empty and says why. */
async function attempt(peer: Peer, boot: Boot, until: RegExp, options: BenchOptions): Promise<Run | undefined> {
  try {
    return await runPeer(peer, boot, until, options.timeoutSeconds);
  } catch (error) {
    say(`${peer.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** What the host's own processor answers; workloads of the shell are compared between hypervisors only. */
function expectedResults({ program }: BenchGuest, suite: readonly Run[], scale: number): Record<string, string> {
  const own = new Set(execFileSync(program, { encoding: 'utf8' }).trim().split('\n'));
  const names = suite[0]?.workloads.map((w) => w.name) ?? [];
  return Object.fromEntries(
    // `exec` starts /bin/work, which is in the guest only.
    names
      .filter((name) => own.has(name) && name !== 'exec')
      .map((name) => [name, execFileSync(program, [name], { encoding: 'utf8', env: { SCALE: String(scale) } }).trim()]),
  );
}

function describeHere({ runs, scale }: BenchOptions): Circumstances {
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
  };
}

function writePage(results: Results): void {
  const peers = peersOf(results.suite);
  mkdirSync(join(PAGE, '..'), { recursive: true });
  if (results.suite.length > 0)
    writeFileSync(join(PAGE, '..', CHART), barChart(suiteRows(results.suite, peers), peers));
  writeFileSync(PAGE, markdownPage(results, results.suite.length > 0 ? CHART : undefined));
  say(`wrote ${PAGE}`);
}
