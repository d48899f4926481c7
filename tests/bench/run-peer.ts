/** One run of one hypervisor: from its start to the line that ends the run. */
import { spawn } from 'node:child_process';
import { Marks, type Moment, type Workload } from './marks.ts';
import { statsOf, type Boot, type Peer, type PeerStats } from './peers.ts';
import { treeSeconds } from './process-time.ts';

export interface Run {
  readonly peer: string;
  /** From the start to '@ BOOTED'. */
  readonly booted: Moment | undefined;
  /** From the start to the end of the run. */
  readonly done: Moment;
  readonly workloads: readonly Workload[];
  /** What the hypervisor says of the whole run by itself, if it says anything. */
  readonly stats: PeerStats | undefined;
}

/** How long a hypervisor may take to end by itself when its run is done: Tomei prints its statistics then. */
const GRACE_MS = 5000;

export interface RunOptions {
  /** What ends a run; a line, or the beginning of one. */
  readonly until: RegExp;
  readonly timeoutSeconds: number;
  /** Ends the hypervisor. */
  readonly signal?: AbortSignal;
  /** Called as the run goes on: what the guest does, and how many workloads it has ended. */
  readonly onStep?: (step: string, ended: number) => void;
}

/**
 * Rejects when the hypervisor ends, or `timeoutSeconds` pass, before `until` is seen, and when `signal` is aborted. The process has
 * ended and its files are gone when this is settled.
 */
export function runPeer(peer: Peer, boot: Boot, options: RunOptions): Promise<Run> {
  const { until, timeoutSeconds, signal, onStep } = options;
  const { command, args, serial, cleanUp } = peer.start(boot, until, timeoutSeconds);
  const from = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const now = (): Moment => ({
    wall: (performance.now() - from) / 1000,
    cpu: child.pid === undefined ? 0 : treeSeconds(child.pid),
  });
  const marks = new Marks(until, now);
  // For `tomei run` SIGTERM is the power button.
  const kill = (): void => void child.kill('SIGKILL');
  let tail = '',
    other = '';
  return new Promise<Run>((resolve, reject) => {
    const patience = setTimeout(kill, timeoutSeconds * 1000);
    let grace: NodeJS.Timeout | undefined;
    signal?.addEventListener('abort', kill);
    if (signal?.aborted === true) kill();
    const [console, rest] = serial === 'stdout' ? [child.stdout, child.stderr] : [child.stderr, child.stdout];
    console.setEncoding('latin1').on('data', (text: string) => {
      tail = (tail + text).slice(-400);
      if (marks.feed(text)) grace ??= setTimeout(kill, serial === 'stderr' ? GRACE_MS : 0);
      onStep?.(marks.step, marks.workloads.length);
    });
    rest.setEncoding('latin1').on('data', (text: string) => (other += text));
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(patience);
      clearTimeout(grace);
      signal?.removeEventListener('abort', kill);
      const { done, booted, workloads } = marks;
      if (done === undefined) {
        reject(new Error(`${peer.name} ended (${code ?? 'killed'}) before ${until}: ${other.slice(-400)}\n${tail}`));
      } else resolve({ peer: peer.name, booted, done, workloads, stats: statsOf(other) });
    });
  }).finally(cleanUp);
}
