/** VNC over plain TCP: a listener for each guest whose `.vmx` has RemoteDisplay.vnc enabled, as guests come and go. */
import { createServer, type Server, type Socket } from 'node:net';
import type { Guest } from '@tomei/contracts';
import { messageOf } from '@tomei/kit';
import type { Log } from '@tomei/service';
import type { GuestWatch } from '../link/guest-watch.ts';
import { Wakeup } from '../link/wakeup.ts';
import { RfbViewer, type ViewerParts } from './rfb-viewer.ts';
import { socketWire } from './wires.ts';

export interface VncPortsSettings {
  /** Address to listen on. */
  readonly host: string;
  /** Between two looks at all guests, when no event asks for one. */
  readonly recheckMs: number;
}

interface Listener {
  guest: Guest;
  readonly port: number;
  readonly server: Server;
}

export class VncPorts {
  private readonly parts: ViewerParts;
  private readonly watch: GuestWatch;
  private readonly settings: VncPortsSettings;
  private readonly log: Log;
  private readonly listeners = new Map<string, Listener>();
  /** By guest: what was last said in the log, so that it is said once. */
  private readonly troubles = new Map<string, string>();
  private readonly over = new AbortController();
  private readonly wakeup = new Wakeup();
  private readonly running: Promise<void>;

  constructor(parts: ViewerParts, watch: GuestWatch, settings: VncPortsSettings, log: Log) {
    this.parts = parts;
    this.watch = watch;
    this.settings = settings;
    this.log = log;
    const stopListening = watch.onEvent(() => this.wakeup.wake());
    this.running = this.run().finally(stopListening);
  }

  /** The ports that are open, by guest. */
  get open(): ReadonlyMap<string, number> {
    return new Map([...this.listeners].map(([guestId, { port }]) => [guestId, port]));
  }

  async close(): Promise<void> {
    this.over.abort();
    await this.running;
    for (const guestId of [...this.listeners.keys()]) this.shut(guestId);
  }

  private async run(): Promise<void> {
    const { signal } = this.over;
    while (!signal.aborted) {
      try {
        await this.refresh(await this.watch.records.list());
        this.troubles.delete('');
      } catch (error) {
        // What listens goes on listening.
        this.tell('', 'the guests cannot be listed, so no VNC port is opened or closed', error);
      }
      await this.wakeup.nap(this.settings.recheckMs, signal);
    }
  }

  private async refresh(guests: readonly Guest[]): Promise<void> {
    const wanted = wantedPorts(guests);
    for (const [guestId, { port }] of this.listeners) if (wanted.open.get(guestId)?.port !== port) this.shut(guestId);
    for (const guestId of this.troubles.keys())
      if (guestId !== '' && !wanted.open.has(guestId) && !wanted.refused.has(guestId)) this.troubles.delete(guestId);
    for (const [guestId, { guest, port }] of wanted.open) {
      const listener = this.listeners.get(guestId);
      if (listener !== undefined) listener.guest = guest;
      else await this.listen(guest, port);
    }
    for (const [guestId, { port, holder }] of wanted.refused)
      this.tell(guestId, 'two guests want one VNC port; the one that was registered first has it', undefined, {
        port,
        holder,
      });
    const { vncPorts } = this.parts.metrics;
    vncPorts.set({ state: 'open' }, this.listeners.size);
    vncPorts.set({ state: 'failed' }, wanted.open.size + wanted.refused.size - this.listeners.size);
  }

  private async listen(guest: Guest, port: number): Promise<void> {
    const { host } = this.settings;
    const server = createServer({ noDelay: true }, (socket) => this.accept(guest.id, socket));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject).listen({ host, port, exclusive: true }, resolve);
    try {
      await promise;
    } catch (error) {
      this.tell(guest.id, 'a VNC port cannot be opened; it is tried again', error, { port, host });
      return;
    }
    server.off('error', reject).on('error', (error) => this.log.warn({ port, error }, 'trouble with a VNC port'));
    this.troubles.delete(guest.id);
    this.listeners.set(guest.id, { guest, port, server });
    this.log.info({ guestId: guest.id, port, host }, 'a VNC port is open');
  }

  private accept(guestId: string, socket: Socket): void {
    // Heard whatever happens; `close` follows.
    socket.on('error', () => undefined);
    const guest = this.listeners.get(guestId)?.guest;
    if (guest === undefined) return void socket.destroy();
    const password = guest.spec?.vnc?.password ?? '';
    try {
      const viewer = new RfbViewer(
        this.parts,
        { kind: 'rfb-tcp', guestId, name: guest.name, password, peer: socket.remoteAddress ?? '', viewOnly: false },
        socketWire(socket),
      );
      socket.on('data', (bytes) => viewer.receive(bytes));
      // A viewer that has sent its last byte is not there to see more.
      socket.on('end', () => viewer.lost());
      socket.on('close', () => viewer.lost());
    } catch (error) {
      this.log.warn({ guestId, error }, 'a viewer was turned away');
      socket.destroy();
    }
  }

  private shut(guestId: string): void {
    const listener = this.listeners.get(guestId);
    if (listener === undefined) return;
    this.listeners.delete(guestId);
    // Viewers that are connected stay, so it is not waited for the end of the last connection.
    listener.server.close();
    this.log.info({ guestId, port: listener.port }, 'a VNC port is closed');
  }

  private tell(guestId: string, message: string, error: unknown, fields: object = {}): void {
    const told = `${message}: ${messageOf(error)}`;
    if (this.troubles.get(guestId) === told) return;
    this.troubles.set(guestId, told);
    this.log.warn({ guestId, ...fields, ...(error === undefined ? {} : { error }) }, message);
  }
}

interface Wanted {
  readonly open: ReadonlyMap<string, { readonly guest: Guest; readonly port: number }>;
  readonly refused: ReadonlyMap<string, { readonly port: number; readonly holder: string }>;
}
/** Which guest has which port: of several that want one, the one that was registered first. */
export function wantedPorts(guests: readonly Guest[]): Wanted {
  const open = new Map<string, { guest: Guest; port: number }>();
  const refused = new Map<string, { port: number; holder: string }>();
  const holders = new Map<number, string>();
  const inOrder = guests.toSorted((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1));
  for (const guest of inOrder) {
    const port = guest.spec?.vnc?.port ?? 0;
    if (port === 0 || port > 0xffff || guest.desired?.deleting === true) continue;
    const holder = holders.get(port);
    if (holder !== undefined) refused.set(guest.id, { port, holder });
    else {
      holders.set(port, guest.id);
      open.set(guest.id, { guest, port });
    }
  }
  return { open, refused };
}
