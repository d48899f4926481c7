import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort, startNatsServer, natsServerMissing } from './index.ts';
import { ServerProcess, missing, type ServerProgram } from './server-process.ts';

const shell = (script: string): ServerProgram => ({
  program: 'sh',
  debianPackage: 'dash',
  arguments: () => ['-c', script],
  question: '',
  answer: /^ready/,
});
const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });

describe('a server of a test', () => {
  test('that ends before it answers says what it printed', async () => {
    await expect(ServerProcess.create(shell('echo to the one; echo to the other >&2; exit 3'))).rejects.toThrow(
      /^sh ended:[^]*to the one[^]*to the other|^sh ended:[^]*to the other[^]*to the one/,
    );
  });

  test('of a program that is not there is not started, and tests can say why', async () => {
    const none = { ...shell(''), program: 'no-such-server', debianPackage: 'no-such-package' };

    expect(missing(none)).toBe('no-such-server is not installed (Debian package no-such-package)');
    expect(missing(shell(''))).toBeUndefined();
    await expect(ServerProcess.create(none)).rejects.toThrow('no-such-server is not installed');
  });

  test('has a port that nobody has', async () => {
    expect(await accepts(await freePort())).toBe(false);
  });

  test.skipIf(natsServerMissing() !== undefined)(
    'answers when it is started, keeps port and data over restarts, and leaves nothing behind',
    async () => {
      const server = await startNatsServer();
      onTestFinished(() => server.close());
      const { port, folder } = server;

      const states = [await accepts(port)];
      await server.stop();
      states.push(await accepts(port));
      await server.start();
      states.push(await accepts(port));
      await server.restart();
      states.push(await accepts(port));
      await expect(server.start()).rejects.toThrow('runs already');
      const hadFolder = existsSync(folder);
      await server.close();
      states.push(await accepts(port));
      await server.close();

      expect(states).toEqual([true, false, true, true, false]);
      expect([hadFolder, existsSync(folder)]).toEqual([true, false]);
      expect(server.port).toBe(port);
    },
  );
});
