/** One command to one runner, and its answer. */
import { messages, subjects, type Init, type RunnerCommand, type RunnerReply } from '@tomei/contracts';
import { errorOf, type Bus } from '@tomei/service';

/** For the answer: a start is answered when there is a process, which takes a moment on a busy host. */
const COMMAND_MS = 5_000;

/** Throws the error that the runner answers, and as `Bus.request` does. */
export async function askRunner(bus: Bus, runnerId: string, command: Init<RunnerCommand>): Promise<RunnerReply> {
  const bytes = messages.RunnerCommand.encode(command);
  const answer = await bus.request(subjects.runnerCommand(runnerId), bytes, { timeoutMs: COMMAND_MS });
  const reply = messages.RunnerReply.decode(answer);
  if (reply.trouble !== undefined) throw errorOf(reply.trouble);
  return reply;
}
