/**
 * The guest process: its main thread does input and output, its one worker is the processor. It is started by `startGuest`, told what
 * to do over the channel of its parent, and ends with the guest or with its parent.
 */
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { ByteRing, Doorbell, TomeiError, messageOf } from '@tomei/kit';
import {
  SECTOR_BYTES,
  allocateMemory,
  blinkAt,
  encodePng,
  planMemory,
  refuseOtherMachine,
  renderFrame,
  textOf,
  type MachineConfig,
  type MemoryArea,
  type SavedMachine,
  type SnapshotConfig,
} from '@tomei/paravirt-core';
import { openVmdk, type VmdkDisk } from '@tomei/vmdk';
import { loadVmx, type DiskConfig, type FileReference, type GuestConfig } from '@tomei/vmx';
import { DiskServer } from './disk-server.ts';
import {
  troubleOf,
  type GuestReport,
  type GuestRequest,
  type GuestStart,
  type SharedParts,
  type VcpuCommand,
  type VcpuMessage,
  type VcpuStart,
} from './protocol.ts';
import { SnapshotFile, saveSnapshotFile } from './snapshot-file.ts';

const VIDEO_MEMORY = 16 << 20;
const SERIAL_RING = 1 << 16,
  DISK_RING = 1 << 20,
  COMMAND_RING = 1 << 16;
const PORTS = 4;
/** When to look again whether a full ring has room. */
const RETRY_MS = 10;

/** Tells the parent; `sent` is called when the message is on its way, or when there is nobody to tell. */
const report = (message: GuestReport, sent: () => void = () => undefined): void => {
  if (process.connected) process.send!(message, undefined, undefined, () => sent());
  else sent();
};

/** What a guest is given. */
interface GuestParts {
  readonly machine: MachineConfig;
  readonly disks: readonly VmdkDisk[];
  /** Of the disks, as the `.vmx` names them. */
  readonly names: readonly string[];
  /** Which of COM1..COM4 exist. */
  readonly serial: readonly boolean[];
}
type SaveRequest = Extract<GuestRequest, { kind: 'save' }>;

/** One guest from its `.vmx` to its end. */
class GuestProcess {
  private readonly parts: GuestParts;
  private readonly shared: SharedParts;
  private readonly areas: readonly MemoryArea[];
  private readonly disks: readonly VmdkDisk[];
  private readonly server: DiskServer;
  private readonly commands: ByteRing;
  private readonly vcpuBell: Doorbell;
  private readonly ioBell: Doorbell;
  private readonly serialOut: readonly ByteRing[];
  private readonly serialIn: readonly ByteRing[];
  private readonly typed: Uint8Array[][] = Array.from({ length: PORTS }, () => []);
  private readonly video: Uint8Array;
  private readonly unsent: Uint8Array[] = [];
  private saving: SaveRequest | undefined;
  private ended = false;

  constructor(parts: GuestParts) {
    const { machine: config, disks, names } = parts;
    this.parts = parts;
    const plan = planMemory({ processors: 1, ramBytes: config.ramBytes, videoMemoryBytes: config.videoMemoryBytes });
    const rings = (bytes: number): SharedArrayBuffer[] => Array.from({ length: PORTS }, () => ByteRing.allocate(bytes));
    const shared: SharedParts = (this.shared = {
      memory: allocateMemory(plan),
      vcpuBell: Doorbell.allocate(),
      ioBell: Doorbell.allocate(),
      serialOut: rings(SERIAL_RING),
      serialIn: rings(SERIAL_RING),
      diskRequests: ByteRing.allocate(DISK_RING),
      diskCompletions: ByteRing.allocate(DISK_RING),
      commands: ByteRing.allocate(COMMAND_RING),
    });
    this.disks = disks;
    this.vcpuBell = new Doorbell(shared.vcpuBell);
    this.ioBell = new Doorbell(shared.ioBell);
    this.serialOut = shared.serialOut.map((m) => new ByteRing(m));
    this.serialIn = shared.serialIn.map((m) => new ByteRing(m));
    this.commands = new ByteRing(shared.commands);
    const ram = new Uint8Array(shared.memory.buffer, plan.ram, plan.ramBytes);
    this.video = new Uint8Array(shared.memory.buffer, plan.videoMemory, plan.videoMemoryBytes);
    this.areas = [
      { name: 'ram', bytes: ram },
      { name: 'video', bytes: this.video },
    ];
    this.server = new DiskServer({
      disks,
      ram,
      requests: shared.diskRequests,
      completions: shared.diskCompletions,
      vcpuBell: this.vcpuBell,
      onTrouble: (disk, error) => report({ kind: 'warning', text: `${names[disk] ?? 'disk'}: ${error.message}` }),
    });
  }

  /** Starts the processor: at power-on, or where a snapshot was saved. Throws `snapshot.*` when that does not fit. */
  async start(snapshot: SnapshotFile | undefined): Promise<void> {
    const { machine, disks, names, serial } = this.parts;
    if (snapshot !== undefined) {
      refuseOtherMachine(snapshot.state.config, await this.snapshotConfig(), snapshot.path, names);
      await snapshot.readMemory(this.areas);
    }
    const start: VcpuStart = {
      config: machine,
      disks: disks.map((disk, i) => ({
        sectors: disk.sizeBytes / SECTOR_BYTES,
        readOnly: disk.readOnly,
        id: `tomei-${i}`,
      })),
      serial,
      shared: this.shared,
      ...(snapshot === undefined ? {} : { restore: snapshot.state.machine }),
    };
    const worker = new Worker(new URL('./vcpu-worker.ts', import.meta.url), { workerData: start });
    worker.on('message', (message: VcpuMessage) => this.hear(message));
    worker.on(
      'error',
      (error) => void this.fail('guest.crashed', `the processor thread went down: ${error.stack ?? messageOf(error)}`),
    );
    void this.serve();
  }
  /** What a state of this guest needs to go on. Flushes the disks, whose contents it names. */
  private async snapshotConfig(): Promise<SnapshotConfig> {
    const { machine, disks, serial } = this.parts;
    return {
      ramBytes: machine.ramBytes,
      videoMemoryBytes: machine.videoMemoryBytes,
      epoch: machine.epoch,
      serial: [...serial],
      processors: 1,
      disks: await Promise.all(
        disks.map(async (disk) => ({
          sectors: disk.sizeBytes / SECTOR_BYTES,
          readOnly: disk.readOnly,
          contentId: (await disk.pinContentId()) ?? null,
        })),
      ),
    };
  }

  /** Runs whenever the vCPU thread has left something. */
  private async serve(): Promise<void> {
    while (!this.ended) {
      const { ticket } = this.ioBell;
      this.server.poll();
      this.passSerial();
      await this.ioBell.waitAsync(ticket);
    }
  }
  private passSerial(): void {
    this.serialOut.forEach((ring, port) => {
      for (let bytes = ring.read(SERIAL_RING); bytes.length > 0; bytes = ring.read(SERIAL_RING))
        report({ kind: 'serial', port, bytes });
    });
  }
  private command(command: VcpuCommand): void {
    this.unsent.push(new TextEncoder().encode(JSON.stringify(command)));
    this.passCommands();
  }
  /** Commands for a ring that is full wait here until the guest has read. */
  private passCommands(): void {
    while (this.unsent.length > 0 && this.commands.writeMessage(this.unsent[0]!)) this.unsent.shift();
    this.vcpuBell.ring();
    if (this.unsent.length > 0) setTimeout(() => this.passCommands(), RETRY_MS);
  }

  request(request: Exclude<GuestRequest, GuestStart>): void {
    switch (request.kind) {
      case 'type':
        this.typed[request.port]?.push(request.bytes);
        return this.passTyped();
      case 'key':
      case 'mouse':
        return this.command(request);
      case 'screenshot':
        return this.command({ kind: 'display', id: request.id });
      case 'stats':
        return this.command({ kind: 'stats', id: request.id });
      case 'save':
        return this.beginSave(request);
      case 'stop':
        return this.command({ kind: 'stop' });
    }
  }
  /** Bytes for a ring that is full wait here until the guest has read. */
  private passTyped(): void {
    let left = false;
    this.typed.forEach((queue, port) => {
      while (queue.length > 0) {
        const written = this.serialIn[port]!.write(queue[0]!);
        if (written < queue[0]!.length) {
          queue[0] = queue[0]!.subarray(written);
          left = true;
          break;
        }
        queue.shift();
      }
    });
    this.vcpuBell.ring();
    if (left) setTimeout(() => this.passTyped(), RETRY_MS);
  }

  private beginSave(request: SaveRequest): void {
    if (this.saving !== undefined) {
      const message = `a snapshot is being written to ${this.saving.path}; try again when it is done`;
      return report({ kind: 'refused', id: request.id, trouble: { code: 'guest.busy', message } });
    }
    this.saving = request;
    this.command({ kind: 'pause', id: request.id });
  }
  /** The machine stands still and nothing is in flight. */
  private async save({ id, path, stop }: SaveRequest, machine: SavedMachine): Promise<void> {
    let saved = false;
    try {
      await this.server.drained();
      await saveSnapshotFile(path, { config: await this.snapshotConfig(), machine }, this.areas);
      saved = true;
      report({ kind: 'answer', id, value: undefined });
    } catch (error) {
      report({ kind: 'refused', id, trouble: troubleOf(error) });
    }
    this.saving = undefined;
    this.command({ kind: saved && stop ? 'stop' : 'resume' });
  }

  private hear(message: VcpuMessage): void {
    switch (message.kind) {
      case 'running':
        return report({ kind: 'running' });
      case 'failed':
        return void this.fail(message.code, message.message);
      case 'paused':
        if (this.saving?.id === message.id) void this.save(this.saving, message.state);
        return;
      case 'stats':
        return report({ kind: 'answer', id: message.id, value: message.stats });
      case 'display': {
        const view = { display: message.display, memory: this.video };
        const png = encodePng(renderFrame(view, blinkAt(message.time)));
        return report({ kind: 'answer', id: message.id, value: { png, text: textOf(view) } });
      }
      case 'paused':
        return;
      case 'stopped':
        return void this.finish(message);
    }
  }
  private async finish({ end, stats }: Extract<VcpuMessage, { kind: 'stopped' }>): Promise<void> {
    this.passSerial();
    this.server.poll();
    await this.server.drained();
    const trouble = await this.close();
    for (const text of trouble) report({ kind: 'warning', text });
    report({ kind: 'ended', end, stats }, () => leave(0));
  }
  private async fail(code: string, message: string): Promise<void> {
    await this.close();
    report({ kind: 'failed', trouble: { code, message } }, () => leave(1));
  }
  /** Puts what the guest flushed, and what it wrote, on stable storage. Returns what went wrong. */
  private async close(): Promise<string[]> {
    this.ended = true;
    this.ioBell.ring();
    const results = await Promise.allSettled(this.disks.map((disk) => disk.close()));
    return results.flatMap((r) => (r.status === 'rejected' ? [messageOf(r.reason)] : []));
  }
  /** The parent is gone: end in order. */
  stop(): void {
    this.command({ kind: 'stop' });
  }
}

/** Ends the process when its last message has been passed on. */
function leave(code: number): void {
  process.exitCode = code;
  if (process.connected) process.disconnect();
  setImmediate(() => process.exit(code));
}

type BootFile = NonNullable<MachineConfig['kernel']>;
async function readBootFile(
  noun: 'kernel' | 'initrd',
  { key, fileName, path, line }: FileReference,
  vmx: string,
): Promise<BootFile> {
  try {
    return { name: fileName, bytes: await readFile(path) };
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const what = missing ? `${path} does not exist` : `${path} cannot be read: ${messageOf(cause)}`;
    throw new TomeiError(missing ? `${noun}.missing` : `${noun}.unreadable`, `${vmx}:${line}: ${key}: ${what}`, {
      cause,
      data: { file: path },
    });
  }
}

async function openDisks(configs: readonly DiskConfig[]): Promise<{ disks: VmdkDisk[]; names: string[] }> {
  const disks: VmdkDisk[] = [],
    names: string[] = [];
  try {
    for (const config of configs) {
      if (config.kind === 'cdrom' || config.file === undefined) {
        report({ kind: 'warning', text: `${config.slot}: CD-ROM drives are not there yet; the guest runs without it` });
        continue;
      }
      if (!config.persistent)
        throw new TomeiError(
          'vmx.unsupported',
          `${config.slot}.mode = "${config.mode}": this version keeps every write; use "persistent"`,
        );
      const disk = await openVmdk(config.file.path);
      for (const text of disk.warnings) report({ kind: 'warning', text });
      disks.push(disk);
      names.push(config.slot);
    }
    return { disks, names };
  } catch (error) {
    await Promise.allSettled(disks.map((disk) => disk.close()));
    throw error;
  }
}

async function machineConfig(
  vmx: string,
  config: GuestConfig,
  snapshot: SnapshotFile | undefined,
): Promise<MachineConfig> {
  const sizes = { ramBytes: config.memoryMiB * 2 ** 20, videoMemoryBytes: VIDEO_MEMORY };
  // The kernel lies in the snapshot's memory, and the calendar goes on with the machine's time.
  if (snapshot !== undefined) return { ...sizes, epoch: snapshot.state.config.epoch, commandLine: '' };
  if (config.boot === undefined) {
    throw new TomeiError(
      'vmx.nothing-to-boot',
      `${vmx}: this version boots kernels directly, without firmware: name one by tomei.kernel`,
    );
  }
  const { kernel, initrd, commandLine } = config.boot;
  return {
    ...sizes,
    epoch: Math.floor(Date.now() / 1000),
    kernel: await readBootFile('kernel', kernel, vmx),
    ...(initrd === undefined ? {} : { initrd: await readBootFile('initrd', initrd, vmx) }),
    commandLine,
  };
}

let guest: GuestProcess | undefined;
/** What was asked of the guest before it was there. */
const early: Exclude<GuestRequest, GuestStart>[] = [];
async function begin(start: GuestStart): Promise<void> {
  const { source } = start;
  if (typeof source !== 'string') throw new TomeiError('guest.unsupported', 'guests of the pool cannot be started yet');
  const { config, warnings } = await loadVmx(source);
  for (const warning of warnings)
    report({ kind: 'warning', text: `${warning.fileName}:${warning.line}: ${warning.message}` });
  const snapshot = start.restore === undefined ? undefined : await SnapshotFile.open(start.restore);
  try {
    const machine = await machineConfig(source, config, snapshot);
    const { disks, names } = await openDisks(config.disks);
    const serial = Array.from({ length: PORTS }, (_, i) =>
      config.serialPorts.some((p) => p.index === i && p.connected),
    );
    if (serial[0] !== true)
      report({ kind: 'warning', text: `${source}: serial0 is not present: there will be no console` });
    try {
      const made = new GuestProcess({ machine, disks, names, serial });
      await made.start(snapshot);
      guest = made;
      for (const request of early) made.request(request);
    } catch (error) {
      await Promise.allSettled(disks.map((disk) => disk.close()));
      throw error;
    }
  } finally {
    await snapshot?.close();
  }
}

process.on('message', (request: GuestRequest) => {
  if (request.kind !== 'start') return guest === undefined ? void early.push(request) : guest.request(request);
  begin(request).catch((error: unknown) => {
    report({ kind: 'failed', trouble: troubleOf(error) }, () => leave(1));
  });
});
process.on('disconnect', () => (guest === undefined ? process.exit(1) : guest.stop()));
// Whoever started the guest decides when it ends: a terminal's Ctrl-C is meant for them.
process.on('SIGINT', () => undefined);
