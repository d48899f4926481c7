/** Commands to a runner, from bytes to the answer. */
import { messages, type Init, type RunnerCommand, type RunnerReply } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { troubleOf, type Log } from '@tomei/service';
import { checkStart } from './admission.ts';
import type { RunTable } from './run-table.ts';

/** How many answers are kept for commands that come again. A controller repeats one within seconds. */
const MAX_REMEMBERED = 1_000;

export class CommandDesk {
  private readonly table: RunTable;
  private readonly log: Log;
  private readonly answered = new Map<string, Promise<Init<RunnerReply>>>();

  constructor(table: RunTable, log: Log) {
    this.table = table;
    this.log = log;
  }
  /** Never throws: what is wrong is in the reply. */
  async answer(bytes: Uint8Array): Promise<Uint8Array> {
    return messages.RunnerReply.encode(await this.reply(bytes));
  }

  /** Starts and stops are carried out in the order in which they come: before this returns. */
  private reply(bytes: Uint8Array): Promise<Init<RunnerReply>> {
    let command: RunnerCommand;
    try {
      command = messages.RunnerCommand.decode(bytes);
      if (command.id === '') throw new TomeiError('command.malformed', 'a command without an id');
    } catch (error) {
      return Promise.resolve(this.refuse(error, {}));
    }
    const known = this.answered.get(command.id);
    if (known !== undefined) return known;
    const reply = this.carryOut(command);
    this.answered.set(command.id, reply);
    if (this.answered.size > MAX_REMEMBERED) this.answered.delete(this.answered.keys().next().value!);
    return reply;
  }
  private async carryOut({ id, kind, start, stop, memory }: RunnerCommand): Promise<Init<RunnerReply>> {
    try {
      let reply: Init<RunnerReply> = {};
      if (start !== undefined) this.table.start(checkStart(start));
      else if (stop !== undefined) this.table.stop(stop);
      else if (memory !== undefined) reply = { memory: await this.table.memory(memory) };
      else throw new TomeiError('command.unknown', 'a command of a kind that this runner does not know: is it older?');
      this.log.debug({ commandId: id, kind }, 'a command is carried out');
      return reply;
    } catch (error) {
      return this.refuse(error, { commandId: id, kind });
    }
  }
  private refuse(error: unknown, about: Readonly<Record<string, unknown>>): RunnerReply {
    const trouble = troubleOf(error);
    if (error instanceof TomeiError)
      this.log.warn({ ...about, code: trouble.code, why: trouble.message }, 'a command is refused');
    else this.log.error({ ...about, error }, 'a command met a bug');
    return { trouble };
  }
}
