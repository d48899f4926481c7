/**
 * Configuration of a service: variables of the environment that begin with `TOMEI_`, each with a schema. All that is wrong is
 * said at once, and a key that nobody knows is wrong.
 */
import { z } from 'zod';
import { TomeiError } from '@tomei/kit';
import { nearest } from './nearest.ts';

/** Environment in which a service runs; an empty text counts as not set. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface FieldOptions<T> {
  /** One sentence for whoever sets it. */
  readonly doc: string;
  /** What holds when it is not set; without it the variable is required. `undefined` makes it optional. */
  readonly default?: T;
  /** Its value is shown nowhere. */
  readonly secret?: boolean;
}
export interface ConfigField<T> {
  readonly name: `TOMEI_${string}`;
  readonly schema: z.ZodType<T, string>;
  readonly doc: string;
  readonly required: boolean;
  readonly default: T | undefined;
  readonly secret: boolean;
}
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- fields of any type stand beside each other
export type ConfigFields = Readonly<Record<string, ConfigField<any>>>;
export type ConfigOf<F extends ConfigFields> = {
  readonly [K in keyof F]: F[K] extends ConfigField<infer T> ? T : never;
};

/** A variable that must be set. Its schema takes the text of the environment; see `settings`. */
export function field<T>(
  name: `TOMEI_${string}`,
  schema: z.ZodType<T, string>,
  options: FieldOptions<T> & { default?: never },
): ConfigField<T>;
/** A variable that may be left out. */
export function field<T, D extends T | undefined>(
  name: `TOMEI_${string}`,
  schema: z.ZodType<T, string>,
  options: Omit<FieldOptions<T>, 'default'> & { default: D },
): ConfigField<T | D>;
export function field<T>(
  name: `TOMEI_${string}`,
  schema: z.ZodType<T, string>,
  options: FieldOptions<T>,
): ConfigField<T> {
  const { doc, secret = false } = options;
  return { name, schema, doc, secret, required: !('default' in options), default: options.default };
}

const ADDRESS = /^(?:unix:\/.+|(?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5})$/;

/** Schemas for what a variable usually is. */
export const settings = {
  text: (): z.ZodType<string, string> => z.string(),
  oneOf: <const T extends string>(values: readonly T[]): z.ZodType<T, string> =>
    z.enum(values as readonly [T, ...T[]]) as unknown as z.ZodType<T, string>,
  whole: ({ min = 0, max = Number.MAX_SAFE_INTEGER } = {}): z.ZodType<number, string> =>
    z
      .string()
      .regex(/^-?\d{1,16}$/, 'not a whole number')
      .transform(Number)
      .pipe(z.number().min(min, `less than ${min}`).max(max, `more than ${max}`)),
  /** 0: any free one. */
  port: (): z.ZodType<number, string> => settings.whole({ max: 65_535 }),
  flag: (): z.ZodType<boolean, string> =>
    z
      .string()
      .regex(/^(?:true|false|1|0)$/, 'neither true nor false')
      .transform((text) => text === 'true' || text === '1'),
  /** `host:port` or `unix:/path`. */
  address: (): z.ZodType<string, string> => z.string().regex(ADDRESS, 'neither host:port nor unix:/path'),
  /** Schemes without colon, such as `['http', 'https']`. */
  url: (schemes: readonly string[]): z.ZodType<string, string> =>
    z.string().refine(
      (text) => {
        // Several servers may stand in one text, as NATS has it.
        return text
          .split(',')
          .every((one) => URL.canParse(one) && schemes.includes(new URL(one).protocol.slice(0, -1)));
      },
      `not a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
    ),
} as const;

export interface Config<F extends ConfigFields> {
  readonly fields: F;
  /** Throws one `config.bad` that names everything that is wrong with the variables that begin with `TOMEI_`. */
  load(environment: Environment): ConfigOf<F>;
  /** For `--help`: a line or two for each variable. */
  help(): string;
  /** For the documentation: rows of a Markdown table. */
  table(): string;
}

/** `defineConfig({ pool: field('TOMEI_POOL', settings.text(), { doc: 'Folder of images.' }) })` */
export function defineConfig<const F extends ConfigFields>(fields: F): Config<F> {
  const all = Object.entries(fields);
  const known = new Map(all.map(([, { name }]) => [name as string, true]));
  if (known.size !== all.length) throw new Error('two fields of a configuration have one name');
  return {
    fields,
    load: (environment) => {
      const problems = unknownIn(environment, [...known.keys()]);
      const values = all.map(([key, one]) => {
        const { value, problem } = valueOf(one, environment);
        if (problem !== undefined) problems.push(problem);
        return [key, value] as const;
      });
      if (problems.length > 0) {
        const lines = problems.map((problem) => `\n  ${problem}`).join('');
        throw new TomeiError('config.bad', `the configuration is wrong:${lines}`, { data: { problems } });
      }
      return Object.fromEntries(values) as ConfigOf<F>;
    },
    help: () => all.map(([, one]) => `  ${one.name}\n      ${one.doc} ${whenUnset(one)}\n`).join(''),
    table: () =>
      [
        '| variable | meaning | when it is not set |',
        '| --- | --- | --- |',
        ...all.map(([, one]) => `| \`${one.name}\` | ${one.doc.replaceAll('|', '\\|')} | ${unsetCell(one)} |`),
      ].join('\n'),
  };
}

function unknownIn(environment: Environment, known: readonly string[]): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('TOMEI_') && !known.includes(name))
    .toSorted()
    .map((name) => {
      const near = nearest(name, known);
      return `${name}: nothing has this name${near === undefined ? '' : `; is ${near} meant?`}`;
    });
}
function valueOf<T>(one: ConfigField<T>, environment: Environment): { value?: T | undefined; problem?: string } {
  const text = environment[one.name];
  if (text === undefined || text === '') {
    return one.required ? { problem: `${one.name}: it must be set. ${one.doc}` } : { value: one.default };
  }
  const result = one.schema.safeParse(text);
  if (result.success) return { value: result.data };
  const why = result.error.issues.map(({ message }) => message).join('; ');
  // What a schema says may quote the value.
  if (one.secret)
    return { problem: `${one.name}: its value is not acceptable (it is secret and not shown). ${one.doc}` };
  return { problem: `${one.name}: ${JSON.stringify(text.slice(0, 200))}: ${why}` };
}
const shownDefault = ({ default: value }: ConfigField<unknown>): string =>
  typeof value === 'string' ? value : JSON.stringify(value);
function whenUnset(one: ConfigField<unknown>): string {
  if (one.required) return '(required)';
  return one.default === undefined ? '(optional)' : `(default: ${shownDefault(one)})`;
}
function unsetCell(one: ConfigField<unknown>): string {
  if (one.required) return 'it must be set';
  return one.default === undefined ? '' : `\`${shownDefault(one)}\``;
}
