/**
 * The end of an interrupt without an access of the local APIC (Linux: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_EOI_EN). When an
 * interrupt is taken into service with nothing waiting behind it, a bit in the guest's memory offers its handler to end it by
 * clearing the bit. Before anything else happens to the APIC the offer is settled: the guest has taken it, or it is withdrawn and the
 * guest writes to the APIC as ever.
 */
import type { GuestMemory } from '../machine/device.ts';

/** The word of the guest's that the bit lies in. */
export const EOI_BYTES = 4;
const OFFERED = 1;

/** What outlives an instruction: whether the bit was set for the interrupt in service. */
export interface EoiState {
  offered: boolean;
}

export class PvEoi {
  private readonly memory: GuestMemory;
  /** At this moment: a restore replaces the object. */
  private readonly state: () => EoiState;
  /** Where the word is; undefined when the guest wants no offers. */
  private readonly place: () => number | undefined;
  private settleFirst: () => void = () => undefined;

  constructor(memory: GuestMemory, state: () => EoiState, place: () => number | undefined) {
    this.memory = memory;
    this.state = state;
    this.place = place;
  }

  /** Who has to settle before the word's place changes: the local APIC. */
  onMove(settle: () => void): void {
    this.settleFirst = settle;
  }
  /** The word's place is about to change. */
  moving(): void {
    this.settleFirst();
    this.state().offered = false;
  }
  /** The interrupt that is in service now may be ended by the bit. */
  offer(): void {
    const address = this.place();
    if (address === undefined || !this.memory.contains(address, EOI_BYTES)) return;
    this.memory.write8(address, this.memory.read8(address) | OFFERED);
    this.state().offered = true;
  }
  /** Ends the offer, if there is one. True when the guest has ended the interrupt by it. */
  settle(): boolean {
    const state = this.state();
    if (!state.offered) return false;
    state.offered = false;
    const address = this.place();
    if (address === undefined || !this.memory.contains(address, EOI_BYTES)) return false;
    const byte = this.memory.read8(address);
    if ((byte & OFFERED) === 0) return true;
    this.memory.write8(address, byte & ~OFFERED);
    return false;
  }
}
