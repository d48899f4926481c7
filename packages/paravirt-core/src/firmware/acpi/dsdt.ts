/**
 * What the board looks like to ACPI: its PCI bus, the interrupt router, the devices that a system cannot find by probing, and
 * how to switch it off (ACPI 6.5, chapters 5 to 7; PCI Firmware 3.0; interrupt router: Intel 82371SB datasheet, 2.2.9).
 */
import {
  and,
  arg0,
  define,
  device,
  dwordField,
  eisaId,
  give,
  integer,
  local0,
  method,
  name,
  or,
  packageOf,
  pciConfigBytes,
  scope,
  store,
  string,
  when,
  type Aml,
} from './aml.ts';
import {
  busNumbers,
  dmaChannel,
  isaInterrupt,
  memory,
  memoryWindow,
  portWindow,
  ports,
  sharedInterrupts,
  template,
} from './resources.ts';
import { pirqOf } from '../../machine/pci-routing.ts';

/** What differs between machines. */
export interface AcpiBoard {
  readonly ramBytes: number;
  readonly processors: number;
  /** 1 when absent. */
  readonly coresPerSocket?: number;
  /** Which of COM1..COM4 are there. */
  readonly serial: readonly boolean[];
  readonly floppy: boolean;
}

const COM_PORTS = [
  [0x3f8, 4],
  [0x2f8, 3],
  [0x3e8, 4],
  [0x2e8, 3],
] as const;
export const HPET_BASE = 0xfed0_0000;
const HPET_BYTES = 0x400;
/** Fixed ports of the power management function, as SeaBIOS places it; see devices/acpi-pm.ts. */
export const PM_BASE = 0x600;
const PM_PORTS = 0x40;
export const GPE0_BASE = 0xafe0;
const SMI_COMMAND = 0xb2;

const LINKS = ['LNKA', 'LNKB', 'LNKC', 'LNKD'] as const;
const ROUTES = ['PRQA', 'PRQB', 'PRQC', 'PRQD'] as const;
const ROUTE_REGISTERS = 0x60;
const ROUTE_OFF = 0x80;
/** Where the router may send its wires. */
const ROUTABLE = [5, 10, 11] as const;
/** Offset of the number in a descriptor of one shared interrupt. */
const INTERRUPT_NUMBER = 5;

const STATUS_PRESENT_OFF = 0x09;
const STATUS_WORKING = 0x0b;
const STATUS_ALL = 0x0f;
/** SLP_TYP of soft-off in the PIIX4. */
const SOFT_OFF = 0;

/** RAM may reach as far as this; PCI memory begins at the next of these addresses, where SeaBIOS places it too. */
const PCI_MEMORY_STARTS = [0x8000_0000, 0xc000_0000];
const PCI_MEMORY_END = 0xfebf_ffff;

/** A router's wire as a device: its state is in the ISA bridge's configuration space. */
function link(at: number): Aml {
  const route = name(`\\_SB.PCI0.ISA.${ROUTES[at]}`);
  return device(
    LINKS[at]!,
    define('_HID', eisaId('PNP0C0F')),
    define('_UID', integer(at)),
    define('_PRS', template(sharedInterrupts(...ROUTABLE))),
    define('PRR', template(sharedInterrupts(0))),
    method(
      '_STA',
      0,
      when(and(route, integer(ROUTE_OFF)), give(integer(STATUS_PRESENT_OFF))),
      give(integer(STATUS_WORKING)),
    ),
    method('_DIS', 0, or(route, integer(ROUTE_OFF), route)),
    method(
      '_CRS',
      0,
      dwordField(name('PRR'), INTERRUPT_NUMBER, 'PRRI'),
      store(route, local0),
      when(and(local0, integer(ROUTE_OFF)), store(integer(0), local0)),
      store(local0, name('PRRI')),
      give(name('PRR')),
    ),
    method('_SRS', 1, dwordField(arg0, INTERRUPT_NUMBER, 'PRRJ'), store(name('PRRJ'), route)),
  );
}
/** Which wire each pin of each slot is soldered to. */
function routing(): Aml {
  const entries: Aml[] = [];
  for (let slot = 0; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const wire = LINKS[pirqOf(slot << 3, pin + 1)]!;
      entries.push(packageOf(integer(slot * 0x1_0000 + 0xffff), integer(pin), name(`\\_SB.${wire}`), integer(0)));
    }
  }
  return packageOf(...entries);
}
const isaDevice = (path: string, id: string, uid: number, resources: Aml): Aml =>
  device(
    path,
    define('_HID', eisaId(id)),
    define('_UID', integer(uid)),
    define('_STA', integer(STATUS_ALL)),
    define('_CRS', resources),
  );

function isaBridge(board: AcpiBoard): Aml {
  return device(
    'ISA',
    define('_ADR', integer(0x0001_0000)),
    pciConfigBytes('PIRQ', ROUTE_REGISTERS, ROUTES),
    isaDevice('KBD', 'PNP0303', 0, template(ports(0x60, 1), ports(0x64, 1), isaInterrupt(1))),
    isaDevice('MOU', 'PNP0F13', 0, template(isaInterrupt(12))),
    isaDevice('RTC', 'PNP0B00', 0, template(ports(0x70, 8), isaInterrupt(8))),
    board.floppy
      ? isaDevice('FDC0', 'PNP0700', 0, template(ports(0x3f2, 4), ports(0x3f7, 1), isaInterrupt(6), dmaChannel(2)))
      : [],
    ...COM_PORTS.map(([base, line], i) =>
      board.serial[i] === true
        ? isaDevice(`COM${i + 1}`, 'PNP0501', i + 1, template(ports(base, 8), isaInterrupt(line)))
        : [],
    ),
  );
}
/** What nobody may give to another device. */
const motherboard = (): Aml =>
  isaDevice('MBRD', 'PNP0C02', 0, template(ports(SMI_COMMAND, 2), ports(PM_BASE, PM_PORTS), ports(GPE0_BASE, 4)));

function pciBus(board: AcpiBoard): Aml {
  const memoryStart = PCI_MEMORY_STARTS.find((start) => board.ramBytes <= start) ?? PCI_MEMORY_STARTS.at(-1)!;
  return device(
    'PCI0',
    define('_HID', eisaId('PNP0A03')),
    define('_UID', integer(0)),
    define('_BBN', integer(0)),
    define(
      '_CRS',
      template(
        busNumbers(0, 0xff),
        ports(0xcf8, 8),
        portWindow(0, 0xcf7),
        portWindow(0xd00, 0xffff),
        memoryWindow(0xa_0000, 0xb_ffff),
        memoryWindow(memoryStart, PCI_MEMORY_END),
      ),
    ),
    define('_PRT', routing()),
    isaBridge(board),
  );
}
const processors = (board: AcpiBoard): readonly Aml[] =>
  Array.from({ length: board.processors }, (_, i) =>
    device(`CPU${i}`, define('_HID', string('ACPI0007')), define('_UID', integer(i))),
  );
const hpet = (): Aml =>
  device(
    'HPET',
    define('_HID', eisaId('PNP0103')),
    define('_UID', integer(0)),
    define('_CRS', template(memory(HPET_BASE, HPET_BYTES))),
  );

/** The definition block's terms, without the table's header. */
export const boardTerms = (board: AcpiBoard): Aml => [
  ...scope('\\_SB', ...processors(board), pciBus(board), hpet(), motherboard(), ...LINKS.map((_, i) => link(i))),
  ...define('\\_S5', packageOf(integer(SOFT_OFF), integer(SOFT_OFF), integer(0), integer(0))),
];
