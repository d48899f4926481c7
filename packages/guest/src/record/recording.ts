/**
 * Recording a run and giving it again, at the vCPU thread. Time is a count of work (InstructionClock), so whatever comes from outside
 * has an exact place in the run; with the same things at the same places the guest executes the same instructions, which is checked.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { TomeiError, messageOf } from '@tomei/kit';
import { MachineDebugger, type DebugRegister, type Machine, type MachineConfig } from '@tomei/paravirt-core';
import type { VcpuStart } from '../protocol.ts';
import {
  RecordingDecoder,
  RecordingEncoder,
  type HeaderFields,
  type MachineInput,
  type RecordedEvent,
} from './recording-format.ts';

/** Work between two checks of the registers. */
const CHECK_EVERY = 1 << 22;
/** Bytes that wait for a write. */
const CHUNK = 1 << 18;
/** Owner only: a recording holds what was typed, and what disks gave. */
const MODE = 0o600;

/** What tools find that is not the usual, in a few characters. */
function toolsOf({ tools }: MachineConfig): string[] {
  const { noCopy = false, noPaste = false, restricted = false, info = {} } = tools ?? {};
  const words = JSON.stringify([noCopy, noPaste, restricted, Object.entries(info).sort()]);
  if (words === '[false,false,false,[]]') return [];
  return [`tools ${createHash('sha256').update(words).digest('hex')}`];
}
type DescribedStart = Pick<VcpuStart, 'config' | 'disks' | 'emptyDrives' | 'serial' | 'networks' | 'virtio'>;
/** What a recording says of its machine. */
export function describeMachine(start: DescribedStart): HeaderFields {
  const { config } = start,
    hash = createHash('sha256');
  const { firmware } = config,
    networks = start.networks ?? [];
  for (const bytes of [
    config.kernel?.bytes,
    config.initrd?.bytes,
    firmware?.bios,
    firmware?.videoBios,
    ...networks.map(({ rom }) => rom),
  ])
    hash.update(`${bytes?.length ?? -1} `).update(bytes ?? new Uint8Array(0));
  return {
    ramBytes: config.ramBytes,
    videoMemoryBytes: config.videoMemoryBytes,
    epoch: config.epoch,
    boot: hash.update(config.commandLine).digest('hex'),
    paravirt: config.paravirt ?? 'off',
    vmi: config.vmi ?? 'off',
    serial: [...start.serial],
    disks: start.disks.map(({ sectors, readOnly, place }) => ({
      sectors,
      readOnly,
      place: JSON.stringify(place ?? null),
    })),
    empty: (start.emptyDrives ?? []).map((place) => JSON.stringify(place)),
    networks: networks.map(({ device, mac, connected }) => ({
      device,
      mac: Buffer.from(mac).toString('hex'),
      connected,
    })),
    virtio: [
      // Of machines with one processor nothing was said before there were others.
      ...(config.processors === undefined ? [] : [`${config.processors} processors`]),
      ...(config.coresPerSocket === undefined ? [] : [`${config.coresPerSocket} in a socket`]),
      ...(['rng', 'balloon', 'input'] as const).filter((device) => start.virtio?.[device] === true),
      ...toolsOf(config),
      ...(config.gpuMemoryBytes === undefined ? [] : ['gpu']),
      ...(start.virtio?.ports ?? []).map((name) => `port ${name}`),
      ...(start.virtio?.vsock === undefined ? [] : [`vsock ${start.virtio.vsock.cid}`]),
      ...(start.virtio?.shares ?? []).map((tag) => `share ${tag}`),
    ],
    checks: CHECK_EVERY,
  };
}

const CHECKED: readonly DebugRegister[] = [
  ...Array.from({ length: 8 }, (_, index): DebugRegister => ({ kind: 'general', index })),
  { kind: 'eip' },
  { kind: 'eflags' },
  ...Array.from({ length: 6 }, (_, index): DebugRegister => ({ kind: 'segment', index })),
  ...Array.from({ length: 8 }, (_, index): DebugRegister => ({ kind: 'x87', index })),
  ...Array.from({ length: 8 }, (_, index): DebugRegister => ({ kind: 'xmm', index })),
];
/** A hash of the registers at each check, each on top of the one before. */
class Checker {
  private readonly machine: Machine;
  private readonly debugger: MachineDebugger;
  private hash = 0;

  constructor(machine: Machine) {
    this.machine = machine;
    this.debugger = new MachineDebugger(machine);
  }
  registers(): number {
    for (const register of CHECKED) this.hash = crc32(this.debugger.read(register), this.hash);
    const counts = Float64Array.of(this.machine.instructions);
    return (this.hash = crc32(new Uint8Array(counts.buffer), this.hash));
  }
  memory(): number {
    return this.machine.memoryAreas().reduce((hash, { bytes }) => crc32(bytes, hash), this.hash);
  }
}

/** Writes down what comes to a machine. */
export class Recorder {
  private readonly machine: Machine;
  private readonly checker: Checker;
  private readonly encoder: RecordingEncoder;
  private readonly fd: number;
  private readonly path: string;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private nextCheck: number;

  /** Before the machine's power-on or behind it, but before its first instruction. Throws `recording.unwritable`. */
  constructor(path: string, machine: Machine, header: HeaderFields) {
    this.path = path;
    this.machine = machine;
    this.checker = new Checker(machine);
    this.nextCheck = machine.work + CHECK_EVERY;
    this.fd = this.trying(() => openSync(path, 'w', MODE));
    this.encoder = new RecordingEncoder((bytes) => this.put(bytes), header);
  }
  private trying<T>(what: () => T): T {
    try {
      return what();
    } catch (cause) {
      throw new TomeiError('recording.unwritable', `--record ${this.path}: ${messageOf(cause)}`, { cause });
    }
  }
  private put(bytes: Uint8Array): void {
    this.waiting.push(bytes);
    this.waitingBytes += bytes.length;
    if (this.waitingBytes > CHUNK) this.pass();
  }
  private pass(): void {
    const bytes = Buffer.concat(this.waiting);
    this.waiting = [];
    this.waitingBytes = 0;
    this.trying(() => {
      for (let done = 0; done < bytes.length;) done += writeSync(this.fd, bytes, done);
    });
  }
  private get place(): { work: number; time: number } {
    return { work: this.machine.work, time: this.machine.clock.now() };
  }
  /** The machine is given this now, between two slices. */
  input(input: MachineInput): void {
    this.encoder.event({ ...input, ...this.place });
  }
  /** A halted machine's time went on. */
  idle(): void {
    this.encoder.event({ kind: 'idle', ...this.place });
  }
  /** Between slices. */
  settle(): void {
    if (this.machine.work < this.nextCheck) return;
    this.nextCheck = this.machine.work + CHECK_EVERY;
    this.encoder.event({ kind: 'check', hash: this.checker.registers(), ...this.place });
  }
  close(why: string): void {
    this.checker.registers();
    this.encoder.event({ kind: 'end', why, hash: this.checker.memory(), ...this.place });
    this.pass();
    closeSync(this.fd);
  }
}

/** Gives a machine what was recorded, and looks that it does the same with it. */
export class Player {
  readonly config: MachineConfig;
  private readonly decoder: RecordingDecoder;
  private readonly fd: number;
  private readonly path: string;
  private event: RecordedEvent;
  private checker: Checker | undefined;
  private machine: Machine | undefined;

  /** Throws `recording.*` when the file is none, or is of another machine. */
  constructor(path: string, start: DescribedStart) {
    this.path = path;
    try {
      this.fd = openSync(path, 'r');
    } catch (cause) {
      throw new TomeiError('recording.unreadable', `--replay ${path}: ${messageOf(cause)}`, { cause });
    }
    this.decoder = new RecordingDecoder((length) => this.read(length), path);
    this.config = { ...start.config, epoch: this.decoder.header.epoch };
    this.refuseOtherMachine(describeMachine({ ...start, config: this.config }));
    this.event = this.decoder.next();
  }
  private read(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    let done = 0;
    for (let n = 1; n > 0 && done < length; done += n) n = readSync(this.fd, bytes, done, length - done, null);
    return bytes.subarray(0, done);
  }
  private refuseOtherMachine(here: HeaderFields): void {
    const { header } = this.decoder;
    for (const field of Object.keys(here) as (keyof HeaderFields)[]) {
      if (JSON.stringify(here[field]) === JSON.stringify(header[field])) continue;
      const what = field === 'boot' ? 'kernel, initrd, command line or firmware' : field;
      throw new TomeiError(
        'recording.other-machine',
        `${this.path} was recorded with another machine: '${what}' is not as it was; replay it with the .vmx of then`,
      );
    }
  }
  attach(machine: Machine): void {
    this.machine = machine;
    this.checker = new Checker(machine);
  }

  /** How far the machine may run until it is to be given something. At least 1, as `take` has given all that is due. */
  get room(): number {
    return this.event.work - this.machine!.work;
  }
  /** Whether nothing more is recorded. */
  get isOver(): boolean {
    const { work, clock } = this.machine!;
    return this.event.kind === 'end' && this.event.work === work && this.event.time <= clock.now();
  }
  /** Whether the recording ends without the guest's doing. */
  get endsByItself(): boolean {
    return this.event.kind === 'end' && this.event.why === 'stopped';
  }
  /** A halted machine's time goes on to its next alarm, or to what is to be given to it before that. */
  skip(until: number | null): void {
    const { clock } = this.machine!,
      { work, time } = this.event;
    const comesFirst = work === this.machine!.work && (until === null || time < until);
    if (comesFirst) clock.skipTo(time);
    else if (until !== null) clock.skipTo(until);
    else throw this.diverged('the guest sleeps for ever');
  }
  /** What is due now, in order. Throws `replay.diverged`. */
  *take(): Generator<MachineInput> {
    const machine = this.machine!,
      { clock } = machine;
    for (;;) {
      const { event } = this;
      if (event.work < machine.work) throw this.diverged(`something was to come at ${event.work}`);
      if (event.work > machine.work || event.time > clock.now()) return;
      if (event.time < clock.now()) throw this.diverged(`its time then was ${event.time} ns, not ${clock.now()}`);
      if (event.kind === 'end') return;
      this.event = this.decoder.next();
      if (event.kind === 'idle') continue;
      if (event.kind !== 'check') yield event;
      else if (event.hash !== this.checker!.registers()) throw this.diverged('its registers are others');
    }
  }
  /** The guest has ended here. Throws `replay.diverged` when it did not then, or with other memory. */
  end(why: string): void {
    const { event, checker } = this;
    closeSync(this.fd);
    if (event.kind !== 'end' || event.work !== this.machine!.work)
      throw this.diverged(`it ended (${why}), and did not in the recording`);
    if (event.why !== why) throw this.diverged(`it ended by '${why}', in the recording by '${event.why}'`);
    checker!.registers();
    if (event.hash !== checker!.memory()) throw this.diverged('its memory at the end is another');
  }
  /** The guest went on otherwise than in the recording. */
  diverged(what: string): TomeiError {
    const { instructions, work } = this.machine!;
    return new TomeiError(
      'replay.diverged',
      `${this.path}: the guest does something else after ${instructions} instructions (work ${work}): ${what}`,
    );
  }
}
