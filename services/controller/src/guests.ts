/** What people can do with guests: write what they want. Whether and how it comes true is the reconciler's. */
import { messages, type Guest } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import type { EventPublisher, GuestRecords } from '@tomei/service';
import { about } from './reconcile/act.ts';
import { register, type Pool, type Registered } from './registration.ts';

export interface GuestsParts {
  readonly records: GuestRecords;
  readonly pool: Pool;
  readonly events: EventPublisher;
  readonly now: () => number;
  /** Called when something else is wanted of a guest than before. */
  readonly onWanted: (id: string) => void;
}
/** 'shutdown' presses the power button and leaves the guest time to end by itself. */
export type PowerAction = 'on' | 'off' | 'reset' | 'shutdown';
/** Seconds that a guest has to shut down, when nobody says otherwise. */
export const SHUTDOWN_GRACE_SECONDS = 60;

export class Guests {
  private readonly parts: GuestsParts;
  constructor(parts: GuestsParts) {
    this.parts = parts;
  }

  lookUp(idOrName: string): Promise<Guest | undefined> {
    return this.parts.records.find(idOrName);
  }
  /** Throws `guest.missing`. */
  async find(idOrName: string): Promise<Guest> {
    const guest = await this.lookUp(idOrName);
    if (guest !== undefined) return guest;
    throw new TomeiError('guest.missing', `there is no guest ${JSON.stringify(idOrName.slice(0, 80))}`);
  }
  /** Throws as `register` of registration.ts does. */
  async register(request: { readonly vmx: string; readonly name?: string | undefined }): Promise<Registered> {
    const registered = await register(request, this.parts);
    this.parts.events.emit({ ...about(registered.guest, 'registered'), message: registered.guest.spec?.vmxPath });
    this.parts.onWanted(registered.guest.id);
    return registered;
  }
  /** Throws `guest.missing`, `guest.deleting`, and for a reset of what does not run `guest.not-running`. */
  async power(idOrName: string, action: PowerAction, graceSeconds = SHUTDOWN_GRACE_SECONDS): Promise<Guest> {
    return this.want(idOrName, (guest) => {
      const { desired, name } = guest;
      const isOn = desired?.power === 'POWER_ON';
      if (desired?.deleting === true)
        throw new TomeiError('guest.deleting', `the guest ${JSON.stringify(name)} is being deleted`);
      if (action === 'reset' && !isOn)
        throw new TomeiError('guest.not-running', `the guest ${JSON.stringify(name)} is off: power it on instead`);
      if (action === 'shutdown')
        return isOn ? wanted(guest, { power: 'POWER_OFF', graceMs: Math.ceil(graceSeconds * 1000) }) : undefined;
      // Also for one that is shutting down.
      if (action === 'off')
        return isOn || (desired?.graceMs ?? 0) > 0 ? wanted(guest, { power: 'POWER_OFF', graceMs: 0 }) : undefined;
      if (action === 'on' && isOn) return undefined;
      return wanted(guest, { power: 'POWER_ON', run: (desired?.run ?? 0) + 1, graceMs: 0 });
    });
  }
  /** Throws `guest.missing`. */
  async remove(idOrName: string): Promise<Guest> {
    return this.want(idOrName, (guest) => wanted(guest, { power: 'POWER_OFF', deleting: true, graceMs: 0 }));
  }

  private async want(idOrName: string, change: (guest: Guest) => Guest | undefined): Promise<Guest> {
    const { id } = await this.find(idOrName);
    const changed = await this.parts.records.update(id, change);
    if (changed === undefined)
      throw new TomeiError('guest.missing', `the guest ${JSON.stringify(idOrName.slice(0, 80))} has just been deleted`);
    this.parts.onWanted(id);
    return changed;
  }
}

const wanted = (guest: Guest, desired: Partial<NonNullable<Guest['desired']>>): Guest =>
  messages.Guest.make({ ...guest, desired: { ...guest.desired, ...desired } });
