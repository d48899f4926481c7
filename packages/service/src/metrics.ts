/** Prometheus metrics of one service, each with the label `service`. */
import {
  Counter,
  Gauge,
  Histogram,
  Registry,
  collectDefaultMetrics,
  type CounterConfiguration,
  type GaugeConfiguration,
  type HistogramConfiguration,
} from 'prom-client';

type Settings<T> = Omit<T, 'registers'>;

/** Names follow Prometheus's rules and begin with `tomei_`; units are base units (`_seconds`, `_bytes`), counters end in `_total`. */
export class Metrics {
  readonly registry = new Registry();

  constructor(service: string) {
    this.registry.setDefaultLabels({ service });
  }
  counter<T extends string = never>(settings: Settings<CounterConfiguration<T>>): Counter<T> {
    return new Counter({ ...settings, registers: [this.registry] });
  }
  gauge<T extends string = never>(settings: Settings<GaugeConfiguration<T>>): Gauge<T> {
    return new Gauge({ ...settings, registers: [this.registry] });
  }
  histogram<T extends string = never>(settings: Settings<HistogramConfiguration<T>>): Histogram<T> {
    return new Histogram({ ...settings, registers: [this.registry] });
  }
  /** What Node tells of this process: memory, processor time, the event loop's lag. Once in a process. */
  collectProcess(): this {
    collectDefaultMetrics({ register: this.registry });
    return this;
  }
}

/** What `/metrics` answers: all of them as one text. */
export async function metricsText(all: readonly Metrics[]): Promise<string> {
  const texts = await Promise.all(all.map(({ registry }) => registry.metrics()));
  return mergedTexts(texts);
}
/** Several services of one process have the same names; the text format wants a name's samples together, under one HELP. */
function mergedTexts(texts: readonly string[]): string {
  if (texts.length === 1) return texts[0]!;
  const families = new Map<string, { head: string[]; samples: string[] }>();
  for (const block of texts.flatMap((text) => text.split(/\n(?=# HELP )/))) {
    const lines = block.split('\n').filter((line) => line !== '');
    const name = lines[0]?.split(' ')[2];
    if (name === undefined) continue;
    const family = families.get(name) ?? { head: lines.filter((line) => line.startsWith('#')), samples: [] };
    family.samples.push(...lines.filter((line) => !line.startsWith('#')));
    families.set(name, family);
  }
  return [...families.values()].map(({ head, samples }) => `${[...head, ...samples].join('\n')}\n`).join('\n');
}
