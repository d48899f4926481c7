import { describe, expect, it } from 'vitest';
import type { MemoryClaim } from '../machine/device.ts';
import { apicWindow } from './apic-window.ts';

const OWN = 0xfee0_0000,
  PAGE = 4096;

describe('memory that is no RAM, of an application processor', () => {
  function rig(own: number, bootstrap = OWN) {
    const log: unknown[] = [];
    const at = (name: string, base: number): MemoryClaim => ({
      base,
      size: PAGE,
      read: (offset, width) => (
        log.push([name, 'read', offset, width]),
        0x1234_5678 >>> ((8 * (offset & 3)) % 2 ** (8 * width))
      ),
      write: (offset, width, value) => void log.push([name, 'write', offset, width, value]),
    });
    const board = {
      memoryRead: (address: number, width: number) => (log.push(['board', 'read', address, width]), 0),
      memoryWrite: (address: number, width: number, value: number) =>
        void log.push(['board', 'write', address, width, value]),
    };
    const [mine, first] = [at('own', own), at('first', bootstrap)];
    return {
      log,
      ...apicWindow(
        board,
        () => mine,
        () => first,
      ),
    };
  }

  it('has its own local APIC where the bootstrap processor has another', () => {
    const { log, memoryRead, memoryWrite } = rig(OWN);
    memoryRead(OWN + 0x20, 4);
    memoryWrite(OWN + 0x300, 4, 7);
    memoryRead(0xfec0_0000, 4);
    expect(log).toEqual([
      ['own', 'read', 0x20, 4],
      ['own', 'write', 0x300, 4, 7],
      ['board', 'read', 0xfec0_0000, 4],
    ]);
  });
  it('does not reach the registers of the bootstrap processor where its own lie elsewhere', () => {
    const { log, memoryRead, memoryWrite } = rig(0xfe00_0000);
    expect([memoryRead(OWN, 4), memoryRead(OWN + 1, 1)]).toEqual([0xffff_ffff, 0xff]);
    memoryWrite(OWN + 0xb0, 4, 0);
    expect(log).toEqual([]);
  });
  it('takes accesses apart that are not aligned, at either end of the page', () => {
    const { log, memoryRead, memoryWrite } = rig(OWN);
    memoryRead(OWN + 0x22, 4);
    memoryWrite(OWN - 2, 4, 0x1122_3344);
    expect(log).toEqual([
      ['own', 'read', 0x22, 2],
      ['own', 'read', 0x24, 2],
      ['board', 'write', OWN - 2, 2, 0x3344],
      ['own', 'write', 0, 2, 0x1122],
    ]);
  });
});
