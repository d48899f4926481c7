/** What all commands that talk to a server have in common. */
import { Option, type Command } from 'commander';
import type { ClusterApi } from './api.ts';

export const DEFAULT_SERVER = 'http://127.0.0.1:8006';

interface ServerFlags {
  readonly server: string;
  readonly json?: boolean;
}
/** What an action gets besides its arguments. */
export interface Client {
  readonly api: ClusterApi;
  readonly json: boolean;
}

/** Adds `--server` and, when there is something to print, `--json`. */
export function addServerOptions(command: Command, { json = true } = {}): Command {
  command.addOption(
    new Option('--server <url>', 'the cluster or lab to talk to').env('TOMEI_SERVER').default(DEFAULT_SERVER),
  );
  return json ? command.option('--json', 'print it as JSON') : command;
}
/** The client that the options ask for; what it needs is loaded only now, so that other commands start fast. */
export async function clientOf({ server, json }: ServerFlags): Promise<Client> {
  const { ClusterApi: Api } = await import('./api.ts');
  return { api: new Api(server), json: json === true };
}
export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2));
export const print = (text: string): void => void process.stdout.write(`${text}\n`);
/** Of the terminal; undefined when the output goes elsewhere, where nothing is to be cut. */
export const columnsOf = (stream: NodeJS.WriteStream = process.stdout): number | undefined =>
  stream.isTTY ? stream.columns : undefined;
export type { ServerFlags };
