/** Which kernel modules to load, and in what order, from the `modules.dep` that depmod writes (modules.dep(5)). */
import { TomeiError } from '@tomei/kit';

/** The kernel takes '-' and '_' in module names for the same. */
const nameOf = (path: string): string =>
  path
    .split('/')
    .at(-1)!
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');

/**
 * Paths of the wanted modules and of all that they need, each after what it needs itself. A line of `modules.dep` is
 * `path: dependency dependency ...` with the modules to load first at its end. Throws `kernel.module-missing`.
 */
export function moduleLoadOrder(modulesDep: string, wanted: readonly string[]): string[] {
  const known = new Map<string, { path: string; needs: string[] }>();
  for (const line of modulesDep.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const path = line.slice(0, colon);
    const needs = line.slice(colon + 1).split(' ');
    known.set(nameOf(path), { path, needs: needs.filter((need) => need !== '').reverse() });
  }
  const order = new Set<string>();
  for (const name of wanted) {
    const module = known.get(nameOf(name));
    if (module === undefined) {
      throw new TomeiError('kernel.module-missing', `the kernel package has no module ${name}`, { data: { name } });
    }
    for (const path of [...module.needs, module.path]) order.add(path);
  }
  return [...order];
}
