/**
 * The stub of GDB's remote serial protocol (GDB manual, appendix E): packets to what a machine's debugger does, and stops back. It
 * knows nothing of sockets or threads. What it is sent is hostile; whatever it cannot do it answers with an error or with nothing,
 * as the manual has it.
 */
import type { DebugRegister, DebuggerStop, Watch } from '@tomei/paravirt-core';
import { EIP_NUMBER, REGISTERS, TARGET_XML } from './description.ts';
import { PACKET_SIZE, PacketReader, encodePacket, fromHex, parseNumber, toHex } from './packets.ts';

/** What the stub needs of a machine that stands still. */
export interface DebugTarget {
  /** How many there are: each is a thread, with its number and one. */
  readonly processors: number;
  /** The number of the one that has stopped. */
  acting(): number;
  /** What follows is of this one; with undefined, of the one that has stopped. False when there is none. */
  select(index: number | undefined): boolean;
  read(register: DebugRegister): Uint8Array;
  write(register: DebugRegister, bytes: Uint8Array): boolean;
  readMemory(linear: number, length: number): Uint8Array;
  writeMemory(linear: number, bytes: Uint8Array): boolean;
  addCode(linear: number): void;
  removeCode(linear: number): void;
  addWatch(watch: Watch): boolean;
  removeWatch(watch: Watch): void;
  clear(): void;
  /** Carries out `monitor COMMAND`; what to print, or undefined for a command that there is not. */
  monitor(command: string): string | undefined;
}
/** What the debugger wants of the machine. */
export type DebuggerWish = 'stand' | 'run' | 'step';
/** How a stop is told: by breakpoint, after a step, or because it was asked for. */
export type Stop = DebuggerStop | { readonly kind: 'step' | 'interrupt' };

/** Breakpoints and watches that a debugger may have at a time. */
const MOST_BREAKPOINTS = 4096;
const OK = 'OK',
  BAD_PACKET = 'E01',
  NO_MEMORY = 'E14',
  REFUSED = 'E16';
const SIGINT = '02',
  SIGTRAP = '05';
/** Z packets' types. */
const Z = { software: '0', hardware: '1' } as const;
const WATCH_KINDS: Readonly<Record<string, Watch['kind']>> = { '2': 'write', '3': 'read', '4': 'access' };
const WATCH_NAMES: Readonly<Record<Watch['kind'], string>> = { write: 'watch', read: 'rwatch', access: 'awatch' };

export class GdbStub {
  wish: DebuggerWish = 'stand';
  /** The debugger asked for the end of the guest. */
  killed = false;
  /** It let go of the guest: what comes from it is not heard any more. */
  detached = false;
  private readonly target: DebugTarget;
  private readonly send: (bytes: Uint8Array) => void;
  private readonly reader = new PacketReader();
  private readonly breakpoints = new Map<string, { readonly linear: number; readonly watch?: Watch }>();
  private acknowledges = true;
  private saysBreakpoints = false;
  private last: Uint8Array = new Uint8Array(0);
  private lastStop: string;

  constructor(target: DebugTarget, send: (bytes: Uint8Array) => void) {
    this.target = target;
    this.send = send;
    this.lastStop = `T${SIGTRAP}${this.thread}`;
  }

  /** Bytes from the debugger. */
  receive(bytes: Uint8Array): void {
    for (const event of this.reader.push(bytes)) {
      if (this.detached || this.killed) return;
      switch (event.kind) {
        case 'interrupt':
          if (this.wish !== 'stand') this.stopped({ kind: 'interrupt' });
          break;
        case 'resend':
          this.send(this.last);
          break;
        case 'damaged':
          if (this.acknowledges) this.send(Uint8Array.of(0x2d));
          break;
        case 'packet':
          if (this.acknowledges) this.send(Uint8Array.of(0x2b));
          this.packet(event.data);
          break;
        case 'ack':
          break;
      }
    }
  }
  /** The machine stands still again. */
  stopped(stop: Stop): void {
    this.wish = 'stand';
    this.target.select(undefined);
    this.lastStop = this.describe(stop);
    this.reply(this.lastStop);
  }
  /** The guest has ended by itself, with an exit status. */
  ended(status: number): void {
    if (!this.detached) this.reply(`W${(status & 0xff).toString(16).padStart(2, '0')}`);
  }
  private describe(stop: Stop): string {
    if (stop.kind === 'interrupt') return `T${SIGINT}${this.thread}`;
    if (stop.kind === 'watch') {
      const { kind, address } = stop.watch;
      return `T${SIGTRAP}${this.thread}${WATCH_NAMES[kind]}:${address.toString(16)};`;
    }
    // Where CS has a base, EIP is not the breakpoint's address, and GDB would take the stop for an old one and go on.
    const isEip = stop.kind === 'code' && this.eip === stop.address;
    if (stop.kind !== 'code' || !isEip || !this.saysBreakpoints) return `T${SIGTRAP}${this.thread}`;
    const isHardware = [...this.breakpoints].some(
      ([key, { linear }]) => key.startsWith(Z.hardware) && linear === stop.address,
    );
    return `T${SIGTRAP}${this.thread}${isHardware ? 'hwbreak' : 'swbreak'}:;`;
  }
  /** Of the processor that has stopped. */
  private get thread(): string {
    return `thread:${(this.target.acting() + 1).toString(16)};`;
  }
  private get eip(): number {
    const bytes = this.target.read(REGISTERS[EIP_NUMBER]!.register);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  }
  private reply(payload: string | Uint8Array): void {
    this.last = encodePacket(payload);
    this.send(this.last);
  }

  private packet(data: Uint8Array): void {
    // All but the data of X is text.
    const text = Buffer.from(data).toString('latin1');
    if (this.wish !== 'stand') return; // a debugger waits for the stop, but for its interrupt
    const answer = text.startsWith('X') ? this.writeBinary(text, data) : this.command(text);
    if (answer !== undefined) this.reply(answer);
  }
  /** The answer, or undefined when it comes with the next stop. */
  private command(text: string): string | Uint8Array | undefined {
    const rest = text.slice(1);
    switch (text[0]) {
      case '?':
        return this.lastStop;
      case 'g':
        return REGISTERS.map(({ register }) => toHex(this.target.read(register))).join('');
      case 'G':
        return this.writeAll(rest);
      case 'p':
        return this.readOne(rest);
      case 'P':
        return this.writeOne(rest);
      case 'm':
        return this.readMemory(rest);
      case 'M':
        return this.writeHex(rest);
      case 'c':
      case 's':
        return this.resume(text[0] === 's' ? 'step' : 'run', rest);
      case 'C':
      case 'S':
        // The signal is nothing that a machine could be given.
        return this.resume(text[0] === 'S' ? 'step' : 'run', rest.split(';')[1] ?? '');
      case 'Z':
      case 'z':
        return this.breakpoint(text[0] === 'Z', rest);
      case 'D':
        return this.detach();
      case 'k':
        this.killed = true;
        return undefined;
      case 'H':
        // Which one goes on is the turn's alone.
        return rest.startsWith('g') ? this.select(rest.slice(1)) : OK;
      case 'T':
        return this.isThread(parseNumber(rest)) ? OK : BAD_PACKET;
      case 'q':
      case 'Q':
        return this.query(text);
      case 'v':
        return this.multiLetter(text);
      default:
        return '';
    }
  }
  private isThread(number: number | undefined): number is number {
    return number !== undefined && number >= 1 && number <= this.target.processors;
  }
  /** 0 and -1 stand for any one. */
  private select(text: string): string {
    const number = text === '-1' ? 0 : parseNumber(text);
    if (number === 0) return this.target.select(undefined) ? OK : BAD_PACKET;
    return this.isThread(number) && this.target.select(number - 1) ? OK : BAD_PACKET;
  }
  private detach(): string {
    this.release();
    this.detached = true;
    return OK;
  }
  /** The debugger is gone: nothing of it stays. */
  release(): void {
    this.target.clear();
    this.breakpoints.clear();
    this.wish = 'run';
  }

  // --- registers

  private writeAll(hex: string): string {
    const bytes = fromHex(hex);
    if (bytes === undefined) return BAD_PACKET;
    let at = 0,
      done = true;
    for (const { register, bytes: size } of REGISTERS) {
      // A debugger may know fewer registers than there are.
      if (at + size > bytes.length) break;
      done = this.target.write(register, bytes.subarray(at, at + size)) && done;
      at += size;
    }
    return done ? OK : REFUSED;
  }
  private readOne(number: string): string {
    const known = REGISTERS[parseNumber(number) ?? -1];
    return known === undefined ? BAD_PACKET : toHex(this.target.read(known.register));
  }
  private writeOne(text: string): string {
    const [number = '', hex = ''] = text.split('=');
    const known = REGISTERS[parseNumber(number) ?? -1],
      bytes = fromHex(hex);
    if (known === undefined || bytes?.length !== known.bytes) return BAD_PACKET;
    return this.target.write(known.register, bytes) ? OK : REFUSED;
  }

  // --- memory

  private range(text: string): { at: number; length: number } | undefined {
    const [address = '', size = ''] = text.split(',');
    const at = parseNumber(address),
      length = parseNumber(size);
    return at === undefined || length === undefined || length > PACKET_SIZE ? undefined : { at, length };
  }
  private readMemory(text: string): string {
    const range = this.range(text);
    if (range === undefined) return BAD_PACKET;
    const bytes = this.target.readMemory(range.at, Math.min(range.length, PACKET_SIZE / 2));
    return bytes.length === 0 && range.length > 0 ? NO_MEMORY : toHex(bytes);
  }
  private writeHex(text: string): string {
    const [place = '', hex = ''] = text.split(':');
    return this.writeMemory(place, fromHex(hex));
  }
  private writeBinary(text: string, data: Uint8Array): string {
    const colon = text.indexOf(':');
    return colon < 0 ? BAD_PACKET : this.writeMemory(text.slice(1, colon), data.subarray(colon + 1));
  }
  private writeMemory(place: string, bytes: Uint8Array | undefined): string {
    const range = this.range(place);
    if (range === undefined || bytes?.length !== range.length) return BAD_PACKET;
    return this.target.writeMemory(range.at, bytes) ? OK : NO_MEMORY;
  }

  // --- going on, and where to stop

  private resume(wish: DebuggerWish, address: string): string | undefined {
    if (address !== '') {
      const bytes = parseNumber(address);
      if (bytes === undefined) return BAD_PACKET;
      const word = new Uint8Array(4);
      new DataView(word.buffer).setUint32(0, bytes, true);
      this.target.write(REGISTERS[EIP_NUMBER]!.register, word);
    }
    this.wish = wish;
    return undefined;
  }
  private breakpoint(insert: boolean, text: string): string {
    const [type = '', address = '', size = ''] = text.split(';')[0]!.split(',');
    const linear = parseNumber(address),
      bytes = parseNumber(size);
    if (linear === undefined || bytes === undefined) return BAD_PACKET;
    const kind = WATCH_KINDS[type],
      isCode = type === Z.software || type === Z.hardware;
    if (!isCode && kind === undefined) return '';
    const key = `${type},${linear},${isCode ? 0 : bytes}`,
      known = this.breakpoints.get(key);
    if (insert) {
      if (known !== undefined) return OK;
      if (this.breakpoints.size >= MOST_BREAKPOINTS) return REFUSED;
      if (isCode) {
        this.breakpoints.set(key, { linear });
        this.target.addCode(linear);
        return OK;
      }
      const watch: Watch = { address: linear, bytes, kind: kind! };
      if (!this.target.addWatch(watch)) return REFUSED;
      this.breakpoints.set(key, { linear, watch });
      return OK;
    }
    if (known === undefined) return OK;
    this.breakpoints.delete(key);
    if (known.watch !== undefined) this.target.removeWatch(known.watch);
    else if (![...this.breakpoints.values()].some((b) => b.watch === undefined && b.linear === linear))
      this.target.removeCode(linear);
    return OK;
  }
  private multiLetter(text: string): string | undefined {
    if (text === 'vCont?') return 'vCont;c;C;s;S';
    if (text.startsWith('vKill')) {
      this.killed = true;
      return OK;
    }
    if (!text.startsWith('vCont;')) return '';
    // Processors take turns: the first action is that of the one whose turn it is.
    const action = text.slice('vCont;'.length, 'vCont;'.length + 1);
    if (action === 'c' || action === 'C') return this.resume('run', '');
    return action === 's' || action === 'S' ? this.resume('step', '') : BAD_PACKET;
  }

  // --- queries

  private query(text: string): string | Uint8Array {
    if (text.startsWith('qSupported')) {
      this.saysBreakpoints = text.includes('swbreak+') && text.includes('hwbreak+');
      return `PacketSize=${PACKET_SIZE.toString(16)};qXfer:features:read+;QStartNoAckMode+;swbreak+;hwbreak+;vContSupported+`;
    }
    if (text === 'QStartNoAckMode') {
      this.acknowledges = false;
      return OK;
    }
    if (text === 'qAttached') return '1';
    if (text === 'qC') return `QC${(this.target.acting() + 1).toString(16)}`;
    if (text === 'qfThreadInfo') return `m${Array.from({ length: this.target.processors }, (_, i) => i + 1).join(',')}`;
    if (text === 'qsThreadInfo') return 'l';
    if (text.startsWith('qXfer:features:read:')) return this.features(text.slice('qXfer:features:read:'.length));
    if (text.startsWith('qRcmd,')) return this.monitor(text.slice('qRcmd,'.length));
    return '';
  }
  private features(text: string): string {
    const [annex = '', range = ''] = text.split(':');
    const part = this.range(range);
    if (annex !== 'target.xml') return 'E00';
    if (part === undefined) return BAD_PACKET;
    const piece = TARGET_XML.slice(part.at, part.at + part.length);
    return `${part.at + part.length < TARGET_XML.length ? 'm' : 'l'}${piece}`;
  }
  private monitor(hex: string): string {
    const bytes = fromHex(hex);
    if (bytes === undefined) return BAD_PACKET;
    const command = Buffer.from(bytes).toString('utf8').trim();
    const text = this.target.monitor(command) ?? `there is no command '${command}'; 'monitor help' has all of them`;
    return toHex(new TextEncoder().encode(`${text}\n`));
  }
}
