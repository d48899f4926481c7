/** Which code a region takes in, of code that is given as bytes. */
import { describe, expect, it } from 'vitest';
import { decoder } from '../core/processor.ts';
import { findRegion, type CodeSource, type Region, type Width } from './region.ts';

const PAGE = 0x8000;
/** One page of code, all of it decoded and landed on often. */
function regionOf(
  bytes: readonly number[],
  width: Width,
  source: Partial<CodeSource> = {},
  isDecoded: (offset: number) => boolean = () => true,
): Region {
  const page = new Uint8Array(4096).fill(0xf4);
  page.set(bytes);
  const found = findRegion(
    PAGE,
    decoder(),
    {
      page: (linear) =>
        linear >>> 0 !== PAGE
          ? undefined
          : {
              bytes: page,
              physical: PAGE,
              host: 0x10_0000,
              generation: 1,
              isDecoded,
              handlerAt: () => undefined,
              crossingAt: () => undefined,
            },
      word: () => undefined,
      landings: () => 1000,
      landed: () => [],
      jumped: () => [],
      fewestLandings: 1,
      isEntry: () => false,
      isWanted: () => false,
      ...source,
    },
    width,
  );
  if (found === undefined) throw new Error('no region');
  return found;
}
const placesOf = ({ blocks }: Region): number[] => [...blocks.keys()].sort((a, b) => a - b);
/** MOV EAX,[EBX+ECX*4]; JMP EAX, as position-independent interpreters have it: the table is not known. */
const JUMP = [0x8b, 0x04, 0x8b, 0xff, 0xe0];
/** CALL EAX; RET */
const CALL = [0xff, 0xd0, 0xc3];

describe('a region with an indirect jump', () => {
  it('is worth to be made wider when it is narrow: its targets are noted meanwhile', () => {
    const region = regionOf(JUMP, 'narrow');
    expect([placesOf(region), region.mayWiden]).toEqual([[0], true]);
  });
  it('takes in where the jump went, the likeliest first', () => {
    const asked: number[] = [];
    const jumped = (physical: number): number[] => {
      asked.push(physical);
      return [PAGE + 0x40, PAGE + 0x20];
    };
    const region = regionOf(JUMP, 'wide', { jumped });
    expect(asked).toEqual([PAGE + 3]);
    expect(placesOf(region)).toEqual([0, 0x20, 0x40]);
    expect(region.blocks.get(0)!.guesses).toEqual([0x40, 0x20]);
  });
  it('leaves out what is no code of its pages, and what control has not landed on', () => {
    const region = regionOf(JUMP, 'wide', {
      jumped: () => [0x1234_5678, PAGE + 0x20, PAGE + 0x30, 0, 0xffff_ffff],
      landings: (physical) => (physical === PAGE + 0x30 ? -1 : 5),
    });
    expect([placesOf(region), region.blocks.get(0)!.guesses]).toEqual([[0, 0x20], [0x20]]);
  });
  it('falls back on places close by that control lands on', () => {
    expect(placesOf(regionOf(JUMP, 'wide', { landed: () => [0x20, 0x900] }))).toEqual([0, 0x20]);
  });
});

describe('a region with an indirect call', () => {
  it('takes in what was called, and where it returns to', () => {
    const region = regionOf(CALL, 'wide', { jumped: () => [PAGE + 0x20] });
    expect(placesOf(region)).toEqual([0, 2, 0x20]);
  });
  it('ends there when nothing is known, or when it is narrow', () => {
    expect(placesOf(regionOf(CALL, 'wide'))).toEqual([0]);
    expect(placesOf(regionOf(CALL, 'narrow', { jumped: () => [PAGE + 0x20] }))).toEqual([0]);
  });
});

describe('a narrow region', () => {
  /** test eax, eax; jz +6; nop; call +0; nop; ret */
  const FUNCTION = [0x85, 0xc0, 0x74, 0x06, 0x90, 0xe8, 0, 0, 0, 0, 0x90, 0xc3],
    BEHIND_CALL = 10;
  const at = (...places: number[]): ((physical: number) => boolean) => {
    return (physical) => places.includes(physical - PAGE);
  };

  it('ends at calls, and where other compiled code begins', () => {
    const region = regionOf(FUNCTION, 'narrow', { isEntry: at(BEHIND_CALL) });
    expect([region.entries, placesOf(region), region.mayWiden]).toEqual([[0], [0, 4], true]);
  });
  it('is entered at, and goes on to, what was asked for at the same time, behind calls too', () => {
    const region = regionOf(FUNCTION, 'narrow', { isEntry: at(BEHIND_CALL), isWanted: at(BEHIND_CALL) });
    expect([region.entries, placesOf(region)]).toEqual([
      [0, BEHIND_CALL],
      [0, 4, BEHIND_CALL],
    ]);
    expect(region.blocks.get(0)!.successors).toContain(BEHIND_CALL);
  });
  it('begins a block at what was asked for in the midst of others', () => {
    const region = regionOf([0x40, 0x41, 0xc3], 'narrow', { isWanted: at(1) });
    expect([region.entries, region.blocks.get(0)!.next, region.blocks.get(0)!.successors]).toEqual([[0, 1], 1, [1]]);
  });
  it('has no entries that cannot be decoded, and a wide one has one', () => {
    const isDecoded = (offset: number): boolean => offset < BEHIND_CALL;
    expect(regionOf(FUNCTION, 'narrow', { isWanted: at(BEHIND_CALL) }, isDecoded).entries).toEqual([0]);
    expect(regionOf(FUNCTION, 'wide', { isWanted: at(BEHIND_CALL) }).entries).toEqual([0]);
  });
});
