/**
 * The IDE function of the PIIX3 (Intel 82371SB datasheet, 290550, 2.3 and 2.7): two channels on the legacy ports, interrupts 14 and
 * 15, and a bus master. The timing registers are stored; of them only the decode enable bits do something. What a drive does is in
 * `disk.ts` and `packet-drive.ts`.
 */
import {
  defineDevice,
  typed,
  type Host,
  type PciFunction,
  type PciSlot,
  type PortClaim,
  type Width,
} from '../../machine/device.ts';
import { COMMAND_IO, COMMAND_MASTER, PCI_COMMAND } from '../../machine/pci-config.ts';
import { OPEN_BUS } from '../../machine/port-space.ts';
import type { BlockBackend } from '../virtio/block-backend.ts';
import { BusMaster } from './bus-master.ts';
import { Channel } from './channel.ts';
import { Disk } from './disk.ts';
import type { Drive } from './drive.ts';
import { ideDrives, type IdeDrive } from './drives.ts';
import { PacketDrive } from './packet-drive.ts';
import { DATA } from './registers.ts';
import { BUFFER_BYTES, ideState, type IdeState } from './state.ts';

export interface PiixIdeConfig {
  /** The channels decode their ports from reset on, as firmware sets it: for boards that boot without one. */
  readonly decodes?: boolean;
}

const INTEL = 0x8086;
const PIIX3_IDE = 0x7010;
/** Mass storage, IDE, with a bus master, on the legacy ports. */
const CLASS_IDE = 0x010180;
const SUBSYSTEM_VENDOR = 0x1af4;
const SUBSYSTEM = 0x1100;

/** IDETIM of the two channels, and SIDETIM. */
const IDE_TIMING = 0x40;
const SLAVE_TIMING = 0x44;
/** IDE decode enable: bit 15 of each. */
const DECODE_ENABLE = 0x80;

const CHANNELS = [
  { command: 0x1f0, control: 0x3f6, irq: 14 },
  { command: 0x170, control: 0x376, irq: 15 },
] as const;

export const piixIde = defineDevice({
  kind: 'piix-ide',
  version: 1,
  summary:
    'IDE controller (8086:7010): two channels with disks and CD-ROM drives, PIO and bus-master DMA; function 1 of the ISA bridge',
  config: typed<PiixIdeConfig>({}),
  state: ideState,
  attach({ config, state, host }) {
    const given = host.backend(ideDrives)?.drives ?? [];
    let slot: PciSlot | undefined;
    const command = (): number => slot?.config(PCI_COMMAND, 2) ?? 0;
    const channels = CHANNELS.map(({ irq }, index) =>
      buildChannel({
        state,
        host,
        index,
        given: given.slice(2 * index, 2 * index + 2),
        irq: (level) => host.irq(irq, level),
        mayMaster: () => (command() & COMMAND_MASTER) !== 0,
      }),
    );
    const decodes = (index: number): boolean =>
      (command() & COMMAND_IO) !== 0 && ((slot?.config(IDE_TIMING + 2 * index + 1, 1) ?? 0) & DECODE_ENABLE) !== 0;
    const enabled = config.decodes === true ? DECODE_ENABLE : 0;
    return {
      lines: CHANNELS.map(({ irq }) => irq),
      plugged: (plugged: PciSlot) => void (slot = plugged),
      ports: CHANNELS.flatMap((place, index) => claims(place, channels[index]!.channel, () => decodes(index))),
      pci: {
        vendorId: INTEL,
        deviceId: PIIX3_IDE,
        subsystemVendorId: SUBSYSTEM_VENDOR,
        subsystemId: SUBSYSTEM,
        classCode: CLASS_IDE,
        revision: 0,
        bars: [
          undefined,
          undefined,
          undefined,
          undefined,
          {
            space: 'io',
            size: 16,
            unit: 1,
            read: (offset) => channels[offset >> 3]!.busMaster.read(offset & 7),
            write: (offset, _width, value) => channels[offset >> 3]!.busMaster.write(offset & 7, value),
          },
        ],
        specific: {
          [IDE_TIMING]: 0,
          [IDE_TIMING + 1]: enabled,
          [IDE_TIMING + 2]: 0,
          [IDE_TIMING + 3]: enabled,
          [SLAVE_TIMING]: 0,
        },
      } satisfies PciFunction as PciFunction,
      /**
       * Lays a disc into a CD-ROM drive (0 primary master .. 3 secondary slave), or takes out the one that is there. False when there
       * is no such drive. Call between accesses.
       */
      insert(drive: number, disc: BlockBackend | undefined): boolean {
        const found = channels[drive >> 1]?.drives[drive & 1];
        if (!(found instanceof PacketDrive)) return false;
        found.insert(disc);
        return true;
      },
      settle: () => {
        for (const { channel } of channels) channel.settle();
      },
    };
  },
});

function buildChannel(parts: {
  state: IdeState;
  host: Host;
  index: number;
  given: readonly (IdeDrive | undefined)[];
  irq: (level: boolean) => void;
  mayMaster: () => boolean;
}): { channel: Channel; busMaster: BusMaster; drives: readonly (Drive | undefined)[] } {
  const { state, host, index, given, irq, mayMaster } = parts;
  const own = () => state.channels[index]!;
  const busMaster = new BusMaster(() => own().busMaster, {
    memory: host.memory,
    mayMaster,
    started: () => channel.pump(),
  });
  const drives = [0, 1].map((which): Drive | undefined => {
    const drive = given[which];
    if (drive === undefined) return undefined;
    const staging = host.staging(BUFFER_BYTES);
    const interruptChanged = (): void => channel.update();
    const place = { state: () => own().drives[which]!, host, staging, busMaster, interruptChanged };
    return drive.kind === 'disk'
      ? new Disk({ ...place, backend: drive.disk })
      : new PacketDrive({ ...place, backend: drive.disc });
  });
  const channel = new Channel({ state: own, drives, busMaster, irq, waits: () => host.signal('io-wait', 0) });
  return { channel, busMaster, drives };
}

/** The command block, and the one port of the control block that is a drive's: 3F7h belongs to the floppy controller. */
function claims(
  { command, control }: { command: number; control: number },
  channel: Channel,
  decodes: () => boolean,
): PortClaim[] {
  const open = (offset: number): boolean => (offset === DATA && channel.isMoving) || decodes();
  return [
    {
      base: command,
      count: 8,
      // While a DRQ block moves, its words are not asked one by one whether the channel decodes.
      read: (offset: number, width: Width) => (open(offset) ? channel.read(offset, width) : OPEN_BUS[width]),
      write: (offset, width, value) => (open(offset) ? channel.write(offset, width, value) : undefined),
      readBlock: (offset, width, into) => (offset === DATA && decodes() ? channel.readBlock(width, into) : 0),
      writeBlock: (offset, width, from) => (offset === DATA && decodes() ? channel.writeBlock(width, from) : 0),
    },
    {
      base: control,
      count: 1,
      read: () => (decodes() ? channel.alternateStatus() : OPEN_BUS[1]),
      write: (_offset, _width, value) => (decodes() ? channel.writeControl(value) : undefined),
    },
  ];
}
