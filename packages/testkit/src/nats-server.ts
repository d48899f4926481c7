/** A real NATS server with JetStream, for tests. Debian package: nats-server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServerProcess, missing, type ServerProgram } from './server-process.ts';

export interface NatsServerOptions {
  /** Where JetStream keeps its streams; a folder of its own by default. */
  readonly storeDir?: string;
  /** Default: nobody has to say who they are. */
  readonly credentials?: { readonly user: string; readonly password: string } | { readonly token: string };
  /** Default 1 MiB, as the server's own. */
  readonly maxPayloadBytes?: number;
  /** Default true. */
  readonly hasJetStream?: boolean;
  /** False: `start` comes later. */
  readonly isStarted?: boolean;
}

const program = (options: NatsServerOptions = {}): ServerProgram => ({
  program: 'nats-server',
  debianPackage: 'nats-server',
  arguments: (port, folder) => {
    const { credentials, maxPayloadBytes = 1 << 20, hasJetStream = true } = options;
    // The file may have a password in it, which a command line would show to everybody.
    const lines = [
      `listen: "127.0.0.1:${port}"`,
      `max_payload: ${maxPayloadBytes}`,
      ...(hasJetStream ? [`jetstream { store_dir: ${JSON.stringify(folder)} }`] : []),
      ...(credentials === undefined ? [] : [`authorization ${JSON.stringify(credentials)}`]),
    ];
    const path = join(folder, 'nats-server.conf');
    writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 });
    return ['-c', path];
  },
  question: '',
  answer: /^INFO \{/,
});

/** Why tests with NATS cannot run on this machine; undefined when they can. */
export const natsServerMissing = (): string | undefined => missing(program());

export interface NatsServer extends ServerProcess {
  /** With the credentials in it. */
  readonly url: string;
}
/** Ready when this is fulfilled. */
export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const { storeDir: folder, isStarted, credentials } = options;
  const server = await ServerProcess.create(program(options), {
    folder,
    ...(isStarted === false ? { isStarted } : {}),
  });
  const parts =
    credentials === undefined ? [] : Object.values(credentials).map((part: string) => encodeURIComponent(part));
  const who = parts.length === 0 ? '' : `${parts.join(':')}@`;
  return Object.assign(server, { url: `nats://${who}127.0.0.1:${server.port}` });
}
