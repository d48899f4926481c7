/** A machine whose time is counted in instructions: the same start gives the same run, on every host. */
import { createHash } from 'node:crypto';
import { InstructionClock, Machine, type MachineConfig, type SavedMachine, type SliceEnd } from '@tomei/paravirt-core';

/** A machine that stands still: its state, and copies of its memory. */
export interface Standing {
  readonly state: SavedMachine;
  readonly memory: readonly Uint8Array[];
}

export class MachineRun {
  readonly machine: Machine;
  /** How it ended, once it has. */
  end: Extract<SliceEnd, { kind: 'stopped' }> | undefined;
  /** What came out of COM1 since this run was made. */
  output = '';
  private readonly slice: number;

  /** At power-on, or going on from where another one stood. `slice`: instructions between two looks at alarms. */
  constructor(config: MachineConfig, slice: number, from?: Standing) {
    this.slice = slice;
    const line = { write: (byte: number) => void (this.output += String.fromCharCode(byte)) };
    this.machine = new Machine(config, { serial: [line], disks: [] }, new InstructionClock());
    if (from === undefined) this.machine.powerOn();
    else {
      this.machine.memoryAreas().forEach(({ bytes }, i) => bytes.set(from.memory[i]!));
      this.machine.restore(from.state);
    }
  }

  /** Runs to the end of the slice in which `instructions` since power-on are reached, or until `done`. */
  runTo(instructions: number, done: () => boolean = () => false): void {
    while (this.end === undefined && this.machine.processor.instructions < instructions && !done()) {
      const end = this.machine.runSlice(this.slice);
      if (end.kind === 'stopped') this.end = end;
      if (end.kind === 'halted' && end.until === null) throw new Error('the machine sleeps for ever');
    }
  }
  stand(): Standing {
    return { state: this.machine.save(), memory: this.machine.memoryAreas().map(({ bytes }) => bytes.slice()) };
  }
  /** Of all state, memory included. */
  hash(): string {
    const { state, memory } = this.stand();
    const hash = createHash('sha256').update(
      JSON.stringify(state, (_key, value: unknown) =>
        typeof value === 'bigint' ? value.toString() : value instanceof Uint8Array ? [...value] : value,
      ),
    );
    for (const bytes of memory) hash.update(bytes);
    return hash.digest('hex');
  }
}
