/** The parts of making guests that other work on this repository uses: the benchmark's guest is made with them. */
export { PrivateApt } from './guest-build/apt.ts';
export { cpio } from './guest-build/cpio.ts';
export { Tree } from './guest-build/tree.ts';
export { cacheFolder } from './host/folders.ts';
export { runTool } from './host/tool.ts';
