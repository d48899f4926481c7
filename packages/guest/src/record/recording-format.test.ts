/** The recording file: what is written is read, and what is damaged is said to be. */
import { describe, expect, it } from 'vitest';
import { RecordingDecoder, RecordingEncoder, type HeaderFields, type RecordedEvent } from './recording-format.ts';

const HEADER: HeaderFields = {
  ramBytes: 8 << 20,
  videoMemoryBytes: 1 << 20,
  epoch: 1_700_000_000,
  boot: 'ab'.repeat(32),
  paravirt: 'kvm',
  vmi: 'off',
  serial: [true, false, false, false],
  disks: [{ sectors: 100, readOnly: false, place: 'null' }],
  empty: [],
  networks: [{ device: 'virtio', mac: '000c29010203', connected: true }],
  virtio: ['rng', 'port org.example.agent', 'share work'],
  checks: 1,
};
const EVENTS: readonly RecordedEvent[] = [
  { kind: 'serial', port: 0, bytes: Uint8Array.of(104, 105), work: 0, time: 0 },
  { kind: 'key', code: 0xe048, down: true, work: 0, time: 0 },
  { kind: 'idle', work: 5, time: 17 },
  { kind: 'power-button', work: 5, time: 17 },
  { kind: 'clipboard', text: 'größer, 漢字\n', work: 5, time: 17 },
  { kind: 'disc', drive: 2, work: 5, time: 17 },
  { kind: 'disc', drive: 3, disc: { disk: 255, sectors: 2 ** 33 }, work: 5, time: 17 },
  { kind: 'frame', network: 7, bytes: Uint8Array.from({ length: 60 }, (_, i) => i), work: 5, time: 17 },
  { kind: 'screen-size', width: 1600, height: 900, work: 5, time: 17 },
  { kind: 'pointer', x: 0x7fff, y: 3, wheel: -1, buttons: 5, work: 5, time: 17 },
  { kind: 'balloon', work: 5, time: 17 },
  { kind: 'balloon', pages: 2 ** 20, work: 5, time: 17 },
  { kind: 'random', bytes: Uint8Array.of(1, 2, 3), work: 5, time: 17 },
  { kind: 'port', port: 3, bytes: Uint8Array.of(104), work: 5, time: 17 },
  { kind: 'port-change', port: 0, open: false, work: 5, time: 17 },
  { kind: 'port-change', port: 1, open: true, room: 70_000, work: 5, time: 17 },
  { kind: 'port-change', port: 2, room: 1, work: 5, time: 17 },
  { kind: 'share', share: 7, id: 0xffff_fffe, bytes: Uint8Array.of(7, 0, 0, 0, 121, 1, 0), work: 5, time: 17 },
  { kind: 'share', share: 0, id: 1, bytes: new Uint8Array(0), work: 5, time: 17 },
  { kind: 'vsock', bytes: new Uint8Array(44), work: 5, time: 17 },
  { kind: 'vsock-done', id: 0xffff_ffff, work: 5, time: 17 },
  { kind: 'mouse', dx: -5, dy: 70_000, dz: 1, buttons: 7, work: 5, time: 17 },
  { kind: 'mouse', dx: 0, dy: 0, dz: 0, buttons: 0, at: { x: 65_535, y: 258 }, work: 5, time: 17 },
  {
    kind: 'disk',
    disk: 3,
    id: 0xffff_ffff,
    ok: true,
    data: Uint8Array.from({ length: 512 }, (_, i) => i),
    work: 9,
    time: 20,
  },
  { kind: 'check', hash: 0xdead_beef, work: 2 ** 40, time: 2 ** 41 },
  { kind: 'end', why: 'power-off', hash: 1, work: 2 ** 40, time: 2 ** 41 + 0.5 },
];

function write(events: readonly RecordedEvent[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  const encoder = new RecordingEncoder((bytes) => pieces.push(bytes), HEADER);
  for (const event of events) encoder.event(event);
  return Uint8Array.from(Buffer.concat(pieces));
}
function open(bytes: Uint8Array): RecordingDecoder {
  let at = 0;
  return new RecordingDecoder((length) => {
    const piece = bytes.subarray(at, at + length);
    at += piece.length;
    return piece;
  }, 'run.rec');
}
const codeOf = (what: () => unknown): string | undefined => {
  try {
    what();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const readAll = (bytes: Uint8Array): RecordedEvent[] => {
  const decoder = open(bytes),
    events: RecordedEvent[] = [];
  do events.push(decoder.next());
  while (events.at(-1)!.kind !== 'end');
  return events;
};

describe('a recording', () => {
  const whole = write(EVENTS);

  it('gives back what was put in', () => {
    expect(open(whole).header).toEqual(HEADER);
    expect(readAll(whole)).toEqual(EVENTS);
  });
  it('that is none, or of another version, is refused by name', () => {
    expect(() => open(new TextEncoder().encode('hello'))).toThrow(/^run\.rec is no recording/);
    const newer = whole.slice();
    newer[8] = 99;
    expect(codeOf(() => open(newer))).toBe('recording.version');
  });
  it('whose events go back in time is damaged', () => {
    const [first, ...rest] = EVENTS;
    expect(codeOf(() => readAll(write([...rest, first!])))).toBe(undefined); // ends before
    const end = EVENTS.at(-1)!;
    expect(codeOf(() => readAll(write([EVENTS[4]!, { ...end, work: 3 }])))).toBe('recording.damaged');
  });
  it('cut off anywhere is damaged, and never anything else', () => {
    for (let length = 0; length < whole.length; length++)
      expect(codeOf(() => readAll(whole.subarray(0, length)))).toMatch(/^recording\.(damaged|bad-magic)$/);
  });
  it('with one bit changed is refused before that bit is believed', () => {
    const seed = (Date.now() % 0x7fff_ffff) + 1;
    let x = seed;
    for (let round = 0; round < 500; round++) {
      x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
      const bytes = whole.slice(),
        at = x % whole.length;
      bytes[at] = bytes[at]! ^ (1 << ((x >>> 16) & 7));
      expect(
        codeOf(() => readAll(bytes)),
        `seed ${seed}, byte ${at}`,
      ).toMatch(/^recording\./);
    }
  });
});
