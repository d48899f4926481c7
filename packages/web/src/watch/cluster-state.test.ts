import { describe, expect, test } from 'vitest';
import type { EventView, GuestView, RunnerView } from '../api/views.ts';
import {
  EVENTS_KEPT,
  NOTHING_KNOWN,
  findGuest,
  guestsByName,
  reduce,
  type ClusterState,
  type WatchMessage,
} from './cluster-state.ts';

const guest = (id: string, name = id): GuestView => ({
  id,
  name,
  phase: 'off',
  power: 'off',
  run: 0,
  memoryMiB: 64,
  vcpus: 1,
  vmxPath: `${name}/${name}.vmx`,
  disks: [],
  runner: null,
  message: '',
  since: 0,
  created: 0,
  console: false,
  deleting: false,
  vnc: null,
  serialPorts: [0],
  resizable: false,
});
const runner = (id: string): RunnerView => ({
  id,
  state: 'ready',
  memoryMiB: 1024,
  usedMemoryMiB: 0,
  vcpus: 4,
  usedVcpus: 0,
  guests: 0,
  lastSeen: 0,
  version: '1',
});
const event = (sequence: number): EventView => ({
  sequence,
  id: `e${sequence}`,
  at: sequence,
  source: 'controller',
  noun: 'guest',
  subjectId: 'a',
  verb: 'running',
  guestName: 'a',
  runnerId: '',
  run: 1,
  message: '',
});
const after = (...messages: WatchMessage[]): ClusterState => messages.reduce(reduce, NOTHING_KNOWN);
const opened: WatchMessage = { kind: 'opened' };
const synced: WatchMessage = { kind: 'synced' };
const tell = (id: string, name?: string): WatchMessage => ({ kind: 'guest', guest: guest(id, name) });

describe('the state of the cluster', () => {
  test('an empty list means no guests only once the server has said that this is all', () => {
    expect([after().isSynced, after(opened).isSynced, after(opened, synced).isSynced]).toEqual([false, false, true]);
  });

  test('what vanished while the connection was away is gone after the next sync, not before', () => {
    const before = after(opened, tell('a'), tell('b'), { kind: 'runner', runner: runner('r1') }, synced, {
      kind: 'lost',
    });
    const during = [opened, tell('b')].reduce(reduce, before);
    const done = reduce(during, synced);

    expect([...during.guests.keys()]).toEqual(['a', 'b']);
    expect([...done.guests.keys()]).toEqual(['b']);
    expect([...done.runners.keys()]).toEqual([]);
  });

  test('a sync that a second loss cut short takes nothing away', () => {
    const state = after(
      opened,
      tell('a'),
      synced,
      { kind: 'lost' },
      opened,
      { kind: 'lost' },
      opened,
      tell('a'),
      synced,
    );

    expect([...state.guests.keys()]).toEqual(['a']);
  });

  test('the link is live, retrying after a loss, and connecting as long as it never was live', () => {
    const links = [after(), after({ kind: 'lost' }), after(opened), after(opened, { kind: 'lost' })];

    expect(links.map((state) => state.link)).toEqual(['connecting', 'connecting', 'live', 'retrying']);
  });

  test('events that come twice are kept once, in order, and only so many', () => {
    const many = Array.from({ length: EVENTS_KEPT + 5 }, (_, i) => event(i + 1));

    const state = after(
      { kind: 'events', events: [event(3)] },
      { kind: 'events', events: [event(1), event(2), event(3)] },
    );
    const full = after({ kind: 'events', events: many });

    expect(state.events.map((each) => each.sequence)).toEqual([1, 2, 3]);
    expect([full.events.length, full.events[0]?.sequence]).toEqual([EVENTS_KEPT, 6]);
    expect(reduce(state, { kind: 'events', events: [event(2)] })).toBe(state);
  });

  test('a guest that goes is gone, and one that is not known changes nothing', () => {
    const state = after(opened, tell('a'), synced);

    expect(reduce(state, { kind: 'guest-gone', id: 'a' }).guests.size).toBe(0);
    expect(reduce(state, { kind: 'guest-gone', id: 'z' })).toBe(state);
  });

  test('a runner that left is gone', () => {
    const runner = { id: 'r' } as RunnerView;
    const state = after(opened, { kind: 'runner', runner }, synced);

    expect(reduce(state, { kind: 'runner-gone', id: 'r' }).runners.size).toBe(0);
    expect(reduce(state, { kind: 'runner-gone', id: 'z' })).toBe(state);
  });

  test('guests are sorted as people read, and found by id before name', () => {
    const state = after(opened, tell('1', 'box 10'), tell('2', 'box 2'), tell('box 2', 'other'), synced);

    expect(guestsByName(state).map((each) => each.name)).toEqual(['box 2', 'box 10', 'other']);
    expect([findGuest(state, 'box 2')?.name, findGuest(state, 'box 10')?.id, findGuest(state, 'x')]).toEqual([
      'other',
      '1',
      undefined,
    ]);
  });
});
