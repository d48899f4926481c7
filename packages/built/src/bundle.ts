/** Makes programs out of the sources. */
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown, type Plugin, type RolldownOutput } from 'rolldown';
import { BUILT, MANIFEST, REPOSITORY, type Manifest } from './programs.ts';
import { sourcesOf } from './sources.ts';

/** This one looks itself whether what was made of the rest is of today's sources. */
const FIRST = 'packages/cli/src/start.ts';
/** What each program, and each thread of one, starts with. */
export const PROGRAMS: Readonly<Record<string, string>> = {
  tomei: FIRST,
  program: 'packages/cli/src/start-program.ts',
  'io-thread': 'packages/guest/src/io-thread.ts',
  'vcpu-thread': 'packages/guest/src/vcpu-start.ts',
  'translator-thread': 'packages/paravirt-core/src/jit/translator-thread.ts',
};
const SOURCE_NAMES = fileURLToPath(new URL('source-names.ts', import.meta.url));
const ROOT = fileURLToPath(REPOSITORY);

const isPackaged = (id: string): boolean => id.includes(`${sep}node_modules${sep}`);
const isOurs = (id: string): boolean => id.startsWith(ROOT) && !isPackaged(id);

/** Stays in its package, so that nothing of it is there twice; it is found where Node finds it from the source. */
const packagesStay = (out: string): Plugin => ({
  name: 'packages-stay',
  async resolveId(name, importer) {
    if (importer === undefined || /^(?:[./]|node:)/.test(name)) return null;
    const found = await this.resolve(name, importer, { skipSelf: true });
    if (found === null || !isPackaged(found.id)) return found;
    const packageName = name.split('/', name.startsWith('@') ? 2 : 1).join('/'),
      inside = `${sep}node_modules${sep}${packageName}${sep}`;
    const file = found.id.slice(found.id.lastIndexOf(inside) + inside.length);
    let folder = dirname(importer);
    while (!existsSync(join(folder, 'node_modules', packageName))) {
      if (folder === dirname(folder)) throw new Error(`${importer}: there is no package ${packageName}`);
      folder = dirname(folder);
    }
    return { id: relative(out, join(folder, 'node_modules', packageName, file)), external: true };
  },
});

/**
 * What a module finds beside itself it finds beside its source, but for threads and processes: those of a built program are what was
 * built with it.
 */
const placesStay = (out: string): Plugin => ({
  name: 'places-stay',
  transform(code, id) {
    // That one asks where the program is.
    if (!isOurs(id) || id === SOURCE_NAMES) return null;
    const source = relative(ROOT, id),
      isFirst = this.getModuleInfo(id)?.isEntry === true,
      place = JSON.stringify(relative(out, id));
    if (!isFirst && !code.includes('import.meta.')) return null;
    const beside = (path: string): string | undefined =>
      source === FIRST
        ? undefined
        : Object.entries(PROGRAMS).find(([, each]) => join(ROOT, each) === resolve(dirname(id), path))?.[0];
    const placed = code
      .replaceAll(/new URL\('(\.[^']+)', import\.meta\.url\)/g, (all, path: string) => {
        const name = beside(path);
        return name === undefined ? all : `new URL('./${name}.js', HERE)`;
      })
      .replaceAll('import.meta.url', `new URL(${place}, HERE).href`)
      .replaceAll('import.meta.dirname', `new URL(${place} + '/..', HERE).pathname`)
      .replaceAll(/\bHERE\b/g, 'import.meta.url');
    // Lines stay what they are: no map is needed.
    const first = isFirst ? `import ${JSON.stringify(SOURCE_NAMES)}; ` : '';
    return { code: first + placed, map: null };
  },
});

/** One program by itself: threads share no modules, and the fewer files one has, the sooner it is loaded. */
async function bundled(name: string, start: string, out: string): Promise<RolldownOutput['output'][number][]> {
  const bundle = await rolldown({
    cwd: ROOT,
    platform: 'node',
    input: { [name]: join(ROOT, start) },
    plugins: [packagesStay(out), placesStay(out)],
    tsconfig: false,
    checks: { pluginTimings: false },
  });
  const { output } = await bundle.write({
    dir: out,
    format: 'esm',
    sourcemap: true,
    chunkFileNames: `${name}-[name]-[hash].js`,
  });
  await bundle.close();
  return output;
}

/** Writes all programs, and what says that they are there at last. */
export async function buildPrograms(starts = PROGRAMS, folder = BUILT): Promise<void> {
  const out = fileURLToPath(folder),
    manifestFile = new URL(MANIFEST, folder),
    last = existsSync(manifestFile) ? (JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest).files : [];
  rmSync(manifestFile, { force: true });
  const output = (await Promise.all(Object.entries(starts).map(([name, start]) => bundled(name, start, out)))).flat();
  const modules = new Set(output.flatMap((file) => (file.type === 'chunk' ? Object.keys(file.modules) : []))),
    sources = [...modules].filter(isOurs).map((id) => relative(ROOT, id)),
    packages = new Set(sources.map((source) => `${source.split('/', 2).join('/')}/package.json`));
  const ours = ['programs.ts', 'sources.ts', 'bundle.ts'].map((file) => `packages/built/src/${file}`);
  const manifest: Manifest = {
    sources: sourcesOf(REPOSITORY, new Set([...sources, ...packages, ...ours])),
    programs: Object.fromEntries(Object.entries(starts).map(([name, source]) => [source, `${name}.js`])),
    files: output.map(({ fileName }) => fileName),
  };
  // Programs that are running may still load what the last build has made, not what came before.
  const kept = new Set([...last, ...manifest.files]);
  for (const file of readdirSync(folder)) if (!kept.has(file)) rmSync(new URL(file, folder), { force: true });
  const temporary = new URL(`programs.${process.pid}.tmp`, folder);
  writeFileSync(temporary, JSON.stringify(manifest));
  renameSync(temporary, manifestFile);
}
