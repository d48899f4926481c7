import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync, appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RECIPES_FOLDER, loadRecipe, recipeNames } from './recipe.ts';
import { builtFiles, guestFiles } from './files.ts';
import { buildState, writeStamp } from './stamp.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tomei-recipe-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A copy of a recipe of this checkout, changed. */
const changed = (change: (recipe: Record<string, unknown>) => void): string => {
  cpSync(join(RECIPES_FOLDER, 'tiny'), join(folder, 'tiny'), { recursive: true });
  const path = join(folder, 'tiny/recipe.json');
  const recipe = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  change(recipe);
  writeFileSync(path, JSON.stringify(recipe));
  return folder;
};

describe('loadRecipe', () => {
  test.each(recipeNames())('the recipe %s of this checkout is valid', (name) => {
    expect(loadRecipe(name).recipe.memoryMiB).toBeGreaterThan(0);
  });

  test.each<[string, (recipe: Record<string, unknown>) => void, RegExp]>([
    ['a missing field', (r) => delete r['memoryMiB'], /memoryMiB is not a positive whole number/],
    ['a field that nobody reads', (r) => (r['memroy'] = 1), /memroy is not known/],
    ['a wrong kind deep inside', (r) => ((r['disk'] as Record<string, unknown>)['sizeMiB'] = '64'), /disk\.sizeMiB/],
    ['a kind that there is not', (r) => (r['kind'] = 'image'), /kind is not one of direct, installation/],
    ['a list that is none', (r) => (r['packages'] = 'busybox'), /packages is not a list/],
  ])('refuses %s, naming file and field', (_, change, reason) => {
    const recipes = changed(change);

    expect(() => loadRecipe('tiny', recipes)).toThrow(reason);
    expect(() => loadRecipe('tiny', recipes)).toThrow(/tiny\/recipe\.json/);
  });

  test.each(['nope', '../tiny', '', '/etc'])('refuses the name %j and says which there are', (name) => {
    expect(() => loadRecipe(name)).toThrow(/known are: .*tiny/);
  });

  test('another file in the folder is another fingerprint', () => {
    const recipes = changed(() => undefined);
    const before = loadRecipe('tiny', recipes).fingerprint;

    appendFileSync(join(recipes, 'tiny/root/etc/motd'), 'hello\n');

    expect(loadRecipe('tiny', recipes).fingerprint).not.toBe(before);
  });
});

describe('buildState', () => {
  const built = (recipes: string): string => {
    const recipe = loadRecipe('tiny', recipes);
    for (const file of builtFiles(guestFiles(recipe))) writeFileSync(join(folder, file), 'x');
    writeStamp(folder, recipe, []);
    return folder;
  };

  test('a folder that lacks a file is absent', () => {
    expect(buildState(folder, loadRecipe('tiny'))).toBe('absent');
  });

  test('what the recipe would make again is current, even when the guest has written to its disk', () => {
    const out = built(changed(() => undefined));
    appendFileSync(join(out, 'tiny.vmdk'), 'a file');

    expect(buildState(out, loadRecipe('tiny', folder))).toBe('current');
  });

  test('after a change of the recipe an untouched disk is outdated, a written one is somebody’s work', () => {
    const out = built(changed(() => undefined));
    appendFileSync(join(folder, 'tiny/root/etc/motd'), 'hello\n');

    expect(buildState(out, loadRecipe('tiny', folder))).toBe('outdated');
    appendFileSync(join(out, 'tiny.vmdk'), 'a file');
    expect(buildState(out, loadRecipe('tiny', folder))).toBe('outdated-used');
  });

  test('a stamp that cannot be read counts as somebody’s work', () => {
    const out = built(changed(() => undefined));
    writeFileSync(join(out, 'build.json'), '{');

    expect(buildState(out, loadRecipe('tiny', folder))).toBe('outdated-used');
  });
});
