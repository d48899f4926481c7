/** Which threads of a process run at which niceness (proc(5), /proc/pid/task/tid/stat). */
import { readFileSync, readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { optimisersYieldToGuest } from './compiler-priority.ts';

/** Niceness by thread, with its name. */
function threads(): { name: string; niceness: number }[] {
  return readdirSync('/proc/self/task').map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'latin1'),
      // The name may hold anything but a newline: what counts comes behind its bracket, where niceness is the 17th.
      fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')), niceness: Number(fields[16]) };
  });
}

describe.skipIf(process.platform !== 'linux')('threads that compile', () => {
  it('of V8 yield to the guest, and no other thread does', () => {
    const before = threads();
    optimisersYieldToGuest();
    const after = threads(),
      own = after.filter(({ name }) => name === 'V8Worker');
    expect(own.length).toBeGreaterThan(0);
    expect(own.every(({ niceness }) => niceness > 0)).toBe(true);
    const others = (list: typeof before): number[] =>
      list.filter(({ name }) => name !== 'V8Worker').map((t) => t.niceness);
    expect(others(after)).toEqual(others(before));
  });
  it('and of ours: the one that asks', async () => {
    const code = `
      import { readFileSync, readlinkSync } from 'node:fs';
      import { parentPort } from 'node:worker_threads';
      import { yieldToGuest } from ${JSON.stringify(new URL('./compiler-priority.ts', import.meta.url).href)};
      const niceness = (thread) => Number(readFileSync('/proc/self/task/' + thread + '/stat', 'latin1').replace(/^.*\\) /, '').split(' ')[16]);
      const own = readlinkSync('/proc/thread-self').split('/').at(-1), first = String(process.pid), before = niceness(first);
      yieldToGuest();
      parentPort.postMessage({ own: niceness(own), firstChanged: niceness(first) !== before });
    `;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    const told = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await worker.terminate();
    expect(told).toMatchObject({ firstChanged: false });
    expect((told as { own: number }).own).toBeGreaterThan(0);
  });
});
