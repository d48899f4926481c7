import { readdirSync } from 'node:fs';
import { ESLint } from 'eslint';
import { describe, expect, test } from 'vitest';
import { CORE_LAYERS, WORKSPACE_LAYERS } from './layer-table.ts';
import { layerFault } from './layers.ts';

const CORE = 'packages/paravirt-core/src';

describe('layerFault', () => {
  test.each([
    ['packages/kit/src/pod.ts', './errors.ts'],
    ['packages/vmx/src/load.ts', '@tomei/kit'],
    ['packages/vmx/src/load.ts', 'node:fs'],
    ['packages/cli/src/program.ts', '@tomei/paravirt-core'],
    ['packages/vmx/src/load.test.ts', '@tomei/testkit'],
    ['services/controller/src/main.ts', '@tomei/vmx'],
    ['tests/guests/boot.test.ts', '@tomei/paravirt-core'],
    [`${CORE}/index.ts`, './vm/machine.ts'],
    [`${CORE}/core/interpreter/emit.ts`, '../../isa/build.ts'],
    [`${CORE}/devices/virtio/blk.ts`, '../../machine/device.ts'],
    [`${CORE}/devices/vga.ts`, '../display/frame.ts'],
    [`${CORE}/vm/machine.ts`, '../devices/vga.ts'],
    [`${CORE}/devices/vga.test.ts`, '../vm/machine.ts'],
    ['tools/setup.ts', '../packages/cli/src/host/debian-packages.ts'],
    ['services/lab/src/lab.ts', '@tomei/controller'],
    ['packages/cli/src/commands/lab.ts', '@tomei/lab'],
  ])('lets %s import %s', (file, specifier) => {
    expect(layerFault(file, specifier)).toBeUndefined();
  });

  test.each([
    ['packages/kit/src/pod.ts', '@tomei/vmx', /may import no other package/],
    ['packages/vmx/src/load.ts', '@tomei/vmdk', /may not import @tomei\/vmdk/],
    ['packages/vmx/src/load.ts', '@tomei/testkit', /nothing that ships/],
    ['packages/cli/src/program.ts', '@tomei/vmx/src/load.ts', /reaches into a package/],
    ['packages/cli/src/program.ts', '../../vmx/src/load.ts', /leaves packages\/cli/],
    ['packages/cli/src/program.ts', '../../../tools/setup.ts', /leaves packages\/cli/],
    ['services/controller/src/main.ts', '@tomei/vcpu-runner', /imported by lab alone/],
    ['packages/cli/src/program.ts', '@tomei/controller', /imported by lab alone/],
    ['services/controller/src/main.ts', '../../vcpu-runner/src/main.ts', /leaves services\/controller/],
    ['packages/newcomer/src/main.ts', '@tomei/kit', /not in the layer table/],
    [`${CORE}/isa/build.ts`, '../core/decode.ts', /isa\/ may not import core\//],
    [`${CORE}/core/paging.ts`, '../machine/board.ts', /core\/ may not import machine\//],
    [`${CORE}/devices/vga.ts`, '../vm/machine.ts', /devices\/ may not import vm\//],
    [`${CORE}/devices/virtio/blk.ts`, '../../core/layout.ts', /devices\/ may not import core\//],
    [`${CORE}/firmware/elf.ts`, '../devices/vga.ts', /firmware\/ may not import devices\//],
    [`${CORE}/newcomer/x.ts`, '../isa/build.ts', /newcomer\/ is not in the layer table/],
  ])('refuses that %s imports %s', (file, specifier, reason) => {
    expect(layerFault(file, specifier)).toMatch(reason);
  });
});

test('the linter, as configured, catches a forbidden import of every kind', async () => {
  const eslint = new ESLint({
    // One file that is not on the disk: without type information, which needs files on the disk.
    overrideConfig: { files: ['**/*.ts'], languageOptions: { parserOptions: { projectService: false } } },
    ruleFilter: ({ ruleId }) => ruleId === 'tomei/layers',
  });
  const text = [
    "import { a } from '../vm/a.ts';",
    "export { b } from '../vm/b.ts';",
    "export * from '../vm/c.ts';",
    "const d = import('../vm/d.ts');",
    "import type { E } from '../vm/e.ts';",
    "import { f } from '../machine/f.ts';",
  ].join('\n');

  const [result] = await eslint.lintText(text, { filePath: `${CORE}/devices/forbidden.ts` });

  expect(result?.messages.map(({ ruleId, line }) => [ruleId, line])).toEqual(
    [1, 2, 3, 4, 5].map((line) => ['tomei/layers', line]),
  );
});

test('the layer table has every workspace and every folder of the core that there is', () => {
  const folders = (path: string): string[] =>
    readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);

  expect(Object.keys(CORE_LAYERS)).toEqual(expect.arrayContaining(folders(CORE)));
  expect(Object.keys(WORKSPACE_LAYERS)).toEqual(
    expect.arrayContaining(folders('packages').map((name) => `packages/${name}`)),
  );
});
