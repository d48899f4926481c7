/** Regions to a WebAssembly module with a function (left, entrance) -> REGION for each. */
import { ImportList, importName, type ServiceImport } from '../core/interpreter/generate.ts';
import { FLAT_SERVICES } from '../core/interpreter/flat-services.ts';
import { HANDLED_SIGNATURE } from '../core/interpreter/leaving.ts';
import { ModuleBuilder } from '../wasm/module.ts';
import type { Place, Region } from './region.ts';
import { FIXED_IMPORTS, RegionWriter, type Target } from './region-writer.ts';
import { NEEDS_WORDS } from './unsupported.ts';

export interface Translation {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What must be given as `env.<name>`, besides memory, `env.look`, `env.chain`, `env.handled`, `env.loadSegment` and `env.odd`. */
  readonly imports: readonly ServiceImport[];
  /** Bytes of each region's code. */
  readonly sizes: readonly number[];
}

/** Types of functions, the first of a module: `HANDLER_TYPE` and `REGION_TYPE` of region-writer.ts. */
const HANDLER = 'i:i',
  ENTERED = 'ii:i';

/** A module with one function for each region, exported as '0', '1' and so on. */
export function translate(regions: readonly Region[], target: Target): Translation {
  const imports = new ImportList(FIXED_IMPORTS);
  const functions = regions.map((region) => written(region, target, imports));
  const module = new ModuleBuilder();
  module.type(HANDLER);
  module.type(ENTERED);
  module.importFunction('look', 'ii:i');
  module.importFunction('chain', 'ii:i');
  module.importFunction('handled', HANDLED_SIGNATURE);
  module.importFunction('loadSegment', FLAT_SERVICES.loadSegment);
  module.importFunction('odd', 'i:');
  for (const each of imports.list) module.importFunction(importName(each), `${each.parameters}:i`);
  module.importTable('handlers');
  module.importTable('regions');
  functions.forEach(({ locals, code }, i) => module.function(ENTERED, locals, code, String(i)));
  return { bytes: module.bytes(), imports: imports.list, sizes: functions.map(({ code }) => code.length) };
}

/** A function, written anew where it turned out that a block needs what it was not given. */
function written(region: Region, target: Target, imports: ImportList): ReturnType<RegionWriter['write']> {
  const needingWords = new Set<Place>();
  for (;;) {
    const writer = new RegionWriter(region, target, imports, needingWords);
    try {
      return writer.write();
    } catch (error) {
      if (error !== NEEDS_WORDS) throw error;
      // A shift by 0 sets no flags, for one, though its form says so.
      for (const at of writer.chain()) needingWords.add(at);
    }
  }
}
