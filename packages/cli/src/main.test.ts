/** What a start of the program loads: a person waits for it, and a script that starts it a hundred times too. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
/** Tells on standard error of each module that is loaded. */
const TELL = `
import { registerHooks } from 'node:module';
registerHooks({ load(url, context, next) { process.stderr.write(url + '\\n'); return next(url, context); } });
`;

it('the machine, whose modules are more than all others, is not loaded for commands that do without', () => {
  const args = ['--import', `data:text/javascript,${encodeURIComponent(TELL)}`, MAIN, 'run', '--help'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(status).toBe(0);
  expect(stdout).toContain('tomei run');
  const loaded = stderr.split('\n');
  expect(loaded.some((url) => url.endsWith('/cli/src/program.ts'))).toBe(true);
  expect(loaded.filter((url) => url.includes('/paravirt-core/'))).toEqual([]);
});
