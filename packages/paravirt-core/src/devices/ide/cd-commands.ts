/**
 * The packet commands of a CD-ROM drive (SFF-8020i; MMC-5, 6): from the twelve bytes of a packet to what is to be done. Blocks are
 * 2048 bytes; what CDs hold beside them (audio, sub-channels, raw sectors) an image does not have.
 */
import {
  configuration,
  discInformation,
  eventStatus,
  inquiry,
  mechanismStatus,
  modePages,
  subChannel,
  tableOfContents,
  u32,
  BLOCK_BYTES,
  type Medium,
} from './cd-answers.ts';
import { FIRMWARE_REVISION } from './identify.ts';
import {
  BLOCK_OUT_OF_RANGE,
  INVALID_FIELD,
  INVALID_OPERATION,
  NO_MEDIUM_TRAY_CLOSED,
  NO_MEDIUM_TRAY_OPEN,
  REMOVAL_PREVENTED,
  SAVING_NOT_SUPPORTED,
  senseBytes,
  type Sense,
} from './sense.ts';

/** The drive as commands see it. */
export interface CdView {
  /** Of the disc; undefined when there is none or the tray is open. */
  readonly blocks: number | undefined;
  readonly medium: Medium;
  readonly locked: boolean;
  readonly sense: Sense;
  /** Event code that the guest has not heard: 2 new medium, 3 medium removed. */
  readonly event: number;
}
/** What a command comes to. */
export type CdAction =
  | { readonly do: 'nothing' }
  | { readonly do: 'fail'; readonly sense: Sense }
  | { readonly do: 'reply'; readonly bytes: Uint8Array; readonly heard?: 'sense' | 'event' }
  | { readonly do: 'read'; readonly block: number; readonly count: number }
  | { readonly do: 'lock'; readonly locked: boolean }
  | { readonly do: 'tray'; readonly open: boolean };

type Packet = DataView;
interface Command {
  /** Needs a disc. */
  readonly disc?: boolean;
  /** Is carried out without telling of a changed medium first. */
  readonly quiet?: boolean;
  run(packet: Packet, view: CdView, blocks: number): CdAction;
}

const NOTHING: CdAction = { do: 'nothing' };
const fail = (sense: Sense): CdAction => ({ do: 'fail', sense });
const reply = (bytes: readonly number[] | undefined, room: number): CdAction =>
  bytes === undefined ? fail(INVALID_FIELD) : { do: 'reply', bytes: Uint8Array.from(bytes.slice(0, room)) };
const read = (block: number, count: number, blocks: number): CdAction => {
  if (count === 0) return NOTHING;
  return block + count > blocks ? fail(BLOCK_OUT_OF_RANGE) : { do: 'read', block, count };
};
const within = (block: number, blocks: number): CdAction => (block < blocks ? NOTHING : fail(BLOCK_OUT_OF_RANGE));

/** READ CD (6.19): what of a sector is wanted, in byte 9. Header, EDC and sub-channel data an image does not have. */
const USER_DATA = 0x10;
const CONFIGURATION_KINDS = ['all', 'current', 'only'] as const;

const COMMANDS: Readonly<Record<number, Command>> = {
  /** TEST UNIT READY. */
  0x00: { disc: true, run: () => NOTHING },
  /** REQUEST SENSE. */
  0x03: {
    quiet: true,
    run: (p, { sense }) => ({ do: 'reply', bytes: senseBytes(sense).slice(0, p.getUint8(4)), heard: 'sense' }),
  },
  /** INQUIRY; there are no vital product data. */
  0x12: {
    quiet: true,
    run: (p) =>
      (p.getUint8(1) & 1) !== 0 || p.getUint8(2) !== 0
        ? fail(INVALID_FIELD)
        : reply(inquiry(FIRMWARE_REVISION), p.getUint16(3)),
  },
  /** START STOP UNIT. */
  0x1b: {
    run: (p, { locked }) => {
      const how = p.getUint8(4) & 3;
      if (how < 2) return NOTHING;
      if (how === 2 && locked) return fail(REMOVAL_PREVENTED);
      return { do: 'tray', open: how === 2 };
    },
  },
  /** PREVENT ALLOW MEDIUM REMOVAL. */
  0x1e: { run: (p) => ({ do: 'lock', locked: (p.getUint8(4) & 1) !== 0 }) },
  /** READ CAPACITY. */
  0x25: { disc: true, run: (_p, _v, blocks) => reply([...u32(blocks - 1), ...u32(BLOCK_BYTES)], 8) },
  /** READ (10) and (12). */
  0x28: { disc: true, run: (p, _v, blocks) => read(p.getUint32(2), p.getUint16(7), blocks) },
  0xa8: { disc: true, run: (p, _v, blocks) => read(p.getUint32(2), p.getUint32(6), blocks) },
  /** SEEK (10), VERIFY (10). */
  0x2b: { disc: true, run: (p, _v, blocks) => within(p.getUint32(2), blocks) },
  0x2f: {
    disc: true,
    run: (p, _v, blocks) => (p.getUint32(2) + p.getUint16(7) <= blocks ? NOTHING : fail(BLOCK_OUT_OF_RANGE)),
  },
  /** READ SUB-CHANNEL. */
  0x42: { disc: true, run: (p) => reply(subChannel(p.getUint8(3), (p.getUint8(2) & 0x40) !== 0), p.getUint16(7)) },
  /** READ TOC/PMA/ATIP; the format is where MMC has it, or where SFF-8020i had it. */
  0x43: {
    disc: true,
    run: (p, _v, blocks) => {
      const format = p.getUint8(2) & 0x0f || p.getUint8(9) >> 6;
      return reply(tableOfContents(format, (p.getUint8(1) & 2) !== 0, p.getUint8(6), blocks), p.getUint16(7));
    },
  },
  /** GET CONFIGURATION. */
  0x46: {
    quiet: true,
    run: (p, { blocks }) => {
      const how = CONFIGURATION_KINDS[p.getUint8(1) & 3];
      return how === undefined
        ? fail(INVALID_FIELD)
        : reply(configuration(how, p.getUint16(2), blocks), p.getUint16(7));
    },
  },
  /** GET EVENT STATUS NOTIFICATION: only polled for. */
  0x4a: {
    quiet: true,
    run: (p, { event, medium }) => {
      if ((p.getUint8(1) & 1) === 0) return fail(INVALID_FIELD);
      const answer = reply(eventStatus(p.getUint8(4), event, medium), p.getUint16(7));
      return answer.do === 'reply' && answer.bytes.length > 4 ? { ...answer, heard: 'event' } : answer;
    },
  },
  /** READ DISC INFORMATION. */
  0x51: {
    disc: true,
    run: (p) => ((p.getUint8(1) & 7) !== 0 ? fail(INVALID_FIELD) : reply(discInformation(), p.getUint16(7))),
  },
  /** MODE SENSE (10): nothing is saved, nothing can be changed. */
  0x5a: {
    run: (p, { medium, locked }) => {
      const control = p.getUint8(2) >> 6;
      const pages = modePages(p.getUint8(2) & 0x3f, medium, locked);
      if (control === 3) return fail(SAVING_NOT_SUPPORTED);
      return reply(control === 1 ? unchangeable(pages) : pages, p.getUint16(7));
    },
  },
  /** SET CD SPEED. */
  0xbb: { run: () => NOTHING },
  /** MECHANISM STATUS. */
  0xbd: { run: (p, { medium }) => reply(mechanismStatus(medium), p.getUint16(8)) },
  /** READ CD. */
  0xbe: {
    disc: true,
    run: (p, _v, blocks) => {
      const count = (p.getUint8(6) << 16) | p.getUint16(7);
      const flags = p.getUint8(9);
      if (flags === 0) return NOTHING;
      const isPlain = flags === USER_DATA && (p.getUint8(10) & 7) === 0 && [0, 2, 4].includes((p.getUint8(1) >> 2) & 7);
      return isPlain ? read(p.getUint32(2), count, blocks) : fail(INVALID_FIELD);
    },
  },
};

/** A mode page of which no bit can be changed: header, code and length stay. */
function unchangeable(pages: number[] | undefined): number[] | undefined {
  if (pages === undefined) return undefined;
  const HEADER = 8;
  const bytes = pages.slice();
  for (let at = HEADER; at < bytes.length; at += 2 + pages[at + 1]!) bytes.fill(0, at + 2, at + 2 + pages[at + 1]!);
  return bytes;
}

/** Whether a unit attention is told before this command is carried out. */
export const isQuiet = (operation: number): boolean => COMMANDS[operation]?.quiet === true;

/** What the packet asks for. Changes nothing. */
export function runPacket(bytes: Uint8Array, view: CdView): CdAction {
  const packet = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const command = COMMANDS[bytes[0]!];
  if (command === undefined) return fail(INVALID_OPERATION);
  if (command.disc === true && view.blocks === undefined)
    return fail(view.medium === 'open' ? NO_MEDIUM_TRAY_OPEN : NO_MEDIUM_TRAY_CLOSED);
  return command.run(packet, view, view.blocks ?? 0);
}
