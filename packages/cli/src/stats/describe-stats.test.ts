import type { GuestStats } from '@tomei/guest';
import { expect, test } from 'vitest';
import { describeStats } from './describe-stats.ts';

const stats: GuestStats = {
  instructions: 2_000_000_000,
  guestMs: 4500,
  cpuMs: 4000,
  haltedMs: 5000,
  time: { interpreted: 1000, compiled: 2500, translating: 500, devices: 500, system: 500, idle: 5000 },
  virtualization: {
    port: 200,
    'device-memory': 100,
    hypervisor: 10,
    privileged: 400,
    interrupt: 90,
    timer: 100,
    host: 100,
  },
  overhead: 0.25,
  exits: {
    port: 1234,
    'device-memory': 0,
    hypervisor: 5,
    privileged: 6,
    'tlb-miss': 7,
    exception: 1,
    interrupt: 2,
    halt: 3,
    slice: 4,
  },
  decoded: 10,
  codeInvalidations: 1,
  codeFlushes: 0,
  pageWalks: 7,
  translations: {
    flushes: { whole: 1, nonGlobal: 2000, page: 3 },
    kept: 60000,
    written: { entries: 5000, batches: 4 },
    marked: 6,
  },
  compiled: { regions: 3, dropped: 1, bytes: 2048, translatingMs: 100, ownMs: 500, longestMs: 2 },
  events: { 14: 1, 48: 2 },
};

test('the figures of a guest are lines for a person', () => {
  expect(describeStats(stats)).toEqual([
    'instructions   2,000,000,000   500.0 MIPS',
    'time           4.50 s running (4.00 s of host CPU), 5.00 s halted',
    'shares         interpreted 10.0%, compiled 25.0%, translating 5.0%, devices 5.0%, system 5.0%, idle 50.0%',
    'overhead       25.0% of guest code: port 0.20 s, device-memory 0.10 s, hypervisor 0.01 s, privileged 0.40 s, interrupt 0.09 s, timer 0.10 s, host 0.10 s',
    'code           10 decoded, 1 pages rewritten, 0 flushes',
    'compiled       3 regions, 1 of them dropped, 2 KiB, 0.10 s of translating beside the guest, which waited 2.0 ms at most',
    'exits          port 1,234, device-memory 0, hypervisor 5, privileged 6, tlb-miss 7, exception 1, interrupt 2, halt 3, slice 4',
    'translations   7 walks, flushes: 1 whole, 2,000 non-global, 3 of a page; 60,000 kept; page tables: 5,000 entries found written in 4 batches, 6 bits set',
    'events         48: 2, 14: 1',
  ]);
});
test('a guest that has done nothing yet divides by nothing', () => {
  const time = { interpreted: 0, compiled: 0, translating: 0, devices: 0, system: 0, idle: 0 };
  const { overhead: _, ...others } = stats;

  const lines = describeStats({ ...others, cpuMs: 0, time, frames: { sent: 1, received: 2, lost: 3 } });

  expect(lines[0]).toMatch(/ 0\.0 MIPS$/);
  expect(lines[2]).toBe(
    'shares         interpreted 0.0%, compiled 0.0%, translating 0.0%, devices 0.0%, system 0.0%, idle 0.0%',
  );
  expect(lines.join('\n')).not.toContain('overhead');
  expect(lines).toContain('frames         1 sent, 2 received, 3 lost');
});
