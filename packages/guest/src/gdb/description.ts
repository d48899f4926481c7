/** The registers that GDB is told of: its own feature names and numbers for i386 (GDB manual, appendix G.5.4). */
import type { DebugRegister } from '@tomei/paravirt-core';

interface Described {
  readonly name: string;
  readonly bits: number;
  readonly type: string;
  readonly register: DebugRegister;
}
const general = (name: string, index: number, type = 'int32'): Described => ({
  name,
  bits: 32,
  type,
  register: { kind: 'general', index },
});
const CORE: readonly Described[] = [
  ...['eax', 'ecx', 'edx', 'ebx'].map((name, i) => general(name, i)),
  general('esp', 4, 'data_ptr'),
  general('ebp', 5, 'data_ptr'),
  ...['esi', 'edi'].map((name, i) => general(name, 6 + i)),
  { name: 'eip', bits: 32, type: 'code_ptr', register: { kind: 'eip' } },
  { name: 'eflags', bits: 32, type: 'int32', register: { kind: 'eflags' } },
  ...(
    [
      ['cs', 1],
      ['ss', 2],
      ['ds', 3],
      ['es', 0],
      ['fs', 4],
      ['gs', 5],
    ] as const
  ).map(([name, index]): Described => ({ name, bits: 32, type: 'int32', register: { kind: 'segment', index } })),
  ...Array.from({ length: 8 }, (_, index): Described => ({
    name: `st${index}`,
    bits: 80,
    type: 'i387_ext',
    register: { kind: 'x87', index },
  })),
  ...(
    [
      ['fctrl', { kind: 'field', name: 'fpuControl' }],
      ['fstat', { kind: 'x87-status' }],
      ['ftag', { kind: 'x87-tags' }],
      ['fiseg', { kind: 'field', name: 'fpuCs' }],
      ['fioff', { kind: 'field', name: 'fpuIp' }],
      ['foseg', { kind: 'field', name: 'fpuDs' }],
      ['fooff', { kind: 'field', name: 'fpuDp' }],
      ['fop', { kind: 'field', name: 'fpuOpcode' }],
    ] as const
  ).map(([name, register]): Described => ({ name, bits: 32, type: 'int', register })),
];
const SSE: readonly Described[] = [
  ...Array.from({ length: 8 }, (_, index): Described => ({
    name: `xmm${index}`,
    bits: 128,
    type: 'vec128',
    register: { kind: 'xmm', index },
  })),
  { name: 'mxcsr', bits: 32, type: 'int', register: { kind: 'mxcsr' } },
];

/** By GDB's numbers: the order of a `g` packet. */
export const REGISTERS: readonly { readonly register: DebugRegister; readonly bytes: number }[] = [...CORE, ...SSE].map(
  ({ register, bits }) => ({ register, bytes: bits / 8 }),
);
/** The number of EIP. */
export const EIP_NUMBER = 8;

const line = ({ name, bits, type }: Described): string =>
  `<reg name="${name}" bitsize="${bits}" type="${type}"${type === 'int' ? ' group="float"' : ''}/>`;
/** `target.xml`. */
export const TARGET_XML = `<?xml version="1.0"?>
<!DOCTYPE target SYSTEM "gdb-target.dtd">
<target>
<architecture>i386</architecture>
<feature name="org.gnu.gdb.i386.core">
${CORE.map(line).join('\n')}
</feature>
<feature name="org.gnu.gdb.i386.sse">
<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/>
<vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/>
<vector id="v2i64" type="int64" count="2"/>
<union id="vec128">
<field name="v4_float" type="v4f"/>
<field name="v2_double" type="v2d"/>
<field name="v16_int8" type="v16i8"/>
<field name="v8_int16" type="v8i16"/>
<field name="v4_int32" type="v4i32"/>
<field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/>
</union>
${SSE.map(line).join('\n')}
</feature>
</target>
`;
