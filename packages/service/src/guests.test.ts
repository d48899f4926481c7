import { messages, type Guest } from '@tomei/contracts';
import { beforeEach, describe, expect, test } from 'vitest';
import { GuestRecords } from './guests.ts';
import { MemoryStore } from './store/memory-store.ts';

const guest = (id: string, name: string): Guest =>
  messages.Guest.make({ id, name, desired: { power: 'POWER_OFF', run: 0 } });
const ran = (g: Guest): Guest => ({ ...g, desired: { ...g.desired!, run: g.desired!.run + 1 } });

describe('records of guests', () => {
  let store: MemoryStore;
  let records: GuestRecords;
  beforeEach(() => {
    store = new MemoryStore();
    records = new GuestRecords(store);
  });

  test('are found by id and by name, whatever the case', async () => {
    await records.create(guest('g-1', 'Debian 12'));

    expect((await records.find('g-1'))?.name).toBe('Debian 12');
    expect((await records.find('debian 12'))?.id).toBe('g-1');
    expect(await records.find('g-2')).toBeUndefined();
  });

  test('of one name there is one, and its name is free when it is gone', async () => {
    await records.create(guest('g-1', 'tiny'));

    await expect(records.create(guest('g-2', 'Tiny'))).rejects.toMatchObject({ code: 'guest.exists' });
    expect(await records.get('g-2')).toBeUndefined();
    await records.remove('g-1');
    await records.create(guest('g-2', 'tiny'));
    expect((await records.list()).map((g) => g.id)).toEqual(['g-2']);
  });

  test('an id that is taken does not cost the other guest its name', async () => {
    await records.create(guest('g-1', 'tiny'));

    await expect(records.create(guest('g-1', 'other'))).rejects.toMatchObject({ code: 'guest.exists' });
    await records.create(guest('g-2', 'other'));
    expect((await records.find('tiny'))?.id).toBe('g-1');
  });

  test('a name that was left without a guest can be taken', async () => {
    await store.put('guest-names/tiny', 'g-gone');

    await records.create(guest('g-1', 'tiny'));

    expect((await records.find('tiny'))?.id).toBe('g-1');
  });

  test('of many that are made at once under one name, one is left', async () => {
    const made = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => records.create(guest(`g-${i}`, 'tiny'))),
    );

    expect(made.filter((m) => m.status === 'fulfilled')).toHaveLength(1);
    expect(await records.list()).toHaveLength(1);
  });

  test('changes made at once are all there', async () => {
    await records.create(guest('g-1', 'tiny'));

    await Promise.all(Array.from({ length: 20 }, () => records.update('g-1', ran)));

    expect((await records.find('g-1'))?.desired?.run).toBe(20);
  });

  test('a change that is none writes nothing, and of no guest there is none', async () => {
    await records.create(guest('g-1', 'tiny'));
    const before = await records.get('g-1');

    await records.update('g-1', () => undefined);

    expect(await records.get('g-1')).toEqual(before);
    expect(await records.update('g-2', ran)).toBeUndefined();
  });
});
