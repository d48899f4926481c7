/**
 * Viewers in a process of their own, for benchmarks: COUNT of them at the gateway at URL, for MS milliseconds of a moving screen, then
 * KEYS keys on a still one. Prints one line of JSON.
 */
import { viewWebSocket } from '../testing/rfb-client.ts';
import { BENCH_GUEST, KEYS, NOVNC_ENCODINGS } from './settings.ts';

const [url, count, durationMs, keys] = process.argv.slice(2);
if (url === undefined || count === undefined || durationMs === undefined || keys === undefined)
  throw new Error('usage: viewers-process.ts URL COUNT MS KEYS');

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Seconds of the gateway's processor, and frames that the guest sent, by its own metrics. */
async function gateway(): Promise<{ readonly cpu: number; readonly frames: number; readonly at: number }> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
  const valueOf = (name: string): number =>
    Number(
      lines
        .find((line) => line.startsWith(`${name}{`))
        ?.split(' ')
        .at(-1),
    );
  const [cpu, frames] = [valueOf('process_cpu_seconds_total'), valueOf('tomei_console_frames_in_total')];
  return { cpu, frames, at: performance.now() };
}

const address = `${url.replace('http', 'ws')}/console/guests/${BENCH_GUEST.id}/rfb`;
const viewers = Array.from({ length: Number(count) }, () => viewWebSocket(address, { encodings: NOVNC_ENCODINGS }));
await Promise.all(viewers.map(({ client }) => client.until((c) => c.updates > 0)));
const [first] = viewers;
const { client } = first!;
const press = ({ keysym }: { readonly keysym: number }): void => {
  client.key(keysym, true);
  client.key(keysym, false);
};

press(KEYS.move);
// Code that runs often is compiled by then.
await pause(1000);
const before = viewers.map((viewer) => ({ updates: viewer.client.updates, bytes: viewer.client.bytes }));
const from = await gateway();
await pause(Number(durationMs));
const to = await gateway();
const seconds = (to.at - from.at) / 1000;
const rates = viewers
  .map((viewer, i) => (viewer.client.updates - before[i]!.updates) / seconds)
  .toSorted((a, b) => a - b);
const bytes = viewers.reduce((sum, viewer, i) => sum + viewer.client.bytes - before[i]!.bytes, 0);
press(KEYS.move);
await pause(300);

const keyTimes: number[] = [];
for (let i = 0; i < Number(keys); i++) {
  const { updates } = client;
  const since = performance.now();
  press(KEYS.mark);
  await client.until((c) => c.updates > updates);
  keyTimes.push(performance.now() - since);
  // Others get theirs; and keys of people come one after another.
  await pause(20);
}
keyTimes.sort((a, b) => a - b);
const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;

process.stdout.write(
  `${JSON.stringify({
    guestFramesPerSecond: (to.frames - from.frames) / seconds,
    framesPerSecond: { median: quantile(rates, 0.5), slowest: rates[0] },
    bytesPerFrame: bytes / rates.reduce((sum, rate) => sum + rate * seconds, 0),
    gatewayCpu: (to.cpu - from.cpu) / seconds,
    keyToPixelMs: { median: quantile(keyTimes, 0.5), p95: quantile(keyTimes, 0.95) },
  })}\n`,
);
for (const { socket } of viewers) socket.terminate();
