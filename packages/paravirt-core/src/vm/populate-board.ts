/** Which devices a machine has, and in which places: a PC of Intel's 440FX with a PIIX. */
import { TIMESTAMP_HZ } from '../core/cpuid.ts';
import { piix4Pm } from '../devices/acpi-pm.ts';
import { coprocessorError } from '../devices/coprocessor-error.ts';
import { eoiAssist } from '../devices/eoi-assist.ts';
import { debugExit } from '../devices/debug-exit.ts';
import { debugcon, debugconBackend, type DebugconBackend } from '../devices/debugcon.ts';
import { e1000 } from '../devices/e1000/e1000.ts';
import { fwCfg } from '../devices/fw-cfg.ts';
import { i440fxHost, piix3 } from '../devices/i440fx.ts';
import { dma8237 } from '../devices/dma8237.ts';
import { fdc82077, floppyDrives, floppyKindOf } from '../devices/floppy/index.ts';
import { defaultGeometry, ideDrives, piixIde, type IdeDrive } from '../devices/ide/index.ts';
import { HPET_BASE, hpet } from '../devices/hpet.ts';
import { IOAPIC_BASE, ioapic } from '../devices/ioapic.ts';
import { lapic } from '../devices/lapic.ts';
import { nicBackend, type NicBackend } from '../devices/nic-backend.ts';
import { pic8259 } from '../devices/pic8259.ts';
import { pit8254 } from '../devices/pit8254.ts';
import { ps2 } from '../devices/ps2.ts';
import { rtcCmos } from '../devices/rtc-cmos.ts';
import type { CmosSetup } from '../devices/rtc-setup.ts';
import { serialBackend, uart16550, type SerialBackend } from '../devices/uart16550.ts';
import { videoMemoryBackend, vga, type VgaParts, type VideoMemory } from '../devices/vga.ts';
import { virtioBlock } from '../devices/virtio/block.ts';
import { blockBackend, type BlockBackend } from '../devices/virtio/block-backend.ts';
import { virtioNet } from '../devices/virtio/net.ts';
import { PM_BASE, type AcpiBoard } from '../firmware/acpi/dsdt.ts';
import { firmwareConfiguration } from '../firmware/fw-cfg-items.ts';
import { backend, type Board } from '../machine/board.ts';
import type { Device, DeviceOf } from '../machine/device.ts';
import { kvm, otherProcessors } from '../paravirt/kvm.ts';
import {
  generalRegisters,
  hostClipboard,
  vmwareBackdoor,
  type GeneralRegisters,
  type HostClipboard,
} from '../paravirt/vmware-backdoor.ts';
import { vmi, vmiProcessors } from '../vmi/index.ts';
import { kvmFeatures } from './hypervisor.ts';
import { processorsOf, type MachineConfig } from './machine-config.ts';
import { vmiRomOf } from './vmi-memory.ts';
import { plugVirtio, type VirtioBackends, type VirtioParts } from './plug-virtio.ts';

/** The host's ends of what is plugged in. */
export interface MachineBackends {
  /** COM1..COM4; undefined leaves the port out. */
  readonly serial: readonly (SerialBackend | undefined)[];
  /** Disks of the virtio kind. */
  readonly disks: readonly BlockBackend[];
  /** Primary master, primary slave, secondary master, secondary slave. */
  readonly ide?: readonly (IdeDrive | undefined)[];
  /** A: and B:. An empty drive is null, no drive undefined. */
  readonly floppies?: readonly (BlockBackend | null | undefined)[];
  /** Network cards, by number; at most eight. */
  readonly networks?: readonly NetworkCard[];
  /** Paravirtual devices beside disks and network cards. */
  readonly virtio?: VirtioBackends;
  /** Who hears of what drivers of paravirtual devices did wrong; the guest decides how often. */
  readonly trouble?: (device: string, what: string) => void;
  /** Where firmware's own log goes. */
  readonly firmwareLog?: DebugconBackend;
  /** Who hears of texts that the guest has copied. */
  readonly clipboard?: HostClipboard;
  /**
   * For how many nanoseconds the processor's thread has been ready to run without a processor of the host's, in all; undefined when
   * the host does not say. Only looked at where time is real.
   */
  readonly hostWait?: () => number | undefined;
  /** Milliseconds of the host by which work is timed; the clock of `performance` when absent. No guest sees it. */
  readonly hostTime?: () => number;
}
/** A network card. */
export interface NetworkCard {
  /** An e1000 when absent. */
  readonly device?: 'e1000' | 'virtio';
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** Absent: nothing is plugged in. */
  readonly wire?: NicBackend;
  /** An option ROM that boots an e1000 from the network. */
  readonly rom?: Uint8Array;
}
/** What the board has of the machine. */
export interface MachineParts {
  readonly video: VideoMemory;
  /** Of a virtio GPU; undefined: there is none. */
  readonly gpu: Uint8Array | undefined;
  /** Of the processor that executes. */
  readonly registers: GeneralRegisters;
  /** The page of the root of a processor's address space; undefined while it has none. */
  readonly root: (processor: number) => number | undefined;
  /** The processor that executes gives its turn to another. */
  readonly yieldTo: (processor: number) => void;
}
/** The devices that the machine itself talks to. */
export interface BoardParts {
  readonly virtio: VirtioParts;
  readonly serial: readonly (Device | undefined)[];
  readonly keyboard: DeviceOf<typeof ps2>;
  /** By processor. */
  readonly localApics: readonly DeviceOf<typeof lapic>[];
  readonly fpuErrors: DeviceOf<typeof coprocessorError>;
  readonly hostBridge: DeviceOf<typeof i440fxHost>;
  readonly display: Device<VgaParts>;
  readonly power: DeviceOf<typeof piix4Pm>;
  readonly ide: DeviceOf<typeof piixIde> | undefined;
  /** By processor; none where the guest finds no hypervisor. */
  readonly kvms: readonly DeviceOf<typeof kvm>[];
  /** Absent where the guest finds no VMI ROM. */
  readonly vmi: DeviceOf<typeof vmi> | undefined;
  /** Absent in a plain PC. */
  readonly backdoor: DeviceOf<typeof vmwareBackdoor> | undefined;
}

/** The local APIC's timer counts nanoseconds. */
const APIC_HZ = 1e9;
const COM_PORTS = [
  [0x3f8, 4],
  [0x2f8, 3],
  [0x3e8, 4],
  [0x2e8, 3],
] as const;
/** Slots of the PCI bus. */
const SLOT_HOST_BRIDGE = 0;
const SLOT_ISA = 1;
const FUNCTION_IDE = 1;
const FUNCTION_POWER = 3;
const SLOT_VGA = 2;
const SLOT_NETWORK = 3;
const SLOT_FIRST_DISK = 4;
/** The port at which SeaBIOS writes its log. */
const FIRMWARE_LOG_PORT = 0x402;

/** Puts everything onto an empty board. */
export function populateBoard(
  board: Board,
  config: MachineConfig,
  backends: MachineBackends,
  { video, gpu, registers, root, yieldTo }: MachineParts,
): BoardParts {
  board.add(pic8259, {});
  const { localApics, kvms } = addProcessorParts(board, config, yieldTo);
  const rom = vmiRomOf(config);
  const vmiHost =
    rom === undefined
      ? undefined
      : board.add(
          vmi,
          { epoch: config.epoch, processors: localApics.length },
          {
            backends: [
              backend(
                vmiProcessors,
                localApics.map(({ parts: { readRegister, writeRegister, timerInterrupt } }, index) => ({
                  ...{ readRegister, writeRegister, timerInterrupt },
                  root: () => root(index),
                })),
              ),
            ],
          },
        );
  board.add(ioapic, { base: IOAPIC_BASE });
  const hostBridge = board.add(i440fxHost, {}, { slot: SLOT_HOST_BRIDGE });
  board.add(piix3, {}, { slot: SLOT_ISA });
  board.add(pit8254, {});
  board.add(rtcCmos, {
    epoch: config.epoch,
    memoryBytes: config.ramBytes,
    setup: cmosSetup(backends, config.bootOrder),
  });
  board.add(dma8237, {});
  const keyboard = board.add(ps2, {});
  const fpuErrors = board.add(coprocessorError, {});
  if (config.debugExit ?? config.firmware === undefined) board.add(debugExit, { base: 0xf4, count: 4 });
  const serial = COM_PORTS.map(([base, irq], i) => {
    const end = backends.serial[i];
    return end === undefined
      ? undefined
      : board.add(uart16550, { base, irq }, { name: `serial${i}`, backends: [backend(serialBackend, end)] });
  });
  const { firmware } = config;
  const ide = backends.ide ?? [];
  // Without firmware nobody switches the channels on.
  const ideController =
    firmware !== undefined || ide.some((drive) => drive !== undefined)
      ? board.add(
          piixIde,
          { decodes: firmware === undefined },
          { slot: SLOT_ISA, function: FUNCTION_IDE, backends: [backend(ideDrives, { drives: ide })] },
        )
      : undefined;
  const power = board.add(
    piix4Pm,
    { base: firmware === undefined ? PM_BASE : 0 },
    { slot: SLOT_ISA, function: FUNCTION_POWER },
  );
  board.add(hpet, { base: HPET_BASE });
  const floppies = backends.floppies ?? [];
  if (floppies.some((drive) => drive !== undefined))
    board.add(fdc82077, {}, { backends: [backend(floppyDrives, { drives: floppies })] });
  const display = board.add(
    vga,
    {
      initialMode: firmware === undefined ? 'text' : 'reset',
      ...(firmware?.videoBios === undefined ? {} : { rom: firmware.videoBios }),
    },
    { slot: SLOT_VGA, backends: [backend(videoMemoryBackend, video)] },
  );
  backends.disks.forEach((disk, i) => {
    board.add(
      virtioBlock,
      {},
      { name: `disk${i}`, slot: SLOT_FIRST_DISK + i, backends: [backend(blockBackend, disk)] },
    );
  });
  // The first card where QEMU has it, the others behind the disks.
  for (const [i, { device, mac, wire, rom: bootRom }] of (backends.networks ?? []).entries()) {
    const place = {
      name: `network${i}`,
      slot: i === 0 ? SLOT_NETWORK : SLOT_FIRST_DISK + backends.disks.length + i - 1,
      backends: wire === undefined ? [] : [backend(nicBackend, wire)],
    };
    if (device === 'virtio') board.add(virtioNet, { mac }, place);
    else board.add(e1000, { mac, ...(bootRom === undefined ? {} : { rom: bootRom }) }, place);
  }
  const virtio = plugVirtio(board, { ...backends.virtio, ...(gpu === undefined ? {} : { gpu }) });
  if (firmware !== undefined) {
    const roms = rom === undefined ? [] : [{ name: 'genroms/vmi.rom', bytes: rom.bytes }];
    board.add(fwCfg, firmwareConfiguration(acpiBoard(config, backends), roms));
    const log = backends.firmwareLog;
    board.add(
      debugcon,
      { port: FIRMWARE_LOG_PORT },
      { name: 'firmware-log', backends: log === undefined ? [] : [backend(debugconBackend, log)] },
    );
  }
  const backdoor = config.paravirt === 'kvm' ? addBackdoor(board, config, backends, registers) : undefined;
  return {
    ...{ serial, keyboard, localApics, fpuErrors, hostBridge, display, power },
    ...{ ide: ideController, kvms, vmi: vmiHost, virtio, backdoor },
  };
}

function addBackdoor(
  board: Board,
  { ramBytes, epoch, tools = {} }: MachineConfig,
  { clipboard }: MachineBackends,
  registers: GeneralRegisters,
): DeviceOf<typeof vmwareBackdoor> {
  const exchange = { copy: tools.noCopy !== true, paste: tools.noPaste !== true };
  return board.add(
    vmwareBackdoor,
    {
      ...{ ramBytes, epoch, timestampHz: TIMESTAMP_HZ, busHz: APIC_HZ },
      ...{ clipboard: exchange, info: tools.info ?? {} },
    },
    {
      backends: [
        backend(generalRegisters, registers),
        ...(clipboard === undefined ? [] : [backend(hostClipboard, clipboard)]),
      ],
    },
  );
}

/** What each processor has of its own on the board: a local APIC, and KVM's registers. */
function addProcessorParts(
  board: Board,
  config: MachineConfig,
  yieldTo: MachineParts['yieldTo'],
): Pick<BoardParts, 'localApics' | 'kvms'> {
  const features = kvmFeatures(config),
    processors = processorsOf(config),
    localApics: DeviceOf<typeof lapic>[] = [],
    kvms: DeviceOf<typeof kvm>[] = [];
  const others =
    processors === 1 ? [] : [backend(otherProcessors, { kick: (id) => kvms[id]?.parts.kicked(), yieldTo })];
  for (let processor = 0; processor < processors; processor++) {
    if (features !== undefined)
      kvms.push(board.add(kvm, { features, epoch: config.epoch, processors }, { processor, backends: others }));
    const eoi = kvms[processor]?.parts.eoi,
      backends = eoi === undefined ? [] : [backend(eoiAssist, eoi)];
    localApics.push(board.add(lapic, { id: processor }, { processor, backends }));
  }
  return { localApics, kvms };
}

/** The board as firmware tables describe it. */
export const acpiBoard = (config: MachineConfig, backends: MachineBackends): AcpiBoard => ({
  ramBytes: config.ramBytes,
  processors: processorsOf(config),
  ...(config.coresPerSocket === undefined ? {} : { coresPerSocket: config.coresPerSocket }),
  serial: COM_PORTS.map((_, i) => backends.serial[i] !== undefined),
  floppy: (backends.floppies ?? []).some((drive) => drive !== undefined),
});

/** What the machine's set-up has found and stored for the BIOS. */
function cmosSetup({ ide = [], floppies = [] }: MachineBackends, boot: MachineConfig['bootOrder']): CmosSetup {
  return {
    ...(boot === undefined ? {} : { boot }),
    floppies: floppies.map((disk) => (disk === undefined ? undefined : floppyKindOf(disk?.sectors ?? null))),
    disks: ide.map((drive) => {
      if (drive?.kind !== 'disk') return undefined;
      const { cylinders, heads, sectorsPerTrack } = defaultGeometry(drive.disk.sectors);
      return { cylinders, heads, sectors: sectorsPerTrack };
    }),
  };
}
