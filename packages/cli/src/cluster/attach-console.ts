/** A guest's serial port: joined to this terminal, or read. */
import { attachTerminal } from '../console/terminal.ts';
import type { ClusterApi } from './api.ts';
import { openSerial, type SerialSocket } from './serial-socket.ts';

/** After a pipe has ended, and after what a guest wrote so far. */
const SILENT_MS = 1_000;
/** For the first word of a guest that runs: the gateway may have to dial it first. */
const FIRST_WORD_MS = 10_000;

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Fulfilled when the person leaves, or what came through a pipe has been answered. Throws what the gateway closes it for. */
export async function attachConsole(
  api: ClusterApi,
  name: string,
  { port, viewOnly }: { readonly port: number; readonly viewOnly: boolean },
): Promise<void> {
  const guest = await api.guest(name);
  const serial = await openSerial(api, guest.id, { port, viewOnly });
  const { stdin, stdout } = process;
  if (stdin.isTTY) {
    const waits = guest.phase === 'running' ? '' : ` is ${guest.phase}; its console comes when it runs.`;
    say(`tomei: the console of ${guest.name}${waits === '' ? '.' : waits} Ctrl-] leaves.`);
  }
  const silence = silenceOf(serial);
  const ended = Promise.withResolvers<void>();
  const onEnd = (): void => ended.resolve();
  if (!stdin.isTTY) stdin.once('end', onEnd);
  const terminal = attachTerminal(serial, stdin, stdout);
  try {
    await Promise.race([terminal.left, serial.closed, ended.promise.then(() => silence(SILENT_MS))]);
  } finally {
    stdin.off('end', onEnd);
    terminal.detach();
    if (stdin.isTTY && stdout.isTTY) stdout.write('\n');
    serial.close();
  }
}

/** Prints what a guest has written to a serial port so far, as far as it is kept; with `follow`, what it writes from then on too. */
export async function printSerial(
  api: ClusterApi,
  name: string,
  { port, follow }: { readonly port: number; readonly follow: boolean },
): Promise<void> {
  const guest = await api.guest(name);
  const serial = await openSerial(api, guest.id, { port, viewOnly: true });
  const silence = silenceOf(serial);
  serial.onData((bytes) => void process.stdout.write(bytes));
  try {
    await (follow ? serial.closed : Promise.race([serial.closed, silence(guest.console ? FIRST_WORD_MS : SILENT_MS)]));
  } finally {
    serial.close();
  }
}

/** Call what it returns to wait until nothing has come for a while: so long for something at all, then `SILENT_MS`. */
function silenceOf(serial: SerialSocket): (firstMs: number) => Promise<void> {
  let last: number | undefined;
  serial.onData(() => (last = performance.now()));
  return async (firstMs) => {
    const begun = performance.now();
    for (;;) {
      const left = (last === undefined ? begun + firstMs : Math.max(last, begun) + SILENT_MS) - performance.now();
      if (left <= 0) return;
      await new Promise((resolve) => setTimeout(resolve, Math.min(left, SILENT_MS / 4)));
    }
  };
}
