/** What a meter makes of calls, on a clock that each of them moves by hand. */
import { describe, expect, it } from 'vitest';
import { Meter } from './meter.ts';

function rig() {
  let time = 0,
    looks = 0;
  const meter = new Meter(() => (looks++, time));
  const call = (ms: number): void => {
    if (!meter.isTimed) return void (time += ms);
    const began = meter.begin();
    time += ms;
    meter.end(began);
  };
  return { meter, call, time: () => time, looks: () => looks };
}

describe('a meter', () => {
  it('times what is rare each by itself', () => {
    const { meter, call } = rig();

    for (let i = 1; i <= 100; i++) call(i);

    expect([meter.count, meter.milliseconds]).toEqual([100, 5050]);
  });
  it('estimates what is frequent to a few percent, and looks at the clock now and then', () => {
    const { meter, call, time, looks } = rig();

    for (let i = 0; i < 100_000; i++) call(((i % 3) + (i % 5 === 0 ? 40 : 1)) / 1024);

    expect(meter.count).toBe(100_000);
    expect(meter.milliseconds / time()).toBeGreaterThan(0.97);
    expect(meter.milliseconds / time()).toBeLessThan(1.03);
    expect(looks()).toBeLessThan(100_000 / 10);
  });
  it('takes what is very long for itself alone', () => {
    const { meter, call } = rig();

    for (let i = 0; i < 10_000; i++) call(0);
    for (let i = 0; i < 31; i++) call(5);

    expect(meter.milliseconds).toBe(5);
  });
  it('goes on when what it times comes to no end', () => {
    const { meter, call } = rig();
    if (meter.isTimed) meter.begin();
    call(3);

    expect([meter.count, meter.milliseconds]).toEqual([2, 3]);
  });
  it('times what is long by itself, however much came before', () => {
    const { meter, call } = rig();
    for (let i = 0; i < 10_000; i++) call(0);

    const value = meter.alone(() => (call(7), 'value'));

    expect([value, meter.milliseconds]).toEqual(['value', 7]);
  });
});
