/** A real Redis server that writes every change to its disk, for tests. Debian package: redis-server. */
import { ServerProcess, missing, type ServerProgram } from './server-process.ts';

export interface RedisServerOptions {
  /** Where it keeps its data; a folder of its own by default. */
  readonly dataDir?: string;
  /** Default: none. */
  readonly password?: string;
  /** False: `start` comes later. */
  readonly isStarted?: boolean;
}

const program = ({ password }: RedisServerOptions = {}): ServerProgram => ({
  program: 'redis-server',
  debianPackage: 'redis-server',
  arguments: (port, folder) => [
    ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--daemonize', 'no'],
    ...['--save', '', '--appendonly', 'yes', '--appendfsync', 'always'],
    ...(password === undefined ? [] : ['--requirepass', password]),
  ],
  question: 'PING\r\n',
  // While it loads its data it answers -LOADING.
  answer: /^(?:\+PONG|-NOAUTH)/,
});

/** Why tests with Redis cannot run on this machine; undefined when they can. */
export const redisServerMissing = (): string | undefined => missing(program());

export interface RedisServer extends ServerProcess {
  /** With the password in it. */
  readonly url: string;
}
/** Ready when this is fulfilled. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { dataDir: folder, isStarted, password } = options;
  const server = await ServerProcess.create(program(options), {
    folder,
    ...(isStarted === false ? { isStarted } : {}),
  });
  const who = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  return Object.assign(server, { url: `redis://${who}127.0.0.1:${server.port}` });
}
