/** Logging: one JSON line an entry, a constant message with fields, and no secret in any of them. */
import { pino, stdSerializers, type DestinationStream, type Logger } from 'pino';
import { TomeiError } from '@tomei/kit';

export type LogFields = Readonly<Record<string, unknown>>;
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The message is constant, so that it can be searched for; what varies is a field. An Error goes into the field `error`. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  fatal(fields: LogFields, message: string): void;
  /** A log whose entries all have these fields too. */
  child(fields: LogFields): Log;
}

/** Fields that are secret whatever they belong to, down to the third level. */
const SECRETS = ['token', 'password', 'secret', 'authorization', 'cookie'];
const REDACTED = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** An error with its code, and with what it says that it was about. */
function errorFields(error: unknown): unknown {
  if (error instanceof TomeiError && error.cause === undefined)
    return { code: error.code, message: error.message, ...error.data };
  return error instanceof Error ? stdSerializers.err(error) : error;
}

export interface LogOptions {
  /** The service, and with `runner/r1` the instance of it. */
  readonly name: string;
  /** Default `info`. */
  readonly level?: LogLevel | undefined;
  /** Where lines go; standard output by default. */
  readonly destination?: DestinationStream;
}

/** JSON lines, as a cluster's collector wants them. */
export function createLog({ name, level = 'info', destination = pino.destination({ sync: true }) }: LogOptions): Log {
  return narrowed(
    pino(
      {
        level,
        base: { service: name },
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: errorFields },
        redact: { paths: REDACTED, censor: '[secret]' },
      },
      destination,
    ),
  );
}

/** pino's logger without what pino has besides. */
function narrowed(logger: Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
    child: (fields) => narrowed(logger.child(fields)),
  };
}

/** Lines for a person, such as `12:03:07 warn  runner/r1: a runner is lost  runnerId=r2`. */
export function createConsoleLog({
  name,
  level,
  write,
}: Pick<LogOptions, 'name' | 'level'> & { readonly write: (line: string) => void }): Log {
  return createLog({ name, level, destination: { write: (line) => write(lineForPeople(line)) } });
}
function lineForPeople(json: string): string {
  const { level, time, service, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const shown = Object.entries(fields).map(([key, value]) => `${key}=${shownValue(value)}`);
  return `${[String(time).slice(11, 19), String(level).padEnd(5), `${String(service)}: ${String(msg)}`].join(' ')}${shown.length > 0 ? `  ${shown.join(' ')}` : ''}\n`;
}
function shownValue(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value) return JSON.stringify(value.message);
  return typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
}

/** Says nothing. */
export const quietLog = (): Log =>
  createLog({ name: 'quiet', level: 'silent', destination: { write: () => undefined } });

export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}
/** Keeps what was logged, as it would have been written: for tests. */
export function memoryLog(): Log & { readonly entries: readonly LogEntry[] } {
  const entries: LogEntry[] = [];
  const log = createLog({
    name: 'memory',
    level: 'debug',
    destination: {
      write: (line) => {
        const { level, time: _time, service: _service, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
        entries.push({ level: level as LogLevel, message: String(msg), fields });
      },
    },
  });
  return { ...log, entries };
}
