/** A recipe says what a guest is made of: `deploy/guests/<name>/recipe.json`, with what goes into the guest beside it. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TomeiError, messageOf } from '@tomei/kit';

interface CommonRecipe {
  readonly displayName: string;
  readonly description: string;
  /** VMware's name of the system, e.g. 'debian12'. */
  readonly guestOS: string;
  readonly memoryMiB: number;
  /** Debian packages of architecture i386: to unpack, or to install with all that they depend on. */
  readonly packages: readonly string[];
  readonly disk: { readonly sizeMiB: number; readonly label: string; readonly uuid: string };
}
/** A kernel and an initrd that are started directly, and a disk that is one file system; a few packages, unpacked. */
export interface DirectRecipe extends CommonRecipe {
  readonly kind: 'direct';
  readonly commandLine: string;
  readonly kernel: {
    /** The package that depends on the current kernel's package. */
    readonly dependencyOf: string;
    /** Modules that the initrd loads; what they depend on is added. */
    readonly modules: readonly string[];
    /** Modules on the root disk, for modprobe. */
    readonly diskModules: readonly string[];
  };
  readonly busybox: {
    /** Where it lies in the unpacked packages. */
    readonly from: string;
    /** Names under which it is called, in the initrd and on the root disk. */
    readonly initrd: readonly string[];
    readonly root: readonly string[];
  };
}
/** A whole Debian on a partition, installed package by package, that boots by itself: GRUB is in the disk's first sectors. */
export interface InstallationRecipe extends CommonRecipe {
  readonly kind: 'installation';
  /** The release's code name, e.g. 'bookworm'. */
  readonly suite: string;
}
export type Recipe = DirectRecipe | InstallationRecipe;

/** A recipe with the folder that it was read from. */
export interface LoadedRecipe<R extends Recipe = Recipe> {
  readonly name: string;
  readonly folder: string;
  readonly recipe: R;
  /** SHA-256 over every file of the folder: another fingerprint means another guest. */
  readonly fingerprint: string;
}

/** The recipes of this checkout. */
export const RECIPES_FOLDER = fileURLToPath(new URL('../../../../deploy/guests/', import.meta.url));

type Shape = 'text' | 'count' | 'words' | { readonly [key: string]: Shape };
const COMMON_SHAPE: Readonly<Record<string, Shape>> = {
  kind: 'text',
  displayName: 'text',
  description: 'text',
  guestOS: 'text',
  memoryMiB: 'count',
  packages: 'words',
  disk: { sizeMiB: 'count', label: 'text', uuid: 'text' },
};
const SHAPES: Readonly<Record<string, Shape>> = {
  direct: {
    ...COMMON_SHAPE,
    commandLine: 'text',
    kernel: { dependencyOf: 'text', modules: 'words', diskModules: 'words' },
    busybox: { from: 'text', initrd: 'words', root: 'words' },
  },
  installation: { ...COMMON_SHAPE, suite: 'text' },
};

/** What is wrong with a recipe, or undefined. */
function recipeFault(raw: unknown): string | undefined {
  const kind = typeof raw === 'object' && raw !== null && 'kind' in raw ? raw.kind : undefined;
  const shape = typeof kind === 'string' && Object.hasOwn(SHAPES, kind) ? SHAPES[kind] : undefined;
  if (shape === undefined) return `kind is not one of ${Object.keys(SHAPES).join(', ')}`;
  return fault(raw, shape, '');
}

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
  const why = recipeFault(raw);
  if (why !== undefined) throw new TomeiError('recipe.invalid', `${path}: ${why}`);

  const hash = createHash('sha256');
  for (const file of filesBelow(folder)) {
    hash
      .update(`${file.slice(folder.length)}\0${statSync(file).mode & 0o100 ? 'x' : '-'}\0`)
      .update(readFileSync(file));
  }
  return { name, folder, recipe: raw as Recipe, fingerprint: hash.digest('hex') };
}
