import { expect, test } from 'vitest';
import { disassemble } from '@tomei/paravirt-core';
import { disassemblyLines } from './disassembly.ts';

test('lines have address, bytes and text in columns', () => {
  const code = Uint8Array.of(0x89, 0xd8, 0xc7, 0x05, 0, 0, 0, 0x10, 1, 0, 0, 0, 0xc3);

  expect([...disassemblyLines(disassemble(code, { address: 0x7c00, big: true }))]).toEqual([
    '00007c00  89 d8                     mov eax, ebx',
    '00007c02  c7 05 00 00 00 10 01 00 00 00  mov dword ptr [0x10000000], 1',
    '00007c0c  c3                        ret',
  ]);
});
