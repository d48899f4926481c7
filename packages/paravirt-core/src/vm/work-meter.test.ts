/** What is counted as whose work, on a clock that each access moves by hand. */
import { describe, expect, it } from 'vitest';
import type { CpuBus } from '../core/cpu.ts';
import { WorkMeter } from './work-meter.ts';

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
    timestamp: () => 7,
    readDeadline: () => 0n,
    writeDeadline: () => {},
    apicBase: () => undefined,
  };
  const meter = new WorkMeter(() => time);
  return { meter, bus: meter.metered(bus), written, pass: (ms: number) => (time += ms) };
}

describe('the work meter', () => {
  it('counts accesses and passes them on as they are', () => {
    const { meter, bus, written } = rig();

    const read = [bus.portRead(1, 1), bus.memoryRead(9, 4)];
    bus.portWrite(2, 1, 5);
    bus.memoryWrite(3, 4, 6);

    expect(read).toEqual([1, 9]);
    expect(written).toEqual([5, 6]);
    const { port, memory } = { port: meter.of('port'), memory: meter.of('device-memory') };
    expect([port.count, port.milliseconds]).toEqual([2, 3]);
    expect([memory.count, memory.milliseconds]).toEqual([2, 12]);
    expect([bus.acknowledgeInterrupt(), bus.timestamp(), bus.portWriteBlock]).toEqual([0x20, 7, undefined]);
  });
  it('times each block by itself, as one access', () => {
    const { meter, bus } = rig();

    const moved = bus.portReadBlock!(40, 2, new Uint8Array(512));

    expect([moved, meter.of('port').count, meter.of('port').milliseconds]).toEqual([512, 1, 40]);
  });
  it('counts what the processor does, and what faults in it without its time', () => {
    const { meter, pass } = rig();
    const write = meter.observed('privileged', (a: number, b: number) => (pass(a), a + b));
    const fault = meter.observed('privileged', () => {
      throw new Error('#GP');
    });

    expect(write(2, 3)).toBe(5);
    expect(fault).toThrow('#GP');
    expect(write(4, 0)).toBe(4);

    expect([meter.of('privileged').count, meter.of('privileged').milliseconds]).toEqual([3, 6]);
    expect(meter.of('hypervisor').count).toBe(0);
  });
});
