/** What the parent of a guest process asks of it, over the channel between both. */
import { messageOf } from '@tomei/kit';
import type { GuestConsole } from './console/console.ts';
import { gatherParts } from './parts.ts';
import { troubleOf, type GuestRequest, type GuestStart } from './protocol.ts';
import { leave, report, warn } from './report.ts';
import { RunningGuest } from './running-guest.ts';
import { SnapshotFile } from './snapshot-file.ts';
import { localSource } from './source/local-source.ts';
import type { GuestSource } from './source/guest-source.ts';

let guest: RunningGuest | undefined;
/** What was asked of the guest before it was there. */
const early: Exclude<GuestRequest, GuestStart>[] = [];

/** gRPC takes a moment to load: a guest of this machine without a console never sees it. */
async function sourceOf({ source }: GuestStart): Promise<GuestSource> {
  if (typeof source === 'string') return localSource(source);
  const { remoteSource } = await import('./source/remote-source.ts');
  return remoteSource(source, warn);
}
async function openConsole(made: RunningGuest, { source, console }: GuestStart): Promise<GuestConsole | undefined> {
  const identity = typeof source === 'string' ? { guestId: '', run: 0 } : source;
  const options = typeof source === 'string' ? console : source.console;
  if (options === undefined) return undefined;
  const module = await import('./console/console.ts');
  const opened = await module.GuestConsole.open(made, identity, options, (error) =>
    warn(`the console: ${messageOf(error)}`),
  );
  report({ kind: 'console', target: opened.target });
  return opened;
}

async function begin(start: GuestStart): Promise<void> {
  const snapshot = start.restore === undefined ? undefined : await SnapshotFile.open(start.restore);
  try {
    const parts = await gatherParts(await sourceOf(start), { snapshot, engine: start.engine }, warn);
    try {
      const made = new RunningGuest(parts, start);
      await made.start(snapshot, await openConsole(made, start));
      guest = made;
      for (const request of early) made.request(request);
    } catch (error) {
      await Promise.allSettled(parts.disks.map((disk) => disk.close()));
      throw error;
    }
  } finally {
    await snapshot?.close();
  }
}

process.on('message', (request: GuestRequest) => {
  if (request.kind !== 'start') return guest === undefined ? void early.push(request) : guest.request(request);
  begin(request).catch((error: unknown) => {
    report({ kind: 'failed', trouble: troubleOf(error) }, () => leave(1));
  });
});
process.on('disconnect', () => (guest === undefined ? process.exit(1) : guest.stop()));
// Whoever started the guest decides when it ends: a terminal's Ctrl-C, and what a supervisor sends to all at once, is meant for them.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
