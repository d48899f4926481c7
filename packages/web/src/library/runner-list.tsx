/** The runners, with how much of each is taken. */
import { useId, type ReactNode } from 'react';
import type { RunnerView } from '../api/views.ts';
import { formatAgo, formatMemory, plural } from '../ui/format.ts';
import { Icon, type IconName } from '../ui/icons.tsx';

const STATES: Readonly<Record<RunnerView['state'], readonly [words: string, icon: IconName]>> = {
  ready: ['Ready', 'check'],
  draining: ['Takes no new guests', 'clock'],
  lost: ['Not heard of', 'unplugged'],
};

interface RunnerListProps {
  readonly runners: readonly RunnerView[];
  readonly isSynced: boolean;
  readonly now: number;
}

export function RunnerList({ runners, isSynced, now }: RunnerListProps): ReactNode {
  const sorted = [...runners].sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
  return (
    <section className="panel" aria-labelledby="runners-title">
      <h2 id="runners-title">Runners</h2>
      {isSynced && sorted.length === 0 && (
        <p className="nothing">
          No runner is here, so guests wait until one joins. A lab brings its own; in a cluster, start the service{' '}
          <code>vcpu-runner</code>.
        </p>
      )}
      <ul className="runners">
        {sorted.map((runner) => {
          const [words, icon] = STATES[runner.state];
          return (
            <li key={runner.id} className={`runner ${runner.state}`} data-testid={`runner-${runner.id}`}>
              <div className="runner-head">
                <Icon name="host" />
                <h3>{runner.id}</h3>
                <span className={`runner-state ${runner.state}`}>
                  <Icon name={icon} />
                  {runner.state === 'lost' ? `${words}, last ${formatAgo(runner.lastSeen, now)}` : words}
                </span>
              </div>
              <Capacity
                name="Memory"
                used={runner.usedMemoryMiB}
                total={runner.memoryMiB}
                words={`${formatMemory(runner.usedMemoryMiB)} of ${formatMemory(runner.memoryMiB)}`}
              />
              <Capacity
                name="Processors"
                used={runner.usedVcpus}
                total={runner.vcpus}
                words={`${runner.usedVcpus} of ${plural(runner.vcpus, 'vCPU')}`}
              />
              <p className="runner-foot">
                {plural(runner.guests, 'guest')}
                {runner.version !== '' && <span>version {runner.version}</span>}
              </p>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

interface CapacityProps {
  readonly name: string;
  readonly used: number;
  readonly total: number;
  readonly words: string;
}

/** A bar that says the same in words: `<meter>` is not drawn alike by browsers, so its role is worn by hand. */
function Capacity({ name, used, total, words }: CapacityProps): ReactNode {
  const nameId = useId();
  const share = total === 0 ? 0 : Math.min(1, used / total);
  return (
    <div className="capacity">
      <div className="capacity-words">
        <span id={nameId}>{name}</span>
        <span>{words}</span>
      </div>
      <div
        className="capacity-bar"
        role="meter"
        aria-labelledby={nameId}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={Math.min(used, total)}
        aria-valuetext={words}
      >
        <div className={share > 0.9 ? 'capacity-used full' : 'capacity-used'} style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  );
}
