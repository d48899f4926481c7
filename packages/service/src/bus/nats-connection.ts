/** A connection to NATS that is made again for as long as it takes, and the one place that knows its address and credentials. */
import { Events, connect, type ConnectionOptions, type NatsConnection } from 'nats';
import { TomeiError, messageOf } from '@tomei/kit';
import type { Log } from '../log.ts';
import { delays, sleep } from '../patience.ts';
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
  /** Called for each new connection before anything else; what it subscribes to survives reconnects. */
  readonly onOpen: (connection: NatsConnection) => void;
  /** Called after each connect and reconnect until it is fulfilled; only then is the link announced as connected. */
  readonly prepare: (connection: NatsConnection) => Promise<void>;
}

/** Dials, prepares, announces, and begins again. */
export class NatsLink {
  readonly state = new Announced(false);
  private readonly options: NatsLinkOptions;
  private readonly address: NatsAddress;
  private readonly closing = new AbortController();
  private readonly running: Promise<void>;
  private connection: NatsConnection | undefined;
  private preparing = new AbortController();
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
  /** As the log may have it. */
  get servers(): string {
    return this.address.servers.join(',');
  }
  /** The connection whatever its state, to listen on. */
  get latest(): NatsConnection | undefined {
    return this.connection;
  }

  /** Ends the connection; `before` runs while it is still there. */
  async close(): Promise<void> {
    this.closing.abort();
    this.preparing.abort();
    this.state.set(false);
    await this.connection?.close();
    await this.running;
  }

  private async run(): Promise<void> {
    const wait = delays();
    while (!this.closing.signal.aborted) {
      try {
        const connection = await connect(this.connectionOptions());
        if (this.closing.signal.aborted) return await connection.close();
        this.connection = connection;
        wait.reset();
        await this.serve(connection);
      } catch (error) {
        this.tellAway(error);
      }
      this.connection = undefined;
      await sleep(wait.next(), this.closing.signal);
    }
  }
  private connectionOptions(): ConnectionOptions {
    const { servers, isTls, ...credentials } = this.address;
    const wait = delays();
    return {
      ...credentials,
      servers: [...servers],
      name: this.options.name,
      ...(isTls ? { tls: {} } : {}),
      timeout: CONNECT_TIMEOUT_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      maxReconnectAttempts: -1,
      // A password may be changed on the server first, and here later; or be known to the server only after its restart.
      ignoreAuthErrorAbort: true,
      reconnectDelayHandler: () => wait.next(),
    };
  }
  /** As long as this connection is not given up, which is when it is closed. */
  private async serve(connection: NatsConnection): Promise<void> {
    this.options.onOpen(connection);
    void this.prepare(connection);
    for await (const { type, data } of connection.status()) {
      if (type === Events.Disconnect) {
        this.preparing.abort();
        this.state.set(false);
        this.tellAway(undefined);
      } else if (type === Events.Reconnect) {
        void this.prepare(connection);
      } else if (type === Events.Error) {
        this.options.log.warn({ problem: String(data) }, 'the message bus reports an error');
      }
    }
    this.preparing.abort();
    this.state.set(false);
    const error = await connection.closed();
    if (error !== undefined) throw error;
  }
  private async prepare(connection: NatsConnection): Promise<void> {
    this.preparing.abort();
    this.preparing = new AbortController();
    const { signal } = this.preparing;
    const wait = delays();
    while (!signal.aborted) {
      try {
        await this.options.prepare(connection);
        if (signal.aborted) return;
        this.toldAway = false;
        this.options.log.info({ servers: this.servers }, 'the message bus is connected');
        return this.state.set(true);
      } catch (error) {
        if (!signal.aborted) this.tellAway(error);
        await sleep(wait.next(), signal);
      }
    }
  }
  /** Once, until it is there again. */
  private tellAway(error: unknown): void {
    if (this.toldAway || this.closing.signal.aborted) return;
    this.toldAway = true;
    const why = error === undefined ? 'the connection broke' : messageOf(error);
    this.options.log.warn({ servers: this.servers, why }, 'the message bus cannot be reached; trying again');
  }
}
