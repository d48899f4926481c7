/** What `pnpm build` leaves behind, and whether it is of today's sources. */
export { builtFrom } from './programs.ts';
export { areUnchanged, sourcesOf, type Sources } from './sources.ts';
