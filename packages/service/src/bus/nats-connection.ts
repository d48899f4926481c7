/** A connection to NATS that is made again for as long as it takes, and the one place that knows its address and credentials. */
import { Events, connect, type NatsConnection } from 'nats';
import { TomeiError, messageOf } from '@tomei/kit';
import type { Log } from '../log.ts';
import { delays, sleep, unlessAborted } from '../patience.ts';
import { Announced } from './listeners.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** A server that does not answer two of these is taken for gone. */
const PING_INTERVAL_MS = 10_000;

export interface NatsAddress {
  readonly servers: readonly string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  readonly isTls: boolean;
}
/** Takes `nats://user:password@host:port,nats://other` apart. Throws `config.bad`, without the text: there may be a password in it. */
export function natsAddress(url: string): NatsAddress {
  const urls = url.split(',').map((text) => {
    const parsed = URL.canParse(text) ? new URL(text) : undefined;
    if (parsed === undefined || !['nats:', 'tls:'].includes(parsed.protocol) || parsed.hostname === '')
      throw new TomeiError('config.bad', 'the URL of NATS is not like nats://host:4222');
    return parsed;
  });
  const withUser = urls.find(({ username }) => username !== '');
  const user = withUser === undefined ? undefined : decodeURIComponent(withUser.username);
  const pass = withUser === undefined ? '' : decodeURIComponent(withUser.password);
  const credentials = user === undefined ? {} : pass === '' ? { token: user } : { user, pass };
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port === '' ? 4222 : port}`),
    ...credentials,
    isTls: urls.some(({ protocol }) => protocol === 'tls:'),
  };
}

export interface NatsLinkOptions {
  readonly url: string;
  /** As what the server knows this client. */
  readonly name: string;
  readonly log: Log;
  /** Called for each new connection before anything else: what listens is to listen there. */
  readonly onOpen: (connection: NatsConnection) => void;
  /** Called for each new connection until it is fulfilled; only then is the link announced as connected. */
  readonly prepare: (connection: NatsConnection) => Promise<void>;
}

/**
 * Dials, prepares, announces, and begins again. The library's own reconnecting is not used: it keeps what was published
 * meanwhile, and how long it waits cannot be said.
 */
export class NatsLink {
  readonly state = new Announced(false);
  private readonly options: NatsLinkOptions;
  private readonly address: NatsAddress;
  private readonly closing = new AbortController();
  private readonly running: Promise<void>;
  private connection: NatsConnection | undefined;
  private toldAway = false;

  constructor(options: NatsLinkOptions) {
    this.options = options;
    this.address = natsAddress(options.url);
    this.running = this.run();
  }

  /** The connection, while messages go through. */
  get current(): NatsConnection | undefined {
    return this.state.value ? this.connection : undefined;
  }
  /** The connection also while it is being prepared: to listen on. */
  get latest(): NatsConnection | undefined {
    return this.connection;
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    this.closing.abort();
    this.state.set(false);
    await this.connection?.close();
    await this.running;
  }

  private async run(): Promise<void> {
    const wait = delays();
    while (!this.closing.signal.aborted) {
      try {
        const connection = await unlessAborted(this.dial(), this.closing.signal);
        if (connection === undefined) return;
        await this.serve(connection, () => wait.reset());
        this.tellAway('the connection broke');
      } catch (error) {
        this.tellAway(messageOf(error));
      }
      await sleep(wait.next(), this.closing.signal);
    }
  }
  private async dial(): Promise<NatsConnection> {
    const { servers, isTls, ...credentials } = this.address;
    const connection = await connect({
      ...credentials,
      servers: [...servers],
      name: this.options.name,
      ...(isTls ? { tls: {} } : {}),
      timeout: CONNECT_TIMEOUT_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      reconnect: false,
    });
    // Nobody waits for it any more.
    if (this.closing.signal.aborted) await connection.close();
    return connection;
  }
  /** Until this connection ends, however it does. */
  private async serve(connection: NatsConnection, onReady: () => void): Promise<void> {
    const over = new AbortController();
    const end = (): void => {
      over.abort();
      this.state.set(false);
    };
    const ended = connection.closed().then(end);
    void this.listenTo(connection, end);
    this.connection = connection;
    this.options.onOpen(connection);
    await this.prepare(connection, over.signal, onReady);
    await ended;
    this.connection = undefined;
  }
  private async listenTo(connection: NatsConnection, onDisconnect: () => void): Promise<void> {
    for await (const { type, data } of connection.status()) {
      if (type === Events.Disconnect) onDisconnect();
      else if (type === Events.Error)
        this.options.log.warn({ problem: String(data) }, 'the message bus reports an error');
    }
  }
  private async prepare(connection: NatsConnection, over: AbortSignal, onReady: () => void): Promise<void> {
    const wait = delays();
    while (!over.aborted) {
      try {
        await this.options.prepare(connection);
        if (over.aborted) return;
        onReady();
        this.toldAway = false;
        this.options.log.info({ servers: this.address.servers }, 'the message bus is connected');
        return this.state.set(true);
      } catch (error) {
        if (!over.aborted) this.tellAway(messageOf(error));
        await sleep(wait.next(), over);
      }
    }
  }
  /** Once, until it is there again. */
  private tellAway(why: string): void {
    if (this.toldAway || this.closing.signal.aborted) return;
    this.toldAway = true;
    this.options.log.warn({ servers: this.address.servers, why }, 'the message bus cannot be reached; trying again');
  }
}
