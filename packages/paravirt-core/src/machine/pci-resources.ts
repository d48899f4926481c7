/** What firmware does to a PCI bus before a system starts: for boards that boot without one (PCI BIOS 2.1, PCI Firmware 3.0, 3.5). */
import { TomeiError } from '@tomei/kit';
import { COMMAND_IO, COMMAND_MEMORY, PCI_COMMAND, PCI_INTERRUPT_LINE, type PciConfigSpace } from './pci-config.ts';
import { DEFAULT_PIRQ_LINES, lineOf, PIRQ_ROUTE } from './pci-routing.ts';
import type { PortSpace } from './port-space.ts';

/** Where base address registers may be placed: `base .. limit - 1`. */
export interface ResourceWindows {
  readonly memory: { readonly base: number; readonly limit: number };
  readonly io: { readonly base: number; readonly limit: number };
}

/** Above 3.5 GiB, which RAM does not reach, and below the I/O APIC. */
export const DEFAULT_WINDOWS: ResourceWindows = {
  memory: { base: 0xe000_0000, limit: 0xfec0_0000 },
  io: { base: 0xc000, limit: 0x1_0000 },
};

/** ELCR2 of the interrupt controllers: interrupts 8..15, a set bit means level-triggered (82371SB datasheet, 2.5.4.10). */
const ELCR2 = 0x4d1;

interface Placed {
  readonly owner: string;
  readonly devfn: number;
  readonly space: PciConfigSpace;
}

/** @throws TomeiError `pci.no-room` when the windows cannot hold all BARs. */
export function assignResources(
  functions: readonly Placed[],
  router: Placed | undefined,
  ports: PortSpace,
  windows: Partial<ResourceWindows> = {},
): void {
  placeBars(functions, 'memory', windows.memory ?? DEFAULT_WINDOWS.memory);
  placeBars(functions, 'io', windows.io ?? DEFAULT_WINDOWS.io);
  let levels = 0;
  for (const [pirq, line] of DEFAULT_PIRQ_LINES.entries()) {
    router?.space.write(PIRQ_ROUTE + pirq, 1, line);
    levels |= 1 << line;
  }
  for (const { space, devfn } of functions) {
    const pin = space.function.interruptPin;
    if (pin !== undefined) space.write(PCI_INTERRUPT_LINE, 1, lineOf(router?.space, devfn, pin) ?? 0xff);
    const spaces = space.function.bars.map((bar) => bar?.space);
    const decode = (spaces.includes('io') ? COMMAND_IO : 0) | (spaces.includes('memory') ? COMMAND_MEMORY : 0);
    space.write(PCI_COMMAND, 2, space.command | decode);
  }
  if (ports.ownerOf(ELCR2) !== undefined) ports.write(ELCR2, 1, ports.read(ELCR2, 1) | (levels >> 8));
}

/** Largest first, so that natural alignment leaves no holes. */
function placeBars(
  functions: readonly Placed[],
  kind: 'memory' | 'io',
  window: { readonly base: number; readonly limit: number },
): void {
  const wanted = functions
    .flatMap(({ owner, space }) => space.function.bars.map((bar, index) => ({ owner, space, bar, index })))
    .filter(({ bar }) => bar?.space === kind)
    .sort((a, b) => b.bar!.size - a.bar!.size);
  let next = window.base;
  for (const { owner, space, bar, index } of wanted) {
    const { size } = bar!;
    const base = Math.ceil(next / size) * size;
    if (base + size > window.limit) {
      throw new TomeiError(
        'pci.no-room',
        `no room for ${kind} BAR ${index} of ${owner} (${size} bytes); use fewer devices`,
      );
    }
    space.place(index, base);
    next = base + size;
  }
}
