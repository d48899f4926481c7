/** One linter: TypeScript's own mistakes, promises that nobody waits for, the layer table, and the sizes of files. */
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';
import { layers } from './tools/eslint/layers.ts';
import { createNoCycles } from './tools/eslint/no-cycles.ts';

const MAX_LINES = 500;

export default defineConfig(
  globalIgnores([
    '**/node_modules/',
    'guests/',
    'artefacts/',
    '**/dist/',
    '**/gen/',
    '**/*.gen.ts',
    '**/vectors/',
    // AssemblyScript, which looks like TypeScript and is not.
    'packages/paravirt-core/src/numerics/assembly/',
  ]),
  tseslint.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { tomei: { rules: { layers, 'no-cycles': createNoCycles() } } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'tomei/layers': 'error',
      'tomei/no-cycles': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
      'no-control-regex': 'error',
      'prefer-const': 'error',
      'max-lines': ['error', { max: MAX_LINES }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Export by name: then it is called the same everywhere.' },
      ],
      // The compiler finds these, with the project's own settings.
      '@typescript-eslint/no-unused-vars': 'off',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
      '@typescript-eslint/require-await': 'error',
    },
  },
  {
    files: ['**/*.test.ts', 'packages/paravirt-core/src/isa/instructions/**'],
    rules: { 'max-lines': 'off' },
  },
  {
    // Programs that are run by hand or by a build, and tests, print what they did.
    files: ['tools/**', 'tests/**', '**/*.test.ts', '**/build.ts', '**/verify.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    // Configuration files export what their tool looks for.
    files: ['**/*.config.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
);
