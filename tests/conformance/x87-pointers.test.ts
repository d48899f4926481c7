/**
 * What the x87 unit remembers of its last instruction: FIP and FOP against the processor of this machine. Its CPUID may say that FCS and
 * FDS are gone and that FDP is kept for unmasked exceptions only (leaf 7); ours says neither, so those two are held against the manual
 * where no such exception waits (SDM vol. 1, 8.1.8).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE_CODE_ADDRESS, cpuCase } from './base-case.ts';
import { MEMORY, SELECTORS, type CpuUnderTest } from './case.ts';
import { interpreterCpu } from './engines/interpreter.ts';
import { oracleCpu } from './engines/oracle.ts';
import { fxImage } from './fxsave.ts';
import { HostCpu } from './host/host-cpu.ts';
import { f80Bytes, littleEndian } from './operands.ts';

const OPERAND = MEMORY.data.address + 0x140,
  AREA = MEMORY.data.address + 0x200;
const at = [...littleEndian(OPERAND, 4)];
/** FNSTENV [AREA], which itself is not remembered. */
const STORE = [0xd9, 0x35, ...littleEndian(AREA, 4)];
/** ZE not masked, and all masked. */
const CONTROLS = { masked: 0x37f, unmasked: 0x37b } as const;
const ONE = f80Bytes(0, 0x3fff, 1n << 63n),
  ZERO = new Uint8Array(10);
const DIVISION = [0xd8, 0xf1],
  DIVISION_BY_MEMORY = [0xd8, 0x35, ...at],
  DIVISIONS: readonly (readonly number[])[] = [DIVISION, DIVISION_BY_MEMORY];

const PROGRAMS: readonly (readonly [name: string, code: readonly number[]])[] = [
  ['nothing', [0x90]],
  ['fld1', [0xd9, 0xe8]],
  ['fld m32', [0xd9, 0x05, ...at]],
  ['a prefixed fld m32', [0x66, 0x36, 0xd9, 0x05, ...at]],
  ['fld m32; fld1', [0xd9, 0x05, ...at, 0xd9, 0xe8]],
  ['fist m32', [0xdb, 0x15, ...at]],
  ['fincstp', [0xd9, 0xf7]],
  ['ffree', [0xdd, 0xc0]],
  ['fnop', [0xd9, 0xd0]],
  ['fxch', [0xd9, 0xc9]],
  ['fcmovb', [0xda, 0xc1]],
  ['fdiv by zero', DIVISION],
  ['fdiv m32 by zero', DIVISION_BY_MEMORY],
  ['fld1; fnclex', [0xd9, 0xe8, 0xdb, 0xe2]],
  ['fld1; fnstcw', [0xd9, 0xe8, 0xd9, 0x3d, ...at]],
  ['fld1; fnstsw', [0xd9, 0xe8, 0xdf, 0xe0]],
  ['fld1; fwait', [0xd9, 0xe8, 0x9b]],
  ['fld1; emms', [0xd9, 0xe8, 0x0f, 0x77]],
  ['fld1; fninit', [0xd9, 0xe8, 0xdb, 0xe3]],
];

interface Pointers {
  readonly fip: number;
  readonly fcs: number;
  readonly fop: number;
  readonly fdp: number;
  readonly fds: number;
}
async function pointers(cpu: CpuUnderTest, code: readonly number[], fcw: number): Promise<Pointers> {
  const memory = [
    { address: OPERAND, bytes: new Uint8Array(4) },
    // What FNSTENV writes is all changed, or it would not be listed.
    { address: AREA, bytes: new Uint8Array(28) },
  ];
  const [result] = await cpu.run([
    cpuCase({ code: [...code, ...STORE], fx: fxImage({ st: [ONE, ZERO], fcw }), memory }),
  ]);
  const view = new DataView(new ArrayBuffer(28));
  for (const { address, bytes } of result?.memory ?? [])
    bytes.forEach((byte, i) => {
      const offset = address + i - AREA;
      if (offset >= 0 && offset < 28) view.setUint8(offset, byte);
    });
  const word = (offset: number): number => view.getUint16(offset, true);
  return {
    fip: view.getUint32(12, true),
    fcs: word(16),
    fop: word(18),
    fdp: view.getUint32(20, true),
    fds: word(24),
  };
}

const available = HostCpu.available();
const ENGINES = [
  ['interpreter', interpreterCpu],
  ['oracle', oracleCpu],
] as const;
const CASES = Object.entries(CONTROLS).flatMap(([how, fcw]) =>
  PROGRAMS.map(([name, code]) => [`${name}, ${how}`, code, fcw] as const),
);

describe.each(ENGINES)('the pointers of the x87 unit on the %s', (_, make) => {
  let host: HostCpu | undefined;
  const ours = make();
  beforeAll(async () => {
    host = available.ok ? await HostCpu.start() : undefined;
  });
  afterAll(() => host?.close());

  it.for(CASES)("instruction and opcode as the processor's after %s", async ([, code, fcw], context) => {
    context.skip(!available.ok, available.why);
    const [wanted, got] = [await pointers(host!, code, fcw), await pointers(ours, code, fcw)];

    expect(got.fip).toBe(wanted.fip);
    // AMD's processors note the opcode of each instruction, others where an unmasked exception waits (SDM vol. 1, 8.1.9).
    const waits = fcw === CONTROLS.unmasked && DIVISIONS.includes(code);
    const isNoted = waits || host!.identity.vendor !== 'AuthenticAMD';
    expect(got.fop).toBe(isNoted ? wanted.fop : 0);
    // Of an instruction that raises, the operand is the same everywhere.
    if (code === DIVISION_BY_MEMORY && fcw === CONTROLS.unmasked) expect(got.fdp).toBe(wanted.fdp);
  });

  it('name the operand in memory, and keep it for instructions without one', async () => {
    const code = [0x36, 0xd9, 0x05, ...at, 0xd9, 0xe8];

    expect(await pointers(ours, code, CONTROLS.masked)).toEqual({
      fip: BASE_CODE_ADDRESS + 7,
      fcs: SELECTORS.cs,
      fop: 0,
      fdp: OPERAND,
      fds: SELECTORS.ss,
    });
  });
});
