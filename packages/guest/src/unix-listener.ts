/** Listening at a unix socket that a `.vmx` names. */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type ServerOpts, type Socket } from 'node:net';
import { messageOf } from '@tomei/kit';

/** sockaddr_un has room for 108 bytes, the last of which is zero (unix(7)). */
export const MOST_SOCKET_PATH = 107;

/**
 * Listens at `path`, for this user alone, in the place of a socket that nobody answers. Throws Error that says why not, and has the
 * host's as its cause.
 */
export async function listenAtSocket(
  path: string,
  greet: (client: Socket) => void,
  options: ServerOpts = {},
): Promise<Server> {
  if (Buffer.byteLength(path) > MOST_SOCKET_PATH) throw new Error(`the name is longer than ${MOST_SOCKET_PATH} bytes`);
  if (await isAnswered(path)) throw new Error('another program listens there; name another file');
  const server = createServer(options, greet);
  try {
    // A socket that nobody answers is left from a guest that went down. Anything else is somebody's file.
    const found = await lstat(path).catch(() => undefined);
    if (found?.isSocket() === true) await unlink(path);
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
    await chmod(path, 0o600);
  } catch (cause) {
    server.close();
    throw new Error(messageOf(cause), { cause });
  }
  return server;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
