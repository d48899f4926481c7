/** The stub by itself, on a machine of an array: what it answers, and that no packet brings it down. */
import type { Watch } from '@tomei/paravirt-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { REGISTERS, TARGET_XML } from './description.ts';
import { PACKET_SIZE, PacketReader, encodePacket } from './packets.ts';
import { GdbStub, type DebugTarget } from './stub.ts';

const MEMORY = 0x1000;
class ArrayTarget implements DebugTarget {
  processors = 1;
  running = 0;
  selected: number | undefined;
  acting(): number {
    return this.running;
  }
  select(index: number | undefined): boolean {
    this.selected = index;
    return index === undefined || index < this.processors;
  }
  readonly memory = new Uint8Array(MEMORY);
  readonly written: string[] = [];
  readonly code = new Set<number>();
  readonly watches = new Set<Watch>();

  read = (register: { kind: string }): Uint8Array =>
    new Uint8Array(register.kind === 'xmm' ? 16 : register.kind === 'x87' ? 10 : 4).fill(
      register.kind === 'eip' ? 0x12 : 0,
    );
  write = (register: { kind: string }, bytes: Uint8Array): boolean => {
    this.written.push(`${register.kind} ${Buffer.from(bytes).toString('hex')}`);
    return register.kind !== 'segment';
  };
  readMemory = (linear: number, length: number): Uint8Array => this.memory.slice(linear, linear + length);
  writeMemory = (linear: number, bytes: Uint8Array): boolean => {
    if (linear + bytes.length > MEMORY) return false;
    this.memory.set(bytes, linear);
    return true;
  };
  addCode = (linear: number): void => void this.code.add(linear);
  removeCode = (linear: number): void => void this.code.delete(linear);
  addWatch = (watch: Watch): boolean => watch.bytes <= 16 && this.watches.add(watch) !== undefined;
  removeWatch = (watch: Watch): void => void this.watches.delete(watch);
  clear = (): void => {
    this.code.clear();
    this.watches.clear();
  };
  monitor = (command: string): string | undefined => (command === 'hello' ? 'world' : undefined);
}

let target: ArrayTarget;
let stub: GdbStub;
let answers: string[];
let reader: PacketReader;
beforeEach(() => {
  target = new ArrayTarget();
  reader = new PacketReader();
  answers = [];
  stub = new GdbStub(target, (bytes) => {
    for (const event of reader.push(bytes))
      answers.push(event.kind === 'packet' ? Buffer.from(event.data).toString('latin1') : event.kind);
  });
});
/** Sends a packet and gives what came back, acknowledgements left out. */
function ask(packet: string | Uint8Array): string | undefined {
  answers = [];
  stub.receive(encodePacket(packet));
  return answers.filter((answer) => answer !== 'ack').at(-1);
}

describe('the stub', () => {
  it('acknowledges until it is told that it need not, and asks again for what is damaged', () => {
    ask('?');
    expect(answers[0]).toBe('ack');
    answers = [];
    stub.receive(new TextEncoder().encode('$?#00'));
    expect(answers).toEqual(['resend']);
    expect(ask('QStartNoAckMode')).toBe('OK');
    expect([ask('?'), answers.length]).toEqual(['T05thread:1;', 1]);
  });
  it('describes its registers in pieces, and gives as many as it has described', () => {
    let xml = '';
    for (let at = 0; ; at += 0x100) {
      const piece = ask(`qXfer:features:read:target.xml:${at.toString(16)},100`)!;
      xml += piece.slice(1);
      if (piece.startsWith('l')) break;
    }
    expect(xml).toBe(TARGET_XML);
    const bytes = REGISTERS.reduce((sum, { bytes: n }) => sum + n, 0);
    expect(ask('g')).toHaveLength(2 * bytes);
    expect(ask('p8')).toBe('12121212');
    expect(ask('p99')).toBe('E01');
  });
  it('sets registers, and says when one cannot be', () => {
    expect([ask('P8=78563412'), target.written]).toEqual(['OK', ['eip 78563412']]);
    expect(ask('Pa=10000000')).toBe('E16');
    expect(ask('P8=12')).toBe('E01');
    expect(ask('G00')).toBe('OK');
  });
  it('reads and writes memory as far as there is some', () => {
    expect(ask('M10,3:010203')).toBe('OK');
    expect(ask('mf,5')).toBe('0001020300');
    expect(ask(Buffer.concat([Buffer.from('X20,4:'), Buffer.from([0x24, 0x23, 0x7d, 0xff])]))).toBe('OK');
    expect(ask('m20,4')).toBe('24237dff');
    expect(ask('mffe,8')).toBe('0000');
    expect(ask('m2000,8')).toBe('E14');
    expect(ask('Mfff,2:0000')).toBe('E14');
    expect(ask('M0,3:00')).toBe('E01');
    expect(ask(`m0,${(PACKET_SIZE + 1).toString(16)}`)).toBe('E01');
  });
  it('shows processors as threads, and tells which one stopped', () => {
    target.processors = 3;
    target.running = 2;
    expect([ask('qfThreadInfo'), ask('qsThreadInfo'), ask('qC')]).toEqual(['m1,2,3', 'l', 'QC3']);
    expect([ask('Hg2'), target.selected]).toEqual(['OK', 1]);
    expect([ask('Hg0'), target.selected]).toEqual(['OK', undefined]);
    expect([ask('Hg4'), ask('Hgx'), ask('Hc-1'), ask('T3'), ask('T4')]).toEqual(['E01', 'E01', 'OK', 'OK', 'E01']);
    ask('Hg1');
    ask('c');
    stub.stopped({ kind: 'interrupt' });
    expect([target.selected, ask('?')]).toEqual([undefined, 'T02thread:3;']);
  });
  it('keeps breakpoints of all kinds, each once', () => {
    for (const z of ['Z0,100,1', 'Z0,100,1', 'Z1,100,1', 'Z2,200,4', 'Z3,200,4', 'Z4,204,2']) expect(ask(z)).toBe('OK');
    expect([...target.code]).toEqual([0x100]);
    expect([...target.watches].map(({ kind, address, bytes }) => [kind, address, bytes])).toEqual([
      ['write', 0x200, 4],
      ['read', 0x200, 4],
      ['access', 0x204, 2],
    ]);
    expect([ask('Z2,200,400'), ask('Z9,1,1'), ask('Z0,,')]).toEqual(['E16', '', 'E01']);
    ask('z0,100,1');
    expect(target.code.size).toBe(1); // the hardware breakpoint is there still
    ask('z1,100,1');
    ask('z3,200,4');
    expect([target.code.size, target.watches.size]).toEqual([0, 2]);
  });
  it('goes on, steps, and tells each stop in its own way', () => {
    ask('qSupported:swbreak+;hwbreak+');
    ask('Z0,100,1');
    expect([ask('c'), stub.wish]).toEqual([undefined, 'run']);
    expect(ask('g')).toBeUndefined();
    // EIP is elsewhere: CS has a base.
    stub.stopped({ kind: 'code', address: 0x100 });
    expect(answers.at(-1)).toBe('T05thread:1;');
    ask('Z0,12121212,1');
    ask('c');
    stub.stopped({ kind: 'code', address: 0x1212_1212 });
    expect([answers.at(-1), stub.wish]).toEqual(['T05thread:1;swbreak:;', 'stand']);
    expect([ask('vCont;s:1;c'), stub.wish]).toEqual([undefined, 'step']);
    stub.stopped({ kind: 'step' });
    expect(ask('?')).toBe('T05thread:1;');
    ask('c');
    stub.stopped({ kind: 'watch', watch: { address: 0x203, bytes: 1, kind: 'access' } });
    expect(answers.at(-1)).toBe('T05thread:1;awatch:203;');
    ask('c1000');
    expect(target.written).toContain('eip 00100000');
    answers = [];
    stub.receive(Uint8Array.of(3));
    expect([answers.at(-1), stub.wish]).toEqual(['T02thread:1;', 'stand']);
  });
  it('leaves nothing behind when it is detached, and hears no more', () => {
    ask('Z0,100,1');
    expect([ask('D'), target.code.size, stub.wish, stub.detached]).toEqual(['OK', 0, 'run', true]);
    expect(ask('g')).toBeUndefined();
  });
  it('ends the guest when told to', () => {
    ask('k');
    expect(stub.killed).toBe(true);
  });
  it('passes commands on', () => {
    const hex = (text: string): string => Buffer.from(text).toString('hex');
    expect(ask(`qRcmd,${hex('hello')}`)).toBe(hex('world\n'));
    expect(Buffer.from(ask(`qRcmd,${hex('x')}`)!, 'hex').toString()).toContain("there is no command 'x'");
  });
  it('answers whatever comes, with a packet or not at all', () => {
    const seed = (Date.now() % 0x7fff_ffff) + 1;
    let x = seed;
    const next = (): number => {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      return x >>> 0;
    };
    const letters = '?gGpPmMXcsCSZzHTqQvD!k,;:=#$0123456789abcdefghijklm\u007f\u00ff',
      heads = ['m', 'M', 'X', 'P', 'G', 'Z', 'z', 'vCont;', 'qXfer:features:read:', 'qRcmd,', 'p', 'c', ''];
    for (let round = 0; round < 5000; round++) {
      const length = next() % 20,
        head = heads[next() % heads.length]!;
      const text = head + Array.from({ length }, () => letters[next() % letters.length]).join('');
      try {
        if (text.startsWith('k') || text.startsWith('D')) continue;
        stub.receive(encodePacket(Buffer.from(text, 'latin1')));
        if (stub.wish !== 'stand') stub.stopped({ kind: 'step' });
      } catch (error) {
        throw new Error(`seed ${seed}, packet ${JSON.stringify(text)}`, { cause: error });
      }
    }
    expect(ask('qC')).toBe('QC1');
  });
});
