/** The vCPU thread: runs the machine and nothing else. It takes from rings and never waits for an event loop. */
import { flushCompileCache } from 'node:module';
// The global of that name is a getter, which would be called for each look.
import { performance } from 'node:perf_hooks';
import { parentPort } from 'node:worker_threads';
import { ByteRing, Doorbell } from '@tomei/kit';
import {
  HostClock,
  InstructionClock,
  Machine,
  MachineProbe,
  ThreadTranslator,
  dismissTranslator,
  machinePlan,
  type MachineClock,
  type SliceEnd,
} from '@tomei/paravirt-core';
import { Attention } from './attention.ts';
import { CopiedTexts } from './clipboard/copied-texts.ts';
import { DebugSession } from './gdb/debug-session.ts';
import { decodeCompletion } from './disk-messages.ts';
import { guestTold } from './guest-told.ts';
import { RingNic } from './network/ring-nic.ts';
import { plugged } from './plugged.ts';
import { VirtioEnds, type VirtioInput } from './ports/virtio-ends.ts';
import { RUNG_FOR, type GuestEnd, type VcpuCommand, type VcpuMessage } from './protocol.ts';
import type { Player, Recorder } from './record/recording.ts';
import type { MachineInput } from './record/recording-format.ts';
import { RingDisk, RingSerial } from './ring-ends.ts';
import { Profiler } from './perf/profiler.ts';
import { collectStats } from './stats/collect-stats.ts';
import type { GuestStats } from './stats/guest-stats.ts';
import { hostWaitOfThread } from './stats/host-wait.ts';
import { ThreadTime } from './stats/thread-time.ts';
import { TimeAccount } from './stats/time-account.ts';
import { TraceFile } from './trace/trace-plan.ts';
import { tellSome } from './troubles.ts';
import { tryingTo } from './trying.ts';
import { TypedInput, type TypedAt } from './typed-input.ts';

/** The longest sleep of a halted processor with no alarm set: input rings the bell. */
const LONGEST_SLEEP_MS = 1000;
/** How long the last output waits for its reader when the guest has ended. */
const SERIAL_PATIENCE_MS = 2000;
/** Below this many instructions a slice is cut to end at one of them. */
const LONGEST_EXACT = 100_000;
/** Nanoseconds of an instruction where time is counted by them. */
const PER_INSTRUCTION = 2;
/** The most bytes of frames that a card is given at a look: what gigabit Ethernet brings in the time of a slice. */
const FRAME_BYTES_AT_ONCE = 1 << 15;
const NOTHING = new Uint8Array(0);
/** How long requests to disks that are in flight may take when the guest has ended. */
const DISK_PATIENCE_MS = 10_000;
/** The most that a guest is held which polls for a disk: its timers come no later than that. */
const POLLING_SLEEP_MS = 0.2;
const STOPPED: GuestEnd = { why: 'stopped', status: 0 };

const port = parentPort!;
const start = await guestTold();
const { shared } = start;
const vcpuBell = new Doorbell(shared.vcpuBell),
  ioBell = new Doorbell(shared.ioBell),
  attention = new Attention(vcpuBell);
const tell = (message: VcpuMessage): void => port.postMessage(message);

const requests = new ByteRing(shared.diskRequests),
  completions = new ByteRing(shared.diskCompletions),
  commands = new ByteRing(shared.commands);
const waiting: Uint8Array[] = [];
const threadTime = new ThreadTime();
const ringForIo = (): void => threadTime.waking(() => ioBell.ring());
function passRequests(): void {
  while (waiting.length > 0 && requests.writeMessage(waiting[0]!)) waiting.shift();
  ringForIo();
}
const serial = start.serial.map((present, i) => (present ? new RingSerial(shared.serialOut[i]!) : undefined));
const typed = new TypedInput(shared.serialIn);
const trying = tryingTo(tell);
const { replay, record } = start;
const recording = replay === undefined && record === undefined ? undefined : await import('./record/recording.ts');
const opened = trying(() => (replay === undefined ? undefined : new recording!.Player(replay, start)));
const player = opened?.value;
const config = player?.config ?? start.config;
/** Recorded time waits for the host's, so that a guest does not wait for a person; what is given again waits for nobody. */
function makeClock(): MachineClock {
  if (replay !== undefined || record !== undefined) return new InstructionClock(PER_INSTRUCTION, { skipsIdle: false });
  return start.virtualTime === true ? new InstructionClock(PER_INSTRUCTION) : new HostClock();
}
const plan = machinePlan(config);
const reach = new Uint8Array(shared.memory.buffer, plan.ram, plan.ramBytes + plan.stagingBytes);
const submit = (message: Uint8Array): void => {
  // What is given again comes from the recording, and nothing is written anywhere.
  if (replay !== undefined) return;
  waiting.push(message);
  passRequests();
};
const disks = start.disks.map((shape, i) => new RingDisk(i, shape, reach, submit));
// What is given again is heard by nobody.
const nics = (start.networks ?? []).map(
  ({ connected }, i) => new RingNic(shared.networks![i]!, { linkUp: connected, isMute: replay !== undefined }),
);
const translator = new ThreadTranslator();
const trouble = tellSome((text) => tell({ kind: 'warning', text }));
const virtio = new VirtioEnds(start, replay !== undefined);
const plugs = { ...plugged(start, disks, nics), virtio: virtio.backends };
// What is given again is copied by nobody.
const texts = new CopiedTexts((text) => (replay === undefined ? tell({ kind: 'copied', text }) : undefined));
const backends = {
  serial,
  trouble,
  ...plugs,
  clipboard: texts,
  hostWait: hostWaitOfThread(),
  hostTime: () => threadTime.now(),
};
const compiling = { translator, translatorOf: () => new ThreadTranslator(translator) };
const machine = new Machine(config, backends, makeClock(), shared.memory, compiling);
dismissTranslator();
let recorder: Recorder | undefined;
const debug =
  shared.debugger === undefined
    ? undefined
    : new DebugSession(machine, shared.debugger, ioBell, start.debuggerFirst === true, runSlice);
let trace: TraceFile | undefined;
const threadMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
const startedAt = threadMs();
const probe = new MachineProbe(machine);
const account = new TimeAccount(() => probe.isAtCompiledCode);
const profiler =
  start.perf === true
    ? new Profiler({
        look: () => probe.look(),
        now: () => account.guestMs,
        cpuMs: threadMs,
        random: Math.random,
        ram: new Uint8Array(shared.memory.buffer, plan.ram, plan.ramBytes),
      })
    : undefined;

const stats = (): GuestStats =>
  collectStats({ machine, account, cpuMs: threadMs() - startedAt, frames: nics.map(({ counts }) => counts) });

function takeCompletions(): void {
  machine.lookAtClock();
  for (let message = completions.readMessage(); message !== undefined; message = completions.readMessage()) {
    const { disk, id, ok } = decodeCompletion(message);
    recorder?.input({ kind: 'disk', disk, id, ok, data: disks[disk]?.data(id) ?? NOTHING });
    disks[disk]?.completed(id, ok);
  }
  if (waiting.length > 0) passRequests();
}
/** What came from outside since the last look, for some of RUNG_FOR. Returns an end when the guest is to stop. */
function takeInput(reasons: number): GuestEnd | undefined {
  machine.lookAtClock();
  if ((reasons & RUNG_FOR.completions) !== 0) takeCompletions();
  if ((reasons & RUNG_FOR.frames) !== 0) {
    nics.forEach(takeFrames);
    attention.looked(RUNG_FOR.frames, nics.some(hasMore), machine.work);
  }
  if ((reasons & RUNG_FOR.others) === 0) return undefined;
  if (player === undefined) {
    virtio.take(machine, recordInput);
    typed.give(typeAt, (at, bytes) => recorder?.input({ kind: 'serial', port: at, bytes }));
  } else typed.drop();
  attention.looked(RUNG_FOR.others, typed.isWaiting || virtio.waitsForGuest, machine.work);
  return takeCommands();
}
const hasMore = (nic: RingNic): boolean => nic.isWaiting;
const typeAt: TypedAt = (at, bytes) => machine.serial[at]?.parts.input?.(bytes);
const recordInput = (input: VirtioInput): void => recorder?.input(input);
/** Frames that came for a card, as many as a wire would bring: the rest waits, so that a burst does not overrun it. */
function takeFrames(nic: RingNic, network: number): void {
  for (let taken = 0; taken < FRAME_BYTES_AT_ONCE;) {
    const bytes = nic.next();
    if (bytes === undefined) return;
    taken += bytes.length;
    if (player === undefined) {
      recorder?.input({ kind: 'frame', network, bytes: bytes.slice() });
      nic.deliver(bytes);
    }
    nic.taken();
  }
}
/** Gives the machine what it was given when it was recorded; false when it does not take it. */
function give(input: MachineInput): boolean {
  machine.lookAtClock();
  switch (input.kind) {
    case 'serial':
      return typeAt(input.port, input.bytes) === input.bytes.length;
    case 'key':
      machine.key(input.code, input.down);
      return true;
    case 'mouse':
      machine.pointer(input);
      return true;
    case 'clipboard':
      machine.offerText(input.text);
      return true;
    case 'power-button':
      machine.powerButton();
      return true;
    case 'frame':
      nics[input.network]?.deliver(input.bytes);
      return input.network < nics.length;
    case 'pointer':
    case 'screen-size':
    case 'balloon':
    case 'random':
    case 'port':
    case 'port-change':
    case 'share':
    case 'vsock':
    case 'vsock-done':
      return virtio.give(machine, input);
    case 'disc':
      return insertDisc(input);
    case 'disk': {
      const disk = disks[input.disk];
      if (disk?.fill(input.id, input.data) !== true) return false;
      disk.completed(input.id, input.ok);
      return true;
    }
  }
}
function takeRecorded(from: Player): void {
  for (const input of from.take()) if (!give(input)) throw from.diverged(`it does not take what came (${input.kind})`);
}
const lines = [...serial, ...nics, ...virtio.ports, ...virtio.shares, virtio.vsock].filter(
  (line) => line !== undefined,
);
/** Passes on what the guest sent by its serial ports, network cards and other devices, as far as there is room for it. */
function passOutput(): void {
  let hasPassed = false;
  for (let i = 0; i < lines.length; i++) if (lines[i]!.flush()) hasPassed = true;
  if (hasPassed) ringForIo();
  texts.pass();
}
/** As `passOutput`, until everything is passed on or nobody takes it. */
function passAllOutput(): void {
  const until = performance.now() + SERIAL_PATIENCE_MS;
  for (passOutput(); serial.some((line) => line?.isEmpty === false) && performance.now() < until; passOutput())
    vcpuBell.wait(vcpuBell.ticket, 1);
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
    case 'mouse':
    case 'pointer':
    case 'screen-size':
    case 'clipboard':
      // Nobody but the recording types where one is given again.
      if (player !== undefined) return;
      recorder?.input(command);
      return void give(command);
    case 'power-button':
      return tell({ kind: 'done', id: command.id, value: player === undefined && pressPowerButton() });
    case 'balloon': {
      const { pages, id } = command;
      const input: MachineInput = { kind: 'balloon', ...(pages === undefined ? {} : { pages }) };
      const balloon = machine.balloon?.look();
      if (player === undefined && balloon !== undefined) {
        recorder?.input(input);
        give(input);
      }
      return tell({ kind: 'balloon', id, ...(balloon === undefined ? {} : { balloon }) });
    }
    case 'disc':
      // The number may have been another disc's, whose last requests have to be done.
      takeCompletions();
      return tell({ kind: 'disc-changed', id: command.id, value: changeDisc(command) });
    case 'display': {
      const { display } = machine.view();
      return tell({ kind: 'display', id: command.id, display, time: machine.clock.now() });
    }
    case 'stats':
      return tell({ kind: 'stats', id: command.id, stats: stats() });
  }
}
type DiscInput = Extract<MachineInput, { kind: 'disc' }>;
function insertDisc({ drive, disc }: DiscInput): boolean {
  if (disc === undefined) return machine.insertDisc(drive, undefined);
  const { disk, sectors } = disc;
  const put = new RingDisk(disk, { sectors, readOnly: true, id: `disc-${disk}` }, reach, submit);
  if (!machine.insertDisc(drive, put)) return false;
  disks[disk] = put;
  return true;
}
/** Whether there is such a drive. */
function changeDisc({ drive, disc }: Omit<DiscInput, 'kind'>): boolean {
  if (player !== undefined) return false;
  const input: DiscInput = { kind: 'disc', drive, ...(disc === undefined ? {} : { disc }) };
  const isIn = insertDisc(input);
  if (isIn) recorder?.input(input);
  return isIn;
}
/** Whether the guest hears of it. */
function pressPowerButton(): boolean {
  recorder?.input({ kind: 'power-button' });
  return machine.powerButton();
}
/** The machine stands still, and so does its clock, until it is told to go on (undefined) or to stop. */
function pause(id: number): GuestEnd | undefined {
  const time = machine.clock.now();
  // What is in flight ends in this machine: a state that is saved now owes nobody anything.
  for (;;) {
    const { ticket } = vcpuBell;
    takeCompletions();
    if (player === undefined) virtio.takeAnswers(machine, recordInput);
    passOutput();
    if ([...disks, ...virtio.shares].every((end) => end.outstanding === 0)) break;
    vcpuBell.wait(ticket, virtio.waitsForRoom ? 1 : LONGEST_SLEEP_MS);
  }
  passAllOutput();
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
  account.stood();
  return undefined;
}

/** A slice of the machine, written down where that is asked for, and no longer than to the next thing that was recorded. */
function runSlice(limit?: number, exactly?: boolean): SliceEnd {
  if (player === undefined) return tracedSlice(limit, exactly);
  const room = Math.max(1, player.room);
  return tracedSlice(Math.min(limit ?? LONGEST_EXACT, room), true);
}
function tracedSlice(limit?: number, exactly?: boolean): SliceEnd {
  if (trace === undefined) return machine.runSlice(limit, exactly);
  const { room } = trace.trace,
    cut = room < LONGEST_EXACT;
  const end = machine.runSlice(cut ? Math.min(room, limit ?? room) : limit, exactly === true || cut ? true : undefined);
  trace.settle();
  return end.kind === 'breakpoint' && trace.trace.takes(machine.processor.debug.stop) ? goOn() : end;
}
/** The debugger's stop was none of its own. */
function goOn(): SliceEnd {
  machine.processor.debug.stop = undefined;
  return { kind: 'running' };
}

function run(): GuestEnd {
  for (;;) {
    const { ticket } = vcpuBell;
    const more = (waiting.length > 0 ? RUNG_FOR.completions : 0) | (virtio.isDue ? RUNG_FOR.others : 0),
      reasons = attention.due(ticket, more),
      asked = reasons === 0 ? undefined : takeInput(reasons);
    if (asked !== undefined) return asked;
    if (player !== undefined) {
      takeRecorded(player);
      if (player.isOver && player.endsByItself) return { ...STOPPED, replayed: true };
    }
    if (debug?.stands() === true) {
      const told = stand(debug);
      if (told !== undefined) return told;
      continue;
    }
    if (debug?.killed === true) return STOPPED;
    account.begin(threadTime.now());
    const { limit, exactly } = profiler?.next() ?? {};
    const end = debug === undefined ? runSlice(limit, exactly) : debug.runSlice();
    account.end(threadTime.now(), end.kind);
    profiler?.ran(end.kind);
    passOutput();
    recorder?.settle();
    if (end.kind === 'stopped')
      return {
        why: end.why,
        status: end.status,
        ...(end.why === 'triple-fault' ? { detail: machine.describe() } : {}),
        ...(player === undefined ? {} : { replayed: true }),
      };
    if (end.kind === 'halted') idle(ticket, end.until);
    // It would only ask again: the I/O thread may need the host's processor for its answer.
    if (end.kind === 'running' && end.awaitsIo === true && player === undefined) {
      const from = performance.now();
      vcpuBell.wait(ticket, POLLING_SLEEP_MS);
      account.slept(performance.now() - from);
    }
  }
}
/** A debugger has the machine: its time stands, and only what is asked of it from outside is answered. */
function stand(debug: DebugSession): GuestEnd | undefined {
  const time = machine.clock.now();
  passAllOutput();
  for (;;) {
    const { ticket } = vcpuBell;
    const asked = takeCommands();
    if (asked !== undefined) return asked;
    if (!debug.stands()) break;
    vcpuBell.wait(ticket, LONGEST_SLEEP_MS);
  }
  machine.clock.set(time);
  account.stood();
  return undefined;
}
/** The processor is halted until an alarm or something from outside. */
function idle(ticket: number, until: number | null): void {
  if (player !== undefined) return player.skip(until);
  if (recorder === undefined) return sleep(ticket, until);
  const { clock } = machine,
    time = clock.now(),
    from = performance.now();
  sleep(ticket, until);
  const now = Math.floor(time + (performance.now() - from) * 1e6);
  clock.skipTo(until === null ? now : Math.min(now, until));
  // An alarm comes at its time when the recording is given again too; another time has to be in it.
  if (until === null || now < until) recorder.idle();
}
function sleep(ticket: number, until: number | null): void {
  const wait = until === null ? LONGEST_SLEEP_MS : Math.min(LONGEST_SLEEP_MS, (until - machine.clock.now()) / 1e6);
  // Bytes that the UART had no room for, and output that found no room, are tried again soon.
  const soon = typed.isWaiting || waiting.length > 0 || virtio.waitsForRoom || texts.isWaiting;
  if (wait <= 0 || virtio.isDue || attention.isPressing(machine.work)) return;
  const from = performance.now();
  vcpuBell.wait(ticket, soon ? Math.min(wait, 1) : wait);
  account.slept(performance.now() - from);
}

/** What the machine refuses: a kernel that is none, a state that is not its own. */
function begin(): void {
  if (start.restore === undefined) machine.powerOn();
  else {
    machine.restore(start.restore);
    // Those at the other ends are not in a snapshot.
    machine.vsock?.disconnected();
  }
  player?.attach(machine);
  if (record !== undefined) recorder = new recording!.Recorder(record, machine, recording!.describeMachine(start));
  if (start.trace !== undefined) trace = new TraceFile(machine, start.trace);
}
/** Nothing is in flight any more, and what was to be written is written. */
function close(end: GuestEnd): void {
  passAllOutput();
  trace?.close();
  if (recorder !== undefined) {
    const until = performance.now() + DISK_PATIENCE_MS;
    while (disks.some((disk) => disk.outstanding > 0) && performance.now() < until) {
      vcpuBell.wait(vcpuBell.ticket, 1);
      takeCompletions();
    }
    recorder.close(end.why);
  }
  if (player === undefined || end.replayed !== true) return;
  takeRecorded(player);
  player.end(end.why);
}

if (opened !== undefined && trying(begin) !== undefined) {
  tell({ kind: 'running' });
  const ran = trying(() => {
    const end = run();
    close(end);
    // With all that a guest has come by. Nothing is written where nothing is new.
    flushCompileCache();
    return end;
  });
  if (ran !== undefined)
    tell({
      kind: 'stopped',
      end: ran.value,
      stats: stats(),
      ...(profiler === undefined ? {} : { profile: profiler.profile(account.idleMs) }),
      display: machine.view().display,
      time: machine.clock.now(),
    });
}
