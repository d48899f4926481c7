/**
 * Faults of an instruction or event that has been carried out: they belong to the first instruction of where it went (a task whose
 * segments cannot be loaded, a virtual interrupt that waits). Engines leave EIP at the instruction that raised.
 */
import type { Cpu } from './cpu.ts';

export class Landing {
  private readonly cpu: Cpu;
  private eip = -1;

  constructor(cpu: Cpu) {
    this.cpu = cpu;
  }

  /** What `body` raises is a fault at `eip`. */
  at(eip: number, body: () => void): void {
    this.eip = eip;
    body();
    this.eip = -1;
  }
  /** Whoever reports a fault calls this first. */
  settle(): void {
    if (this.eip < 0) return;
    this.cpu.set('eip', this.eip);
    this.eip = -1;
  }
}
