import { expect, test } from 'vitest';
import { parseVmx } from './dictionary.ts';
import { collectGuestConfig } from './guest-config.ts';
import { Problems } from './problem.ts';

function read(text: string) {
  const problems = new Problems('a.vmx');
  const { cpuid } = collectGuestConfig(parseVmx(new TextEncoder().encode(text), 'a.vmx'), '/', problems);
  return { cpuid, problems: problems.list.map((p) => p.message) };
}
const SSE2_HIDDEN = '----:-0--:----:----:----:----:----:----';

test.each([
  ['memsize = "64"', undefined],
  [`cpuid.1.edx = "${SSE2_HIDDEN}"`, [{ leaf: 1, register: 3, clear: 1 << 26, set: 0 }]],
  [`CPUID.80000001.EDX = "${'1'.padEnd(31, 'x')}0"`, [{ leaf: 0x8000_0001, register: 3, clear: 1, set: 0x8000_0000 }]],
  [`cpuid.1.ecx = "${'HRX-'.repeat(8)}"`, [{ leaf: 1, register: 2, clear: 0, set: 0 }]],
  [
    `cpuid.1.eax = "${'0'.repeat(32)}"\ncpuid.01.eax = "${'1'.repeat(32)}"`,
    [{ leaf: 1, register: 0, clear: 0, set: 0xffff_ffff }],
  ],
  [`cpuid.80000001.edx.amd = "${'0'.repeat(32)}"`, undefined],
  ['cpuid.coresPerSocket = "1"', undefined],
  ['hypervisor.cpuid.v0 = "TRUE"', undefined],
  ['hypervisor.cpuid.v0 = "FALSE"', [{ leaf: 1, register: 2, clear: 0x8000_0000, set: 0 }]],
])('masks of %j', (text, cpuid) => {
  expect(read(text)).toEqual({ cpuid, problems: [] });
});

test.each([
  ['cpuid.1.edx = "0"', /cpuid\.1\.edx = "0" has 1 bits: write 32 of 0, 1 and -/],
  [`cpuid.1.edx = "${'-'.repeat(33)}"`, /has 33 bits/],
  [`cpuid.1.edx = "${'-'.repeat(31)}2"`, /has "2"/],
  ['cpuid.1.edx = "SSE2"', /has "S"/],
])('%j is an error that names the key', (text, message) => {
  expect(read(text)).toEqual({ cpuid: undefined, problems: [expect.stringMatching(message)] });
});
