/** From a PCI function's INTx pin to an interrupt line: the wiring of the slots and the PIIX3's router (Intel 82371SB, 2.2.9). */
import type { PciConfigSpace } from './pci-config.ts';

/** PIRQRC[A:D] of the PIIX3: bit 7 disables the wire, bits 3:0 name the ISA interrupt. */
export const PIRQ_ROUTE = 0x60;
const PIRQ_DISABLED = 0x80;
/** Interrupts that a PIRQ wire cannot be routed to: reserved in the register's table. */
const PIRQ_RESERVED = new Set([0, 1, 2, 8, 13]);

/** The lines that PIRQA..D take where no PIIX3 says otherwise. */
export const DEFAULT_PIRQ_LINES = [10, 11, 10, 11] as const;

/** Which PIRQ wire a pin is soldered to: the pins of neighbouring slots are rotated by one (slot 1, INTA is PIRQA). */
export const pirqOf = (devfn: number, pin: number): number => ((devfn >> 3) - 1 + (pin - 1)) & 3;

/** The interrupt line that INTx of a function leads to, or undefined where the router has it switched off. */
export function lineOf(router: PciConfigSpace | undefined, devfn: number, pin: number): number | undefined {
  const pirq = pirqOf(devfn, pin);
  if (router === undefined) return DEFAULT_PIRQ_LINES[pirq];
  const route = router.read(PIRQ_ROUTE + pirq, 1);
  const line = route & 0x0f;
  return (route & PIRQ_DISABLED) !== 0 || PIRQ_RESERVED.has(line) ? undefined : line;
}
