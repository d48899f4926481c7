/** Makes programs out of the sources, into `dist/`. Run as part of `pnpm build`. */
import { buildPrograms } from './bundle.ts';

await buildPrograms();
