import { bool, deadline, pod, u8 } from '@tomei/kit';
import { describe, expect, it } from 'vitest';
import { batteryChecks, deviceBattery } from './battery.ts';
import { defineDevice, typed, type DeviceDef, type Parts } from './device.ts';
import type { Fields } from '@tomei/kit';

const counterState = () => pod({ count: u8(), armed: bool(), due: deadline() });

/** A counter at one port that raises line 5 one microsecond after a write. */
const counter = (
  leak: 'nothing' | 'a variable' | 'an alarm' | 'a throw' | 'a wide answer' | 'reset' | 'a shared line',
) =>
  defineDevice({
    kind: 'counter',
    version: 1,
    config: typed<{ base: number }>(),
    state: counterState(),
    attach({ config, state, host }) {
      let hidden = 0;
      const alarm = host.alarm(() => {
        state.due = null;
        state.armed = true;
        host.irq(5, true);
      });
      return {
        ports: [
          {
            base: config.base,
            count: 1,
            read() {
              if (leak === 'a throw' && state.count === 0xaa) throw new Error('leaky');
              return leak === 'a variable' ? hidden : leak === 'a wide answer' ? state.count + 1 : state.count;
            },
            write(_offset, _width, value) {
              state.count = value;
              hidden = value;
              state.due = host.clock.now() + 1_000;
              alarm.set(state.due);
            },
          },
        ],
        settle() {
          if (leak === 'reset') state.count |= hidden;
          if (leak !== 'a shared line') host.irq(5, state.armed);
          if (state.due === null) alarm.cancel();
          else if (leak !== 'an alarm') alarm.set(state.due);
        },
      };
    },
  });

const given = { config: { base: 0x80 }, disturb: disturbed };
function disturbed(device: { parts: Parts }, rig: { clock: { advance(by: number): void } }): void {
  device.parts.ports![0]!.write(0, 1, 7);
  rig.clock.advance(2_000);
  device.parts.ports![0]!.write(0, 1, 9);
}

/** Titles of the checks that a device fails. */
function failures<C, F extends Fields, P extends Parts>(
  def: DeviceDef<C, F, P>,
  how: Parameters<typeof batteryChecks<C, F, P>>[1],
): string[] {
  const failed: string[] = [];
  for (const { title, run } of batteryChecks(def, how)) {
    try {
      run();
    } catch {
      failed.push(title);
    }
  }
  return failed;
}

deviceBattery(counter('nothing'), given);

describe('the device battery', () => {
  it('catches state that is kept outside `state`', () => {
    expect(failures(counter('a variable'), given)).toContainEqual(expect.stringContaining('goes on like the original'));
  });

  it('catches an alarm that restore forgets', () => {
    expect(failures(counter('an alarm'), given)).toContainEqual(expect.stringContaining('same lines and alarms'));
  });

  it('catches a line that restore forgets', () => {
    expect(failures(counter('a shared line'), given)).toContainEqual(expect.stringContaining('same lines and alarms'));
  });

  it('catches a guest access that throws', () => {
    expect(failures(counter('a throw'), given)).toContainEqual(expect.stringContaining('no guest access throws'));
  });

  it('catches an answer wider than the access', () => {
    expect(failures(counter('a wide answer'), given)).toContainEqual(expect.stringContaining('no guest access throws'));
  });

  it('catches a reset that leaves something behind', () => {
    expect(failures(counter('reset'), given)).toContainEqual(expect.stringContaining('reset makes it as new'));
  });

  it('catches a device that the test never disturbed', () => {
    const idle = { config: { base: 0x80 }, disturb: () => undefined };

    expect(failures(counter('nothing'), idle)).toContain('disturbing it changes its state');
  });
});
