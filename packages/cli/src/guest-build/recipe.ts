/** A recipe says what a guest is made of: `deploy/guests/<name>/recipe.json`, with the folders `initrd/` and `root/` beside it. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TomeiError, messageOf } from '@tomei/kit';

export interface Recipe {
  readonly displayName: string;
  readonly description: string;
  /** VMware's name of the system, e.g. 'debian12'. */
  readonly guestOS: string;
  readonly memoryMiB: number;
  readonly commandLine: string;
  /** Debian packages to unpack, of architecture i386. */
  readonly packages: readonly string[];
  readonly kernel: {
    /** The package that depends on the current kernel's package. */
    readonly dependencyOf: string;
    /** Modules that the initrd loads; what they depend on is added. */
    readonly modules: readonly string[];
  };
  readonly busybox: {
    /** Where it lies in the unpacked packages. */
    readonly from: string;
    /** Names under which it is called, in the initrd and on the root disk. */
    readonly initrd: readonly string[];
    readonly root: readonly string[];
  };
  readonly disk: { readonly sizeMiB: number; readonly label: string; readonly uuid: string };
}

/** A recipe with the folder that it was read from. */
export interface LoadedRecipe {
  readonly name: string;
  readonly folder: string;
  readonly recipe: Recipe;
  /** SHA-256 over every file of the folder: another fingerprint means another guest. */
  readonly fingerprint: string;
}

/** The recipes of this checkout. */
export const RECIPES_FOLDER = fileURLToPath(new URL('../../../../deploy/guests/', import.meta.url));

type Shape = 'text' | 'count' | 'words' | { readonly [key: string]: Shape };
const RECIPE_SHAPE: Shape = {
  displayName: 'text',
  description: 'text',
  guestOS: 'text',
  memoryMiB: 'count',
  commandLine: 'text',
  packages: 'words',
  kernel: { dependencyOf: 'text', modules: 'words' },
  busybox: { from: 'text', initrd: 'words', root: 'words' },
  disk: { sizeMiB: 'count', label: 'text', uuid: 'text' },
};

/** What is wrong with a value, with the name of the field, or undefined. */
function fault(value: unknown, shape: Shape, field: string): string | undefined {
  if (shape === 'text') return typeof value === 'string' && value !== '' ? undefined : `${field} is not a text`;
  if (shape === 'count') {
    return Number.isSafeInteger(value) && (value as number) > 0 ? undefined : `${field} is not a positive whole number`;
  }
  if (shape === 'words') {
    return Array.isArray(value) && value.every((word) => typeof word === 'string' && word !== '')
      ? undefined
      : `${field} is not a list of words`;
  }
  if (typeof value !== 'object' || value === null) return `${field || 'the recipe'} is not an object`;
  const at = (key: string): string => (field === '' ? key : `${field}.${key}`);
  for (const key of Object.keys(value)) if (!Object.hasOwn(shape, key)) return `${at(key)} is not known`;
  for (const [key, inner] of Object.entries(shape)) {
    const why = fault((value as Record<string, unknown>)[key], inner, at(key));
    if (why !== undefined) return why;
  }
  return undefined;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? filesBelow(path) : [path];
    });
}

/** Names of the recipes that there are. */
export const recipeNames = (recipes = RECIPES_FOLDER): string[] =>
  existsSync(recipes) ? readdirSync(recipes).filter((name) => existsSync(join(recipes, name, 'recipe.json'))) : [];

/** Reads a recipe. Throws `recipe.unknown` or `recipe.invalid`, naming the file and the field. */
export function loadRecipe(name: string, recipes = RECIPES_FOLDER): LoadedRecipe {
  const folder = join(recipes, name);
  const path = join(folder, 'recipe.json');
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name) || !existsSync(path)) {
    const known = recipeNames(recipes).join(', ');
    throw new TomeiError('recipe.unknown', `there is no recipe for a guest named "${name}"; known are: ${known}`);
  }
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new TomeiError('recipe.invalid', `${path}: ${messageOf(cause)}`, { cause });
  }
  const why = fault(raw, RECIPE_SHAPE, '');
  if (why !== undefined) throw new TomeiError('recipe.invalid', `${path}: ${why}`);

  const hash = createHash('sha256');
  for (const file of filesBelow(folder)) {
    hash
      .update(`${file.slice(folder.length)}\0${statSync(file).mode & 0o100 ? 'x' : '-'}\0`)
      .update(readFileSync(file));
  }
  return { name, folder, recipe: raw as Recipe, fingerprint: hash.digest('hex') };
}
