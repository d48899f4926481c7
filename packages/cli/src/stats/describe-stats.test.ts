import type { GuestStats } from '@tomei/guest';
import { expect, test } from 'vitest';
import { describeStats } from './describe-stats.ts';

const stats: GuestStats = {
  instructions: 2_000_000_000,
  guestMs: 4500,
  cpuMs: 4000,
  haltedMs: 5000,
  time: { interpreted: 1000, compiled: 2500, translating: 500, devices: 1000, idle: 5000 },
  exits: {
    port: 1234,
    'device-memory': 0,
    hypervisor: 5,
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
  compiled: { regions: 3, dropped: 1, bytes: 2048, translatingMs: 100, ownMs: 500, longestMs: 2 },
  events: { 14: 1, 48: 2 },
};

test('the figures of a guest are lines for a person', () => {
  expect(describeStats(stats)).toEqual([
    'instructions   2,000,000,000   500.0 MIPS',
    'time           4.50 s running (4.00 s of host CPU), 5.00 s halted',
    'shares         interpreted 10.0%, compiled 25.0%, translating 5.0%, devices 10.0%, idle 50.0%',
    'code           10 decoded, 1 pages rewritten, 0 flushes',
    'compiled       3 regions, 1 of them dropped, 2 KiB, 0.10 s of translating beside the guest, which waited 2.0 ms at most',
    'exits          port 1,234, device-memory 0, hypervisor 5, tlb-miss 7, exception 1, interrupt 2, halt 3, slice 4',
    'events         48: 2, 14: 1',
  ]);
});
test('a guest that has done nothing yet divides by nothing', () => {
  const time = { interpreted: 0, compiled: 0, translating: 0, devices: 0, idle: 0 };

  const lines = describeStats({ ...stats, cpuMs: 0, time, frames: { sent: 1, received: 2, lost: 3 } });

  expect(lines[0]).toMatch(/ 0\.0 MIPS$/);
  expect(lines[2]).toBe('shares         interpreted 0.0%, compiled 0.0%, translating 0.0%, devices 0.0%, idle 0.0%');
  expect(lines).toContain('frames         1 sent, 2 received, 3 lost');
});
