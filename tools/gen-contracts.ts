/** Writes packages/contracts/src/gen/tomei.ts from proto/: types of all messages, their codecs, and the services. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf, { type Enum, type Field, type Namespace, type Service, type Type } from 'protobufjs';
import { format } from 'prettier';

const ROOT = join(import.meta.dirname, '..');
const PROTO = join(ROOT, 'proto');
/** The generated file. */
export const CONTRACTS = join(ROOT, 'packages/contracts/src/gen/tomei.ts');
const PACKAGE = 'tomei.v1';

const SCALARS: Readonly<Record<string, string>> = {
  bool: 'boolean',
  string: 'string',
  bytes: 'Uint8Array',
};
const NUMBERS = ['double', 'float', 'int32', 'uint32', 'sint32', 'int64', 'uint64', 'sint64', 'fixed32', 'fixed64'];

function load(): Namespace {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(PROTO, target);
  const folder = PACKAGE.replaceAll('.', '/');
  const files = readdirSync(join(PROTO, folder))
    .filter((name) => name.endsWith('.proto'))
    .toSorted();
  root.loadSync(
    files.map((name) => `${folder}/${name}`),
    { keepCase: false, alternateCommentMode: true },
  );
  root.resolveAll();
  return root.lookup(PACKAGE) as Namespace;
}

const comment = (text: string | null, indent = ''): string =>
  text === null || text === '' ? '' : `${indent}/** ${text.replaceAll('\n', `\n${indent} * `)} */\n`;

function typeOf(field: Field): string {
  const resolved = field.resolvedType;
  const one =
    resolved !== null ? resolved.name : (SCALARS[field.type] ?? (NUMBERS.includes(field.type) ? 'number' : undefined));
  if (one === undefined || field.map) throw new Error(`${field.fullName}: the generator does not know this type`);
  return field.repeated ? `readonly ${one}[]` : one;
}
function interfaceOf(type: Type): string {
  const fields = type.fieldsArray.map((field) => {
    const optional = !field.repeated && (field.partOf !== null || field.resolvedType instanceof protobuf.Type);
    return `${comment(field.comment, '  ')}  readonly ${field.name}${optional ? '?' : ''}: ${typeOf(field)};`;
  });
  for (const oneof of type.oneofsArray.filter((o) => !o.name.startsWith('_'))) {
    const members = oneof.oneof.map((name) => `'${name}'`).join(' | ');
    fields.push(`  /** Which of them is there. Read only: it is not sent. */\n  readonly ${oneof.name}?: ${members};`);
  }
  return `${comment(type.comment)}export interface ${type.name} {\n${fields.join('\n')}\n}`;
}
const enumOf = (type: Enum): string =>
  `${comment(type.comment)}export type ${type.name} = ${Object.keys(type.values)
    .map((name) => `'${name}'`)
    .join(' | ')};`;

function serviceOf(service: Service): string {
  const methods = service.methodsArray.map((m) => {
    const path = `/${PACKAGE}.${service.name}/${m.name}`;
    const streams = `{ requestStream: ${m.requestStream === true}, responseStream: ${m.responseStream === true} }`;
    const name = m.name[0]!.toLowerCase() + m.name.slice(1);
    return `${comment(m.comment, '  ')}  ${name}: method('${path}', messages.${m.requestType}, messages.${m.responseType}, ${streams} as const),`;
  });
  return `${comment(service.comment)}export const ${service.name}Service = {\n${methods.join('\n')}\n};`;
}

/** The text of the generated file. */
export async function generateContracts(): Promise<string> {
  const namespace = load();
  const all = namespace.nestedArray;
  const types = all.filter((o) => o instanceof protobuf.Type);
  const descriptor = { nested: { tomei: { nested: { v1: namespace.toJSON({ keepComments: false }) } } } };
  const text = [
    '/** Generated from proto/ by `pnpm gen`. Do not edit. */',
    "import { createCodecs } from '../codec.ts';",
    "import { method } from '../method.ts';",
    ...all.filter((o) => o instanceof protobuf.Enum).map(enumOf),
    ...types.map(interfaceOf),
    `const descriptor: object = ${JSON.stringify(descriptor)};`,
    'const codec = createCodecs(descriptor);',
    '/** Every message, by its name. */',
    `export const messages = {\n${types.map((t) => `  ${t.name}: codec<${t.name}>('${PACKAGE}.${t.name}'),`).join('\n')}\n};`,
    ...all.filter((o) => o instanceof protobuf.Service).map(serviceOf),
  ].join('\n\n');
  return format(text, { parser: 'typescript', printWidth: 120, singleQuote: true });
}

if (import.meta.main) writeFileSync(CONTRACTS, await generateContracts());
