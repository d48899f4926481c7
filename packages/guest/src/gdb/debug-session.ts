/** A debugger at the vCPU thread: what comes from its connection, by way of a ring, and what the machine does for it. */
import { ByteRing, messageOf, type Doorbell } from '@tomei/kit';
import { MachineDebugger, type Machine, type SliceEnd } from '@tomei/paravirt-core';
import { GdbStub, type DebugTarget, type Stop } from './stub.ts';

/** Shared memory of a debugger's connection. Messages to the processor begin with a byte of `FROM_DEBUGGER`; what goes back has none. */
export interface DebuggerRings {
  readonly input: SharedArrayBuffer;
  readonly output: SharedArrayBuffer;
}
export const FROM_DEBUGGER = { opened: 0, bytes: 1, closed: 2 } as const;
/** Bytes of one message: less than the rings hold. */
export const DEBUGGER_CHUNK = 4096;
export const DEBUGGER_RING = 1 << 16;

const HELP = `help       this
registers  control, debug and segment registers
reset      power-on
nmi        a non-maskable interrupt`;

export class DebugSession {
  private readonly machine: Machine;
  private readonly debugger: MachineDebugger;
  private readonly input: ByteRing;
  private readonly output: ByteRing;
  private readonly ioBell: Doorbell;
  private stub: GdbStub | undefined;
  private waits: boolean;
  private outbox: Uint8Array[] = [];
  private resumed = false;
  /** The debugger asked for the end of the guest; it may be gone since. */
  killed = false;
  private readonly run: (limit?: number, exactly?: boolean) => SliceEnd;

  /** With `waits` the machine stands still until a debugger has come and lets it go. `run` runs a slice of it. */
  constructor(
    machine: Machine,
    rings: DebuggerRings,
    ioBell: Doorbell,
    waits: boolean,
    run: (limit?: number, exactly?: boolean) => SliceEnd,
  ) {
    this.run = run;
    this.machine = machine;
    this.debugger = new MachineDebugger(machine);
    this.input = new ByteRing(rings.input);
    this.output = new ByteRing(rings.output);
    this.ioBell = ioBell;
    this.waits = waits;
  }

  /** Whether the machine may not go on now. Takes what has come. */
  stands(): boolean {
    this.poll();
    if (this.killed) return false;
    return this.stub === undefined ? this.waits : this.stub.wish === 'stand';
  }
  private poll(): void {
    this.pass();
    for (let message = this.input.readMessage(); message !== undefined; message = this.input.readMessage()) {
      const kind = message[0];
      if (kind === FROM_DEBUGGER.opened) this.opened();
      else if (kind === FROM_DEBUGGER.bytes) {
        this.stub?.receive(message.subarray(1));
        this.killed ||= this.stub?.killed === true;
      } else this.closed();
    }
    this.pass();
  }
  private opened(): void {
    this.closed();
    this.outbox = [];
    // The machine stands still from now on, as a debugger expects.
    this.stub = new GdbStub(this.target(), (bytes) => {
      this.outbox.push(bytes);
      this.pass();
    });
  }
  private closed(): void {
    if (this.stub === undefined) return;
    if (!this.stub.killed) this.stub.release();
    this.stub = undefined;
    this.waits = false;
  }
  private pass(): void {
    let passed = false;
    while (this.outbox.length > 0) {
      const written = this.output.write(this.outbox[0]!);
      if (written > 0) passed = true;
      if (written < this.outbox[0]!.length) {
        this.outbox[0] = this.outbox[0]!.subarray(written);
        break;
      }
      this.outbox.shift();
    }
    if (passed) this.ioBell.ring();
  }

  /** Runs a slice as the debugger wants it, and tells it when that ended with a stop. */
  runSlice(): SliceEnd {
    const { stub } = this;
    if (stub === undefined || stub.detached) return this.run();
    if (!this.resumed) this.debugger.pass();
    this.resumed = true;
    const end = stub.wish === 'step' ? this.step() : this.run();
    if (end.kind === 'breakpoint') this.stop(this.debugger.takeStop() ?? { kind: 'interrupt' });
    else if (end.kind === 'stopped') this.stub?.ended(end.status);
    if (this.stub?.wish === 'stand') this.resumed = false;
    this.pass();
    return end;
  }
  /** One instruction, with interrupts held back: who steps through code does not want to see their handlers. A halted guest waits. */
  private step(): SliceEnd {
    const { machine } = this,
      before = machine.work;
    for (const each of machine.processors) each.holdInterrupts = each.cpu.get('halted') === 0;
    const end = this.run(1, true);
    for (const each of machine.processors) each.holdInterrupts = false;
    if (end.kind !== 'breakpoint' && end.kind !== 'stopped' && machine.work !== before) this.stop({ kind: 'step' });
    return end;
  }
  private stop(stop: Stop): void {
    this.stub?.stopped(stop);
  }

  private target(): DebugTarget {
    const it = this.debugger;
    return {
      processors: it.processors,
      acting: () => it.acting,
      select: (index) => it.select(index),
      read: (register) => it.read(register),
      write: (register, bytes) => it.write(register, bytes),
      readMemory: (linear, length) => it.readMemory(linear, length),
      writeMemory: (linear, bytes) => it.writeMemory(linear, bytes),
      addCode: (linear) => it.addCode(linear),
      removeCode: (linear) => it.removeCode(linear),
      addWatch: (watch) => it.addWatch(watch),
      removeWatch: (watch) => it.removeWatch(watch),
      clear: () => it.clear(),
      monitor: (command) => this.monitor(command),
    };
  }
  private monitor(command: string): string | undefined {
    switch (command) {
      case 'help':
        return HELP;
      case 'registers':
      case 'info registers':
        return this.debugger.describe();
      case 'nmi':
        this.machine.nmi();
        return 'the guest has an NMI';
      case 'reset':
        try {
          this.machine.powerOn();
          return 'the machine is as at power-on';
        } catch (error) {
          return messageOf(error);
        }
      default:
        return undefined;
    }
  }
}
