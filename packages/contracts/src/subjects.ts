/** Every NATS subject, and the stream that keeps events. Nobody else writes one down. */
import type { Event } from './gen/tomei.ts';

const PREFIX = 'tomei.v1';

/** The JetStream stream of lifecycle events. */
export const EVENT_STREAM = 'TOMEI_EVENTS';
/** How long events are kept, and how many. */
export const EVENT_STREAM_LIMITS = { maxAgeMs: 7 * 24 * 3600 * 1000, maxMessages: 1_000_000 } as const;

export const subjects = {
  /** Commands to one runner: `RunnerCommand`, answered with `RunnerReply`. */
  runnerCommand: (runnerId: string): string => `${PREFIX}.runner.${runnerId}.command`,
  /** `RunnerHeartbeat`. */
  runnerHeartbeat: (runnerId: string): string => `${PREFIX}.runner.${runnerId}.heartbeat`,
  everyHeartbeat: `${PREFIX}.runner.*.heartbeat`,
  /** Empty: something else is wanted of a guest than before, so look at it now and not at the next round. */
  wanted: (guestId: string): string => `${PREFIX}.guest.${guestId}.wanted`,
  everyWanted: `${PREFIX}.guest.*.wanted`,
  /** `Event`. */
  event: ({ noun, subjectId, verb }: Pick<Event, 'noun' | 'subjectId' | 'verb'>): string =>
    `${PREFIX}.event.${noun}.${subjectId}.${verb}`,
  everyEvent: `${PREFIX}.event.>`,
  eventsOf: (noun: 'guest' | 'runner', id: string): string => `${PREFIX}.event.${noun}.${id}.*`,
} as const;
