/** Where everything lies in the one linear memory of a guest. */
import { CODE_TLB_BYTES, CPU_BLOCK, JUMP_BYTES, JUMP_SITES_BYTES, TLB_BYTES, cpuBlock } from './layout.ts';
import { PAGE_MAP_BYTES } from './code-cache.ts';

const WASM_PAGE = 65536;
const MAP_COUNT = 2048;
const RECORD_AREA = 48 << 20;
/** Room for the BIOS: the largest that SeaBIOS is built in, with as much to spare. */
export const ROM_BYTES = 512 << 10;

/** What devices share for data between the I/O side and their registers (`Host.staging`). */
export const STAGING_BYTES = 256 << 10;

/** Where the cache of decoded code lies in linear memory. */
export interface CodeCachePlan {
  readonly codeTlb: number;
  /** The cache of jumps. */
  readonly jumps: number;
  /** Where indirect jumps went (`jumpSite`). */
  readonly jumpSites: number;
  /** One page map that is always zero: pages whose code is decoded anew each time. */
  readonly emptyMap: number;
  readonly maps: number;
  readonly mapCount: number;
  readonly records: number;
  readonly recordBytes: number;
}

export interface MemoryPlan {
  readonly cpus: readonly { readonly tlb: number; readonly code: CodeCachePlan }[];
  readonly videoMemory: number;
  readonly videoMemoryBytes: number;
  /** Of the paravirtual GPU; nothing in a machine without one. */
  readonly gpuMemory: number;
  readonly gpuMemoryBytes: number;
  /** Guest-physical 0. */
  readonly ram: number;
  readonly ramBytes: number;
  /** Staging memory lies directly behind RAM: one window shows the I/O side both. */
  readonly stagingBytes: number;
  /** `ROM_BYTES` of firmware. */
  readonly rom: number;
  readonly wasmPages: number;
}

/** Lays out processors' tables, video memory and RAM. Sizes are multiples of 4096 bytes. Throws RangeError above 4 GiB. */
export function planMemory(options: {
  processors: number;
  ramBytes: number;
  videoMemoryBytes: number;
  gpuMemoryBytes?: number | undefined;
}): MemoryPlan {
  const { processors, ramBytes, videoMemoryBytes, gpuMemoryBytes = 0 } = options;
  if (cpuBlock(processors - 1) + CPU_BLOCK > WASM_PAGE)
    throw new RangeError(`${processors} processors do not fit into 64 KiB`);
  let at = WASM_PAGE;
  const take = (bytes: number): number => {
    const start = at;
    at += Math.ceil(bytes / 4096) * 4096;
    return start;
  };
  const cpus = Array.from({ length: processors }, () => ({
    tlb: take(TLB_BYTES),
    code: {
      codeTlb: take(CODE_TLB_BYTES),
      jumps: take(JUMP_BYTES),
      jumpSites: take(JUMP_SITES_BYTES),
      emptyMap: take(PAGE_MAP_BYTES),
      maps: take(MAP_COUNT * PAGE_MAP_BYTES),
      mapCount: MAP_COUNT,
      records: take(RECORD_AREA),
      recordBytes: RECORD_AREA,
    },
  }));
  const videoMemory = take(videoMemoryBytes),
    ram = take(ramBytes + STAGING_BYTES),
    rom = take(ROM_BYTES),
    gpuMemory = take(gpuMemoryBytes);
  const wasmPages = Math.ceil(at / WASM_PAGE);
  if (wasmPages > 65536) throw new RangeError(`a guest of ${ramBytes} bytes does not fit into 4 GiB`);
  const video = { videoMemory, videoMemoryBytes, gpuMemory, gpuMemoryBytes };
  return { cpus, ...video, ram, ramBytes, stagingBytes: STAGING_BYTES, rom, wasmPages };
}

/** The shared memory of a plan, zeroed. */
export function allocateMemory(plan: MemoryPlan): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: plan.wasmPages, maximum: plan.wasmPages, shared: true });
}
