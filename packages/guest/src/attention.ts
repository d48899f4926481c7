/** For what the vCPU thread looks between two slices: what its bell has rung for, and what the last look left behind. */
import type { Doorbell } from '@tomei/kit';
import { RUNG_FOR } from './protocol.ts';

export class Attention {
  private readonly bell: Doorbell;
  /** The bell's at the last look. */
  private ticket = NaN;
  /** What was left behind, as RUNG_FOR has it, and the machine's work when the guest was last offered it. */
  private left = 0;
  private work = 0;

  constructor(bell: Doorbell) {
    this.bell = bell;
  }
  /** For what to look, beside `more`: slices are short, and most of them come by with nothing there. */
  due(ticket: number, more: number): number {
    const rung = ticket === this.ticket ? 0 : this.bell.takeReasons();
    this.ticket = ticket;
    return rung | this.left | more;
  }
  /** Whether a look for some of RUNG_FOR left something behind, at this work of the machine. */
  looked(reasons: number, isLeft: boolean, work: number): void {
    this.left = isLeft ? this.left | reasons : this.left & ~reasons;
    this.work = work;
  }
  /**
   * Whether to look again at once: frames come in parts, and what waits for the guest is offered once more when that has run, but not
   * before it runs again, since it may have no driver.
   */
  isPressing(work: number): boolean {
    return (this.left & RUNG_FOR.frames) !== 0 || (this.left !== 0 && work !== this.work);
  }
}
