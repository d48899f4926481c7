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

/** Rejects when the hypervisor ends, or `timeoutSeconds` pass, before `until` is seen. */
export function runPeer(peer: Peer, boot: Boot, until: RegExp, timeoutSeconds: number): Promise<Run> {
  const { command, args, serial, cleanUp } = peer.start(boot, until, timeoutSeconds);
  const from = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const now = (): Moment => ({
    wall: (performance.now() - from) / 1000,
    cpu: child.pid === undefined ? 0 : treeSeconds(child.pid),
  });
  const marks = new Marks(until, now);
  let tail = '',
    other = '';
  return new Promise<Run>((resolve, reject) => {
    const patience = setTimeout(() => child.kill('SIGKILL'), timeoutSeconds * 1000);
    let grace: NodeJS.Timeout | undefined;
    const [console, rest] = serial === 'stdout' ? [child.stdout, child.stderr] : [child.stderr, child.stdout];
    console.setEncoding('latin1').on('data', (text: string) => {
      tail = (tail + text).slice(-400);
      if (marks.feed(text)) grace ??= setTimeout(() => child.kill(), serial === 'stderr' ? GRACE_MS : 0);
    });
    rest.setEncoding('latin1').on('data', (text: string) => (other += text));
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(patience);
      clearTimeout(grace);
      const { done, booted, workloads } = marks;
      if (done === undefined) {
        reject(new Error(`${peer.name} ended (${code ?? 'killed'}) before ${until}: ${other.slice(-400)}\n${tail}`));
      } else resolve({ peer: peer.name, booted, done, workloads, stats: statsOf(other) });
    });
  }).finally(cleanUp);
}
