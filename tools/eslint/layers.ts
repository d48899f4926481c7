/** ESLint rule `tomei/layers`: imports point only where the layer table lets them. */
import { dirname, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Rule } from 'eslint';
import { CORE_LAYERS, EVERY_PACKAGE, TEST_PACKAGES, WORKSPACE_LAYERS } from './layer-table.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const SCOPE = '@tomei/';
const CORE_SOURCE = 'packages/paravirt-core/src/';

const isTest = (file: string): boolean => file.endsWith('.test.ts') || file.startsWith('tests/');

/** The folder of the workspace that a file (relative to the repository) is in. */
function workspaceOf(file: string): string | undefined {
  const parts = file.split('/');
  if (parts[0] === 'tests') return 'tests';
  return parts[0] === 'packages' || parts[0] === 'services' ? parts.slice(0, 2).join('/') : undefined;
}

/** The folder of the core that a file is in: `isa`, `vm`, ...; undefined outside and directly in src/. */
function coreFolderOf(file: string): string | undefined {
  if (!file.startsWith(CORE_SOURCE)) return undefined;
  const parts = file.slice(CORE_SOURCE.length).split('/');
  return parts.length > 1 ? parts[0] : undefined;
}

/** What is wrong with `file` (relative to the repository, with slashes) importing `specifier`; undefined when nothing is. */
export function layerFault(file: string, specifier: string): string | undefined {
  const workspace = workspaceOf(file);
  if (workspace === undefined) return undefined;
  if (specifier.startsWith(SCOPE)) return packageFault(file, workspace, specifier.slice(SCOPE.length));
  if (!specifier.startsWith('.')) return undefined;

  const target = relative(REPOSITORY, resolve(REPOSITORY, dirname(file), specifier))
    .split(sep)
    .join('/');
  if (workspaceOf(target) !== workspace) {
    return `${specifier} leaves ${workspace}: another workspace is imported by its name, ${SCOPE}<name>`;
  }
  const from = coreFolderOf(file);
  const to = coreFolderOf(target);
  if (from === undefined || to === undefined || from === to || isTest(file)) return undefined;
  const allowed = CORE_LAYERS[from];
  if (allowed === undefined) return `${from}/ is not in the layer table (tools/eslint/layer-table.ts)`;
  if (allowed.includes(to)) return undefined;
  return `${from}/ may not import ${to}/: it may import ${allowed.join(', ') || 'no other folder'}`;
}

function packageFault(file: string, workspace: string, imported: string): string | undefined {
  const [name, ...deep] = imported.split('/');
  if (deep.length > 0) return `${SCOPE}${imported} reaches into a package: import ${SCOPE}${name} itself`;
  const allowed = WORKSPACE_LAYERS[workspace];
  if (allowed === undefined) return `${workspace} is not in the layer table (tools/eslint/layer-table.ts)`;
  const isPackage = WORKSPACE_LAYERS[`packages/${name}`] !== undefined;
  const isService = WORKSPACE_LAYERS[`services/${name}`] !== undefined;
  if (isService && allowed.includes(name!)) return undefined;
  if (!isPackage) return `${SCOPE}${name} is no package of the layer table; services are imported by lab alone`;
  if (name === 'testkit' && !isTest(file)) return `${SCOPE}testkit is for tests: nothing that ships imports it`;
  if (allowed.includes(EVERY_PACKAGE) || allowed.includes(name!)) return undefined;
  if (isTest(file) && TEST_PACKAGES.includes(name!)) return undefined;
  return `${workspace} may not import ${SCOPE}${name}: it may import ${allowed.join(', ') || 'no other package'}`;
}

type ImportNode = Parameters<NonNullable<Rule.RuleListener['ImportExpression']>>[0];

export const layers: Rule.RuleModule = {
  meta: {
    type: 'problem',
    docs: { description: 'imports point only where the layer table lets them' },
    messages: { fault: '{{fault}}' },
    schema: [],
  },
  create(context) {
    const file = relative(REPOSITORY, context.filename).split(sep).join('/');
    const check = (source: ImportNode['source'] | null | undefined): void => {
      if (source?.type !== 'Literal' || typeof source.value !== 'string') return;
      const fault = layerFault(file, source.value);
      if (fault !== undefined) context.report({ node: source, messageId: 'fault', data: { fault } });
    };
    return {
      ImportDeclaration: (node) => check(node.source),
      ExportNamedDeclaration: (node) => check(node.source),
      ExportAllDeclaration: (node) => check(node.source),
      ImportExpression: (node) => check(node.source),
    };
  },
};
