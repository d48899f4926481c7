/**
 * What a CD-ROM drive says about itself and its disc, which has one session with one data track: the parameter data of SPC-3 and
 * MMC-5. Multi-byte fields are big-endian.
 */

export const BLOCK_BYTES = 2048;
/** A disc of more blocks than a CD of eighty minutes is a DVD. */
const CD_BLOCKS = 80 * 60 * 75;
const PROFILE_CD_ROM = 0x0008;
const PROFILE_DVD_ROM = 0x0010;
/** "Data track, recorded uninterrupted", ADR 1. */
const TRACK_CONTROL = 0x14;
const LEAD_OUT = 0xaa;
/** Two seconds before block 0. */
const PREGAP = 150;

export const isDvd = (blocks: number): boolean => blocks > CD_BLOCKS;

export const u16 = (value: number): [number, number] => [(value >> 8) & 0xff, value & 0xff];
export const u32 = (value: number): [number, number, number, number] => [
  (value >>> 24) & 0xff,
  (value >>> 16) & 0xff,
  (value >>> 8) & 0xff,
  value & 0xff,
];
const padded = (text: string, length: number): number[] =>
  [...text.padEnd(length).slice(0, length)].map((c) => c.charCodeAt(0));

/** Minutes, seconds and frames from the start of the disc. */
export function msf(block: number): [number, number, number] {
  const frames = block + PREGAP;
  return [Math.floor(frames / 75 / 60) & 0xff, Math.floor(frames / 75) % 60, frames % 75];
}
const address = (block: number, asMsf: boolean): number[] => (asMsf ? [0, ...msf(block)] : u32(block));

/** INQUIRY: a removable CD-ROM drive (SPC-3, 6.4.2). */
export const inquiry = (revision: string): number[] => [
  ...[0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0],
  ...padded('TOMEI', 8),
  ...padded('DVD-ROM', 16),
  ...padded(revision, 4),
];

/** READ TOC/PMA/ATIP (MMC-5, 6.27); undefined for a track or format that there is not. */
export function tableOfContents(format: number, asMsf: boolean, start: number, blocks: number): number[] | undefined {
  const whole = (body: number[], first = 1, last = 1): number[] => [...u16(body.length + 2), first, last, ...body];
  if (format === 0) {
    if (start > 1 && start !== LEAD_OUT) return undefined;
    const track = [0, TRACK_CONTROL, 1, 0, ...address(0, asMsf)];
    const leadOut = [0, TRACK_CONTROL, LEAD_OUT, 0, ...address(blocks, asMsf)];
    return whole(start === LEAD_OUT ? leadOut : [...track, ...leadOut]);
  }
  if (format === 1) return whole([0, TRACK_CONTROL, 1, 0, ...address(0, asMsf)]);
  if (format === 2) {
    const point = (number: number, position: number[]): number[] => [1, TRACK_CONTROL, 0, number, 0, 0, 0, ...position];
    return whole([
      ...point(0xa0, [0, 1, 0, 0]),
      ...point(0xa1, [0, 1, 0, 0]),
      ...point(0xa2, [0, ...msf(blocks)]),
      ...point(1, [0, ...msf(0)]),
    ]);
  }
  return undefined;
}

/** READ SUB-CHANNEL (MMC-5, 6.26): nothing is playing. */
export function subChannel(format: number, subQ: boolean): number[] | undefined {
  const NO_AUDIO = 0x15;
  const whole = (body: number[]): number[] => [0, NO_AUDIO, ...u16(body.length), ...body];
  if (!subQ) return whole([]);
  if (format === 1) return whole([1, TRACK_CONTROL, 1, 1, ...u32(0), ...u32(0)]);
  // Media catalogue number, and ISRC: none.
  if (format === 2 || format === 3) return whole([format, ...new Array<number>(19).fill(0)]);
  return undefined;
}

/** What MODE SENSE says of the medium (SFF-8020i, 10.8.6). */
export type Medium = 'disc' | 'none' | 'open';
const MEDIUM_TYPES: Readonly<Record<Medium, number>> = { disc: 0x01, none: 0x70, open: 0x71 };

/** MODE SENSE (10) of one page or all (3Fh) (MMC-5, 7); undefined for a page that there is not. */
export function modePages(page: number, medium: Medium, locked: boolean): number[] | undefined {
  const pages: Readonly<Record<number, number[]>> = {
    // Read error recovery.
    0x01: [0x01, 6, 0, 5, 0, 0, 0, 0],
    // CD audio control: both channels at full volume.
    0x0e: [0x0e, 14, 4, 0, 0, 0, 0, 0, 1, 0xff, 2, 0xff, 0, 0, 0, 0],
    0x2a: capabilities(locked),
  };
  const body = page === 0x3f ? Object.values(pages).flat() : pages[page];
  return body === undefined ? undefined : [...u16(body.length + 6), MEDIUM_TYPES[medium], 0, 0, 0, 0, 0, ...body];
}
/** Page 2Ah: reads CD-R, CD-RW and DVD-ROM, a tray that ejects and locks. Speeds are in kB/s. */
function capabilities(locked: boolean): number[] {
  const SPEED = 706 * 10;
  return [
    ...[0x2a, 18, 0x0b, 0x00, 0x70, 0x00, 0x29 | (locked ? 0x02 : 0), 0x00],
    ...[...u16(SPEED), ...u16(2), ...u16(512), ...u16(SPEED), 0, 0, 0, 0],
  ];
}

/** GET CONFIGURATION (MMC-5, 6.6 and 5): features from `first` on; `only` asks for that one alone, `current` for those in force. */
export function configuration(how: 'all' | 'current' | 'only', first: number, blocks: number | undefined): number[] {
  const isThere = blocks !== undefined;
  const profile = !isThere ? 0 : isDvd(blocks) ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
  const feature = (code: number, version: number, persistent: boolean, inForce: boolean, data: number[]) => ({
    code,
    inForce,
    bytes: [...u16(code), (version << 2) | (persistent ? 2 : 0) | (inForce ? 1 : 0), data.length, ...data],
  });
  const listed = (p: number): number[] => [...u16(p), p === profile ? 1 : 0, 0];
  const features = [
    feature(0x0000, 0, true, true, [...listed(PROFILE_DVD_ROM), ...listed(PROFILE_CD_ROM)]),
    // Core: ATAPI.
    feature(0x0001, 2, true, true, [...u32(2), 1, 0, 0, 0]),
    // Morphing: events are polled for.
    feature(0x0002, 1, true, true, [2, 0, 0, 0]),
    // Removable medium: a tray that ejects and locks.
    feature(0x0003, 0, true, true, [0x29, 0, 0, 0]),
    feature(0x0010, 0, false, isThere, [...u32(BLOCK_BYTES), ...u16(1), 0, 0]),
    feature(0x001e, 2, false, profile === PROFILE_CD_ROM, [0, 0, 0, 0]),
    feature(0x001f, 0, false, profile === PROFILE_DVD_ROM, [0, 0, 0, 0]),
  ];
  const wanted = features.filter(({ code, inForce }) =>
    how === 'only' ? code === first : code >= first && (how === 'all' || inForce),
  );
  const body = wanted.flatMap(({ bytes }) => bytes);
  return [...u32(body.length + 4), 0, 0, ...u16(profile), ...body];
}

/** GET EVENT STATUS NOTIFICATION of the media class (MMC-5, 6.7); without it asked for, that it is the one there is. */
export function eventStatus(classes: number, event: number, medium: Medium): number[] {
  const MEDIA = 4;
  if ((classes & (1 << MEDIA)) === 0) return [...u16(2), 0x80, 1 << MEDIA];
  const status = medium === 'open' ? 1 : medium === 'disc' ? 2 : 0;
  return [...u16(6), MEDIA, 1 << MEDIA, event, status, 0, 0];
}

/** READ DISC INFORMATION (MMC-5, 6.22): a finished disc with one complete session. */
export const discInformation = (): number[] => [...u16(32), 0x0e, 1, 1, 1, 1, 0x20, ...new Array<number>(26).fill(0)];

/** MECHANISM STATUS (MMC-5, 6.12): no changer. */
export const mechanismStatus = (medium: Medium): number[] => [0, medium === 'open' ? 0x10 : 0, 0, 0, 0, 1, 0, 0];
