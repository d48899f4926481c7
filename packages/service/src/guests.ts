/** The records of guests in the store: the controller writes them, others read them. */
import { messages, type Guest } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import type { Store } from './store/store.ts';

const FOLDER = 'guests';
/** From a name to the id of the guest that has it, so that two guests never have one name. */
const NAMES = 'guest-names';
const recordKey = (id: string): string => `${FOLDER}/${encodeURIComponent(id)}`;
/** Names that differ in case only would be told apart by nobody. */
const nameKey = (name: string): string => `${NAMES}/${encodeURIComponent(name.toLowerCase())}`;
/** Between two that write one record at a time, somebody wins each round. */
const MAX_ROUNDS = 50;

export class GuestRecords {
  private readonly store: Store;

  constructor(store: Store) {
    this.store = store;
  }

  async get(id: string): Promise<{ guest: Guest; version: number } | undefined> {
    const entry = await this.store.get(recordKey(id));
    return entry === undefined ? undefined : { guest: messages.Guest.fromJson(entry.value), version: entry.version };
  }
  /** By id, else by name. */
  async find(idOrName: string): Promise<Guest | undefined> {
    const found = await this.get(idOrName);
    if (found !== undefined) return found.guest;
    const name = await this.store.get(nameKey(idOrName));
    return name === undefined ? undefined : (await this.get(name.value))?.guest;
  }
  async list(): Promise<readonly Guest[]> {
    return (await this.store.list(FOLDER)).map(({ value }) => messages.Guest.fromJson(value));
  }

  /** Throws `guest.exists` when another guest has the id or the name. */
  async create(guest: Guest): Promise<void> {
    await this.takeName(guest);
    try {
      await this.store.put(recordKey(guest.id), messages.Guest.toJson(guest), { expect: 0 });
    } catch (error) {
      await this.leaveName(guest);
      throw isConflict(error) ? exists(guest) : error;
    }
    // Whoever found the name without a record took it for left over: then it is theirs.
    if ((await this.store.get(nameKey(guest.name)))?.value === guest.id) return;
    await this.store.delete(recordKey(guest.id));
    throw exists(guest);
  }

  /**
   * Reads, changes and writes, again from the start when somebody else has written in between. `change` must have no other effect;
   * undefined from it leaves the record as it is. Returns what is stored then; undefined: there is no such guest.
   */
  async update(id: string, change: (guest: Guest) => Guest | undefined): Promise<Guest | undefined> {
    for (let round = 1; ; round++) {
      const found = await this.get(id);
      if (found === undefined) return undefined;
      const changed = change(found.guest);
      if (changed === undefined) return found.guest;
      try {
        await this.store.put(recordKey(id), messages.Guest.toJson(changed), { expect: found.version });
        return changed;
      } catch (error) {
        if (!isConflict(error) || round >= MAX_ROUNDS) throw error;
      }
    }
  }

  /** Forgets a guest; its name is free again. Of a guest that is not there it does nothing. */
  async remove(id: string): Promise<void> {
    const found = await this.get(id);
    if (found === undefined) return;
    await this.store.delete(recordKey(id));
    await this.leaveName(found.guest);
  }

  private async takeName(guest: Guest): Promise<void> {
    const key = nameKey(guest.name);
    const entry = await this.store.get(key);
    // A name whose guest is gone was left by somebody who ended in the middle.
    if (entry !== undefined && (await this.get(entry.value)) !== undefined) throw exists(guest);
    try {
      await this.store.put(key, guest.id, { expect: entry?.version ?? 0 });
    } catch (error) {
      throw isConflict(error) ? exists(guest) : error;
    }
  }
  private async leaveName({ id, name }: Guest): Promise<void> {
    const key = nameKey(name);
    const entry = await this.store.get(key);
    if (entry?.value !== id) return;
    try {
      await this.store.delete(key, { expect: entry.version });
    } catch (error) {
      // Somebody has taken it already.
      if (!isConflict(error)) throw error;
    }
  }
}

const isConflict = (error: unknown): boolean => error instanceof TomeiError && error.code === 'store.conflict';
const exists = ({ name }: Guest): TomeiError =>
  new TomeiError('guest.exists', `there is a guest called ${JSON.stringify(name)} already: give another name`, {
    data: { name },
  });
