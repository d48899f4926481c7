/** Where time goes, on a clock moved by hand. */
import { describe, expect, it } from 'vitest';
import { TimeAccount } from './time-account.ts';

const NOTHING = { devices: 0, system: 0, translating: 0 };

describe('the time account', () => {
  it('tells compiled from interpreted by what runs when slices end, each for the time since the last look', () => {
    let compiled = false;
    const account = new TimeAccount(() => compiled);

    account.begin(0);
    account.end(10, 'running');
    compiled = true;
    account.begin(10);
    account.end(40, 'running');

    expect(account.use(NOTHING)).toEqual({
      interpreted: 10,
      compiled: 30,
      translating: 0,
      devices: 0,
      system: 0,
      idle: 0,
    });
    expect([account.slices, account.halts]).toEqual([2, 0]);
  });
  it('counts what lies between slices with the devices, but not sleep and standing still', () => {
    const account = new TimeAccount(() => false);

    account.begin(0);
    account.end(10, 'halted');
    account.slept(100);
    account.begin(113); // 3 of work between the slices
    account.end(120, 'running');
    account.stood();
    account.begin(500);
    account.end(503, 'running');

    expect(account.use(NOTHING)).toEqual({
      interpreted: 20,
      compiled: 0,
      translating: 0,
      devices: 3,
      system: 0,
      idle: 100,
    });
    expect([account.slices, account.halts]).toEqual([2, 1]);
  });
  it('takes from the time of slices what is known to be devices and translating, and never more than there is', () => {
    const account = new TimeAccount(() => true);
    account.begin(0);
    account.end(10, 'running');

    const known = account.use({ devices: 2, system: 1, translating: 3 });
    const exaggerated = account.use({ devices: 8, system: 1, translating: 30 });

    expect(known).toEqual({ interpreted: 0, compiled: 4, translating: 3, devices: 2, system: 1, idle: 0 });
    expect(exaggerated).toEqual({ interpreted: 0, compiled: 0, translating: 1, devices: 8, system: 1, idle: 0 });
  });
  it('looks no sooner than worth it, and takes what ends in a halt for interpreted', () => {
    let asked = 0;
    const account = new TimeAccount(() => (asked++, true));

    for (let at = 0; at < 50; at++) {
      account.begin(at);
      account.end(at + 0.5, 'running');
    }
    for (let at = 50; at < 150; at++) {
      account.begin(at);
      account.end(at + 0.5, 'halted');
    }

    expect(asked).toBe(2);
    const { interpreted, compiled } = account.use(NOTHING);
    // 20 ms were looked at when the guest ran, 50 when it halted, and the last ones are shared out.
    expect(compiled).toBeCloseTo((75 * 20) / 70);
    expect(interpreted).toBeCloseTo((75 * 50) / 70);
  });
});
