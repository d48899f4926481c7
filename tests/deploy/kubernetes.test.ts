/** The manifests of deploy/k8s: what kustomize makes of them is what the Kubernetes API takes, without a server to ask. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { REPOSITORY, SERVICES, settingsOf, type ServiceName } from './settings.ts';

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: { readonly template?: { readonly spec: { readonly containers: readonly Container[] } } };
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly { readonly name: string }[];
  readonly securityContext?: unknown;
}

const hasKubectl = spawnSync('kubectl', ['version', '--client']).error === undefined;
const render = (): Manifest[] =>
  parseAllDocuments(execFileSync('kubectl', ['kustomize', join(REPOSITORY, 'deploy/k8s')], { encoding: 'utf8' })).map(
    (document) => document.toJS() as Manifest,
  );

/** The module of kubernetes-models that has a manifest's type: `apps/v1` and `v1`, `networking.k8s.io/v1`. */
const moduleOf = ({ apiVersion, kind }: Manifest): string => `kubernetes-models/${apiVersion}/${kind}`;
const title = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;

describe.skipIf(!hasKubectl)(`deploy/k8s${hasKubectl ? '' : ' (skipped: no kubectl)'}`, () => {
  const manifests = hasKubectl ? render() : [];
  // Inside the repository, so that the compiler finds the models.
  const folder = mkdtempSync(join(import.meta.dirname, '.types-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('has a workload for each service, and for NATS and Redis', () => {
    const workloads = manifests.filter((m) => m.kind === 'Deployment' || m.kind === 'StatefulSet');

    expect(workloads.map((m) => m.metadata.name).toSorted()).toEqual([...SERVICES, 'nats', 'redis'].toSorted());
  });

  test.each(manifests.map((m) => [title(m), m] as const))('%s fits its schema', async (_, manifest) => {
    const models = (await import(moduleOf(manifest))) as Record<string, new (data: unknown) => { validate(): void }>;

    new models[manifest.kind]!(manifest).validate();
  });

  test('nothing is in a manifest that the API does not know', () => {
    // A schema lets unknown fields pass; the compiler does not, in a literal.
    const types = [...new Set(manifests.map(moduleOf))];
    const name = (module: string): string => `T${types.indexOf(module)}`;
    const text = [
      ...types.map((module) => `import type { I${module.split('/').at(-1)} as ${name(module)} } from '${module}';`),
      ...manifests.map((m, i) => `export const m${i}: ${name(moduleOf(m))} = ${JSON.stringify(m)};`),
    ].join('\n');
    writeFileSync(join(folder, 'manifests.ts'), text);
    writeFileSync(join(folder, 'wrong.ts'), text.replace('"containerPort"', '"containerPrt"'));
    const options = { noEmit: true, strict: true, skipLibCheck: true, module: 'nodenext', target: 'es2022', types: [] };
    const compile = (file: string): string => {
      const config = join(folder, `${file}.json`);
      writeFileSync(config, JSON.stringify({ compilerOptions: options, files: [file] }));
      return spawnSync(join(REPOSITORY, 'node_modules/.bin/tsc'), ['-p', config], { encoding: 'utf8' }).stdout;
    };

    expect(compile('manifests.ts')).toBe('');
    expect(compile('wrong.ts')).toContain('containerPrt');
  });

  test.each(SERVICES)('%s is told only what it knows, and runs without privileges', (service: ServiceName) => {
    const workload = manifests.find((m) => m.metadata.name === service && m.spec?.template !== undefined);
    const [container] = workload!.spec!.template!.spec.containers;

    expect(settingsOf(service)).toEqual(expect.arrayContaining((container!.env ?? []).map(({ name }) => name)));
    expect(container!.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });
});
