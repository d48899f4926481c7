/** `tomei lab`, joined to the lab: what it prints, and how it ends. */
import type { Event } from '@tomei/contracts';
import { EXIT } from '@tomei/kit';
import { startLab } from '@tomei/lab';
import { createConsoleLog } from '@tomei/service';
import type { LabFlags } from '../commands/lab.ts';
import { labPool } from './lab-pool.ts';
import { eventLine, plain } from './text.ts';

/** As a shell says it of a program that Ctrl-C ended. */
const INTERRUPTED = 130;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs until a signal ends it. */
export async function runLab(guests: readonly string[], flags: LabFlags): Promise<void> {
  const { pool, guests: given } = labPool(guests, flags.pool, process.cwd());
  const printer = flags.json === true ? jsonPrinter() : textPrinter();
  const ending = endingSignals();
  try {
    const lab = await startLab({
      pool,
      host: flags.host,
      port: flags.port,
      powerOn: flags.powerOn === true ? 'all' : given,
      onEvent: printer.event,
      onWarning: printer.warning,
      log: (name) =>
        createConsoleLog({
          name,
          level: flags.verbose === true ? 'info' : 'error',
          write: (line) => void process.stderr.write(line),
        }),
    });
    try {
      printer.started(
        lab.url,
        pool,
        lab.guests.map(({ name }) => name),
      );
      await ending.first;
      printer.ending();
    } finally {
      await lab.close();
    }
  } finally {
    ending.stop();
  }
}

interface Printer {
  event(this: void, event: Event): void;
  warning(this: void, text: string): void;
  started(url: string, pool: string, names: readonly string[]): void;
  ending(): void;
}

const write = (text: string): void => void process.stdout.write(`${text}\n`);

function textPrinter(): Printer {
  // The address comes first: what happens before it is known is said below it.
  let before: string[] | undefined = [];
  const line = (text: string): void => {
    if (before === undefined) write(text);
    else before.push(text);
  };
  return {
    event: (event) => {
      // What a lab registers as it starts is said at once, below its address.
      if (event.verb !== 'registered' && event.noun === 'guest')
        line(eventLine({ ...event, at: new Date(event.atMs).toISOString() }));
    },
    warning: (text) => void process.stderr.write(`tomei: ${plain(text)}\n`),
    started: (url, pool, names) => {
      const which = names.length === 0 ? 'no guests yet' : names.map(plain).join(', ');
      write(`\n  Tomei is at  ${url}\n\n  guests       ${which}\n  pool         ${pool}\n  end          Ctrl-C\n`);
      for (const text of before ?? []) write(text);
      before = undefined;
    },
    ending: () => write('powering guests off; Ctrl-C again ends at once'),
  };
}
function jsonPrinter(): Printer {
  const line = (kind: string, value: object): void => write(JSON.stringify({ kind, ...value }));
  return {
    event: ({ atMs, ...event }) => line('event', { ...event, at: new Date(atMs).toISOString() }),
    warning: (text) => line('warning', { text }),
    started: (url, pool, guests) => line('started', { url, pool, guests }),
    ending: () => line('ending', {}),
  };
}

/** The first signal asks for an end in order; another one ends the process at once, and guests end with it. */
function endingSignals(): { readonly first: Promise<void>; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = false;
  const onSignal = (): void => {
    if (asked) process.exit(INTERRUPTED);
    asked = true;
    process.exitCode = EXIT.ok;
    resolve();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    first: promise,
    stop: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
    },
  };
}
