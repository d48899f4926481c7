/** What the meter counts, on a clock that each access moves by hand. */
import { describe, expect, it } from 'vitest';
import type { CpuBus } from '../core/cpu.ts';
import { DeviceMeter } from './device-meter.ts';

/** A bus on which port `n` takes n milliseconds and gives n. */
function rig() {
  let time = 0;
  const written: number[] = [];
  const bus: CpuBus = {
    portRead: (port) => ((time += port), port),
    portWrite: (port, _, value) => ((time += port), void written.push(value)),
    memoryRead: (address) => ((time += address), address),
    memoryWrite: (address, _, value) => ((time += address), void written.push(value)),
    portReadBlock: (port, _, into) => ((time += port), into.length),
    acknowledgeInterrupt: () => 0x20,
    timestamp: () => 7n,
    apicBase: () => undefined,
  };
  const meter = new DeviceMeter(() => time);
  return { meter, bus: meter.metered(bus), written, time: () => time };
}

describe('the device meter', () => {
  it('counts accesses and passes them on as they are', () => {
    const { meter, bus, written } = rig();

    const read = [bus.portRead(1, 1), bus.memoryRead(9, 4)];
    bus.portWrite(2, 1, 5);
    bus.memoryWrite(3, 4, 6);

    expect(read).toEqual([1, 9]);
    expect(written).toEqual([5, 6]);
    expect([meter.ports, meter.memory]).toEqual([2, 2]);
    expect([bus.acknowledgeInterrupt(), bus.timestamp(), bus.portWriteBlock]).toEqual([0x20, 7n, undefined]);
  });
  it('estimates the time of many mixed accesses to a few percent', () => {
    const { meter, bus, time } = rig();

    for (let i = 0; i < 10_000; i++) {
      bus.portRead(1 + (i % 3), 1);
      bus.memoryWrite(2 + (i % 5), 4, i);
    }

    expect(meter.milliseconds / time()).toBeGreaterThan(0.97);
    expect(meter.milliseconds / time()).toBeLessThan(1.03);
  });
  it('times each block by itself, as one access', () => {
    const { meter, bus } = rig();

    const moved = bus.portReadBlock!(40, 2, new Uint8Array(512));

    expect([moved, meter.ports, meter.milliseconds]).toEqual([512, 1, 40]);
  });
});
