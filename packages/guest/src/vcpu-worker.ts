/** The vCPU thread: runs the machine and nothing else. It takes from rings and never waits for an event loop. */
import { parentPort, workerData } from 'node:worker_threads';
import { ByteRing, Doorbell, TomeiError } from '@tomei/kit';
import { HostClock, Machine, type BlockBackend, type BlockRequest, type SerialBackend } from '@tomei/paravirt-core';
import { decodeCompletion, encodeRequest } from './disk-messages.ts';
import type { DiskShape, GuestEnd, GuestStats, VcpuCommand, VcpuMessage, VcpuStart } from './protocol.ts';

/** The longest sleep of a halted processor with no alarm set: input rings the bell. */
const LONGEST_SLEEP_MS = 1000;
/** What serial output may wait for a slow reader before bytes are lost, as on a line without flow control. */
const SERIAL_BACKLOG = 1 << 20;
/** How long the last output waits for its reader when the guest has ended. */
const SERIAL_PATIENCE_MS = 2000;
const STOPPED: GuestEnd = { why: 'stopped', status: 0 };

const start = workerData as VcpuStart;
const port = parentPort!;
const { shared } = start;
const vcpuBell = new Doorbell(shared.vcpuBell),
  ioBell = new Doorbell(shared.ioBell);
const tell = (message: VcpuMessage): void => port.postMessage(message);

/** A serial port whose far end is a ring. */
class RingSerial implements SerialBackend {
  private readonly ring: ByteRing;
  private backlog: number[] = [];

  constructor(memory: SharedArrayBuffer) {
    this.ring = new ByteRing(memory);
  }
  write(byte: number): void {
    if (this.backlog.length < SERIAL_BACKLOG) this.backlog.push(byte);
  }
  get isEmpty(): boolean {
    return this.backlog.length === 0;
  }
  /** Passes on what was written; true when there was something. */
  flush(): boolean {
    if (this.backlog.length === 0) return false;
    const written = this.ring.write(Uint8Array.from(this.backlog));
    this.backlog = this.backlog.slice(written);
    return written > 0;
  }
}

/** A disk at the other end of the request ring. */
class RingDisk implements BlockBackend {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly id: string;
  /** Requests without an answer yet. */
  outstanding = 0;
  private readonly number: number;
  private handler: (id: number, ok: boolean) => void = () => undefined;

  constructor(number: number, shape: DiskShape) {
    this.number = number;
    this.sectors = shape.sectors;
    this.readOnly = shape.readOnly;
    this.id = shape.id;
  }
  submit(request: BlockRequest): void {
    this.outstanding++;
    waiting.push(encodeRequest({ ...request, disk: this.number }));
    passRequests();
  }
  onComplete(handler: (id: number, ok: boolean) => void): void {
    this.handler = handler;
  }
  completed(id: number, ok: boolean): void {
    this.outstanding--;
    this.handler(id, ok);
  }
}

const requests = new ByteRing(shared.diskRequests),
  completions = new ByteRing(shared.diskCompletions),
  commands = new ByteRing(shared.commands);
const waiting: Uint8Array[] = [];
function passRequests(): void {
  while (waiting.length > 0 && requests.writeMessage(waiting[0]!)) waiting.shift();
  ioBell.ring();
}

const serial = start.serial.map((present, i) => (present ? new RingSerial(shared.serialOut[i]!) : undefined));
const typed = shared.serialIn.map((memory) => new ByteRing(memory));
const held = typed.map(() => new Uint8Array(0));
const disks = start.disks.map((shape, i) => new RingDisk(i, shape));
const machine = new Machine(start.config, { serial, disks }, new HostClock(), shared.memory);
const threadMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
const startedAt = threadMs();
let guestMs = 0,
  haltedMs = 0;

function stats(): GuestStats {
  const { processor } = machine;
  return {
    instructions: processor.instructions,
    guestMs,
    cpuMs: threadMs() - startedAt,
    haltedMs,
    decoded: processor.code.counts.decoded,
    codeInvalidations: processor.code.counts.invalidations,
    codeFlushes: processor.code.counts.flushes,
    pageWalks: processor.mmu.walks,
    events: Object.fromEntries([...processor.delivered.entries()].filter(([, n]) => n > 0)),
  };
}

function takeCompletions(): void {
  machine.lookAtClock();
  for (let message = completions.readMessage(); message !== undefined; message = completions.readMessage()) {
    const { disk, id, ok } = decodeCompletion(message);
    disks[disk]?.completed(id, ok);
  }
  if (waiting.length > 0) passRequests();
}
/** Everything that came from outside since the last look. */
function takeInput(): void {
  takeCompletions();
  typed.forEach((ring, i) => {
    const device = machine.serial[i];
    if (held[i]!.length === 0) held[i] = ring.read(4096);
    if (device?.parts.input === undefined || held[i]!.length === 0) return;
    held[i] = held[i]!.subarray(device.parts.input(held[i]!));
  });
}
/** Passes on what the guest wrote to its serial ports; false when some of it found no room. */
function passSerial(): boolean {
  if (serial.map((line) => line?.flush() ?? false).includes(true)) ioBell.ring();
  return serial.every((line) => line === undefined || line.isEmpty);
}
/** As `passSerial`, until everything is passed on or nobody takes it. */
function passAllSerial(): void {
  const until = performance.now() + SERIAL_PATIENCE_MS;
  while (!passSerial() && performance.now() < until) vcpuBell.wait(vcpuBell.ticket, 1);
}

function nextCommand(): VcpuCommand | undefined {
  const message = commands.readMessage();
  return message === undefined ? undefined : (JSON.parse(new TextDecoder().decode(message)) as VcpuCommand);
}
/** Answers commands; returns an end when the guest is to stop. */
function takeCommands(): GuestEnd | undefined {
  for (let command = nextCommand(); command !== undefined; command = nextCommand()) {
    if (command.kind === 'stop') return STOPPED;
    if (command.kind === 'pause') {
      const asked = pause(command.id);
      if (asked !== undefined) return asked;
    } else answer(command);
  }
  return undefined;
}
function answer(command: VcpuCommand): void {
  switch (command.kind) {
    case 'key':
      machine.keyboard.parts.key(command.code, command.down);
      return;
    case 'mouse':
      return machine.keyboard.parts.mouse(command.dx, command.dy, command.dz, command.buttons);
    case 'display': {
      const { display } = machine.view();
      return tell({ kind: 'display', id: command.id, display, time: machine.clock.now() });
    }
    case 'stats':
      return tell({ kind: 'stats', id: command.id, stats: stats() });
  }
}
/** The machine stands still, and so does its clock, until it is told to go on (undefined) or to stop. */
function pause(id: number): GuestEnd | undefined {
  const time = machine.clock.now();
  // What is in flight ends in this machine: a state that is saved now owes nobody anything.
  for (;;) {
    const { ticket } = vcpuBell;
    takeCompletions();
    if (disks.every((disk) => disk.outstanding === 0)) break;
    vcpuBell.wait(ticket, LONGEST_SLEEP_MS);
  }
  passAllSerial();
  machine.clock.set(time);
  tell({ kind: 'paused', id, state: machine.save() });
  for (;;) {
    const { ticket } = vcpuBell;
    const command = nextCommand();
    if (command === undefined) vcpuBell.wait(ticket, LONGEST_SLEEP_MS);
    else if (command.kind === 'stop') return STOPPED;
    else if (command.kind === 'resume') break;
    else answer(command);
  }
  machine.clock.set(time);
  return undefined;
}

function run(): GuestEnd {
  for (;;) {
    const { ticket } = vcpuBell;
    takeInput();
    const asked = takeCommands();
    if (asked !== undefined) return asked;
    const from = performance.now();
    const end = machine.runSlice();
    guestMs += performance.now() - from;
    passSerial();
    if (end.kind === 'stopped')
      return {
        why: end.why,
        status: end.status,
        ...(end.why === 'triple-fault' ? { detail: machine.describe() } : {}),
      };
    if (end.kind === 'halted') sleep(ticket, end.until);
  }
}
function sleep(ticket: number, until: number | null): void {
  const wait = until === null ? LONGEST_SLEEP_MS : Math.min(LONGEST_SLEEP_MS, (until - machine.clock.now()) / 1e6);
  // Bytes that the UART had no room for, and output that found no room, are tried again soon.
  const soon = held.some((bytes) => bytes.length > 0) || waiting.length > 0;
  if (wait <= 0) return;
  const from = performance.now();
  vcpuBell.wait(ticket, soon ? Math.min(wait, 1) : wait);
  haltedMs += performance.now() - from;
}

/** False when the machine refuses what it was given: a kernel that is none, a state that is not its own. */
function begin(): boolean {
  try {
    if (start.restore === undefined) machine.powerOn();
    else machine.restore(start.restore);
    return true;
  } catch (error) {
    if (!(error instanceof TomeiError)) throw error;
    tell({ kind: 'failed', code: error.code, message: error.message });
    return false;
  }
}

if (begin()) {
  tell({ kind: 'running' });
  const end = run();
  passAllSerial();
  tell({ kind: 'stopped', end, stats: stats(), display: machine.view().display, time: machine.clock.now() });
}
