/** An end of interrupt that is not an access of the local APIC: what a hypervisor lends it. */
import { backendKind } from '../machine/device.ts';

export interface EoiAssist {
  /** The one interrupt in service now, with none waiting behind it, may be ended in the guest's memory. */
  offer(): void;
  /** Ends the offer, if there is one. True when the guest has ended the interrupt by it. */
  settle(): boolean;
  /** Who has to settle before offers are made elsewhere. */
  onMove(settle: () => void): void;
}
export const eoiAssist = backendKind<EoiAssist>('eoi-assist');
