/** A machine whose compiled code is checked, and what it says on its first serial line. */
import { HostClock, Machine, type MachineConfig, type Translator } from '@tomei/paravirt-core';
import { RegionCheck } from './region-check.ts';

export interface CheckedMachineOptions {
  readonly config: MachineConfig;
  readonly translator: Translator;
  /** Landings after which code is compiled. */
  readonly hotLandings: number;
}

export class CheckedMachine implements Disposable {
  readonly machine: Machine;
  readonly check: RegionCheck;
  /** Serial output so far. */
  output = '';

  /** Powered on. */
  constructor({ config, translator, hotLandings }: CheckedMachineOptions) {
    this.check = new RegionCheck(translator);
    const serial = { write: (byte: number) => void (this.output += String.fromCharCode(byte)) };
    // Compiled code is not entered where instructions are the clock.
    this.machine = new Machine(config, { serial: [serial], disks: [] }, new HostClock(), undefined, {
      translator: this.check.translator,
      hotLandings,
    });
    this.check.attach(this.machine.processor);
    this.machine.powerOn();
  }
  /** Runs until the guest stops or `enough`, which is asked after each slice. Returns how the guest stopped. */
  run(enough: () => boolean): string | undefined {
    while (!enough()) {
      const end = this.machine.runSlice();
      if (end.kind === 'stopped') return end.why === 'exit' ? `exit ${end.status >> 1}` : end.why;
    }
    return undefined;
  }
  [Symbol.dispose](): void {
    this.check.translator.close();
  }
}
