/** What the controller counts. */
import { Counter, Gauge } from 'prom-client';
import type { Metrics } from '@tomei/service';
import type { Step } from './reconcile/plan.ts';
import type { Runners } from './runners.ts';

export interface Meters {
  looked(outcome: 'settled' | 'again' | 'failed'): void;
  stepped(kind: Step['kind']): void;
}

export function createMeters(
  metrics: Metrics,
  { runners, isLeader }: { readonly runners: Runners; readonly isLeader: () => boolean },
): Meters {
  const registers = [metrics.registry];
  const looks = new Counter({
    name: 'tomei_controller_looks_total',
    help: 'Looks at a guest, by what came of them',
    labelNames: ['outcome'],
    registers,
  });
  const steps = new Counter({
    name: 'tomei_controller_steps_total',
    help: 'Steps taken, by kind',
    labelNames: ['kind'],
    registers,
  });
  new Gauge({
    name: 'tomei_controller_leads',
    help: '1 while this controller leads',
    registers,
    collect() {
      this.set(isLeader() ? 1 : 0);
    },
  });
  new Gauge({
    name: 'tomei_controller_runners',
    help: 'Runners by state',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset();
      for (const { state } of runners.list()) this.inc({ state });
    },
  });
  return { looked: (outcome) => looks.inc({ outcome }), stepped: (kind) => steps.inc({ kind }) };
}
