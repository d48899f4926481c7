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
  renderFrame,
  textOf,
  type MachineConfig,
} from '@tomei/paravirt-core';
import { openVmdk, type BlockDevice } from '@tomei/vmdk';
import { loadVmx, type DiskConfig, type FileReference, type GuestConfig } from '@tomei/vmx';
import { DiskServer } from './disk-server.ts';
import type {
  GuestReport,
  GuestRequest,
  GuestStart,
  SharedParts,
  VcpuCommand,
  VcpuMessage,
  VcpuStart,
} from './protocol.ts';

const VIDEO_MEMORY = 16 << 20;
const SERIAL_RING = 1 << 16,
  DISK_RING = 1 << 20,
  COMMAND_RING = 1 << 16;
const PORTS = 4;

const report = (message: GuestReport): void => {
  if (process.connected) process.send!(message);
};

/** One guest from its `.vmx` to its end. */
class GuestProcess {
  private readonly worker: Worker;
  private readonly disks: readonly BlockDevice[];
  private readonly server: DiskServer;
  private readonly commands: ByteRing;
  private readonly vcpuBell: Doorbell;
  private readonly ioBell: Doorbell;
  private readonly serialOut: readonly ByteRing[];
  private readonly serialIn: readonly ByteRing[];
  private readonly typed: Uint8Array[][] = Array.from({ length: PORTS }, () => []);
  private readonly video: Uint8Array;
  private ended = false;

  constructor(
    config: MachineConfig,
    disks: readonly BlockDevice[],
    names: readonly string[],
    serial: readonly boolean[],
  ) {
    const plan = planMemory({ processors: 1, ramBytes: config.ramBytes, videoMemoryBytes: config.videoMemoryBytes });
    const rings = (bytes: number): SharedArrayBuffer[] => Array.from({ length: PORTS }, () => ByteRing.allocate(bytes));
    const shared: SharedParts = {
      memory: allocateMemory(plan),
      vcpuBell: Doorbell.allocate(),
      ioBell: Doorbell.allocate(),
      serialOut: rings(SERIAL_RING),
      serialIn: rings(SERIAL_RING),
      diskRequests: ByteRing.allocate(DISK_RING),
      diskCompletions: ByteRing.allocate(DISK_RING),
      commands: ByteRing.allocate(COMMAND_RING),
    };
    this.disks = disks;
    this.vcpuBell = new Doorbell(shared.vcpuBell);
    this.ioBell = new Doorbell(shared.ioBell);
    this.serialOut = shared.serialOut.map((m) => new ByteRing(m));
    this.serialIn = shared.serialIn.map((m) => new ByteRing(m));
    this.commands = new ByteRing(shared.commands);
    this.video = new Uint8Array(shared.memory.buffer, plan.videoMemory, plan.videoMemoryBytes);
    const told = new Set<string>();
    this.server = new DiskServer({
      disks,
      ram: new Uint8Array(shared.memory.buffer, plan.ram, plan.ramBytes),
      requests: shared.diskRequests,
      completions: shared.diskCompletions,
      vcpuBell: this.vcpuBell,
      onTrouble: (disk, error) => {
        const key = `${disk} ${error.code}`;
        if (!told.has(key)) report({ kind: 'warning', text: `${names[disk] ?? 'disk'}: ${error.message}` });
        told.add(key);
      },
    });
    const start: VcpuStart = {
      config,
      disks: disks.map((disk, i) => ({
        sectors: disk.sizeBytes / SECTOR_BYTES,
        readOnly: disk.readOnly,
        id: `tomei-${i}`,
      })),
      serial,
      shared,
    };
    this.worker = new Worker(new URL('./vcpu-worker.ts', import.meta.url), { workerData: start });
    this.worker.on('message', (message: VcpuMessage) => this.hear(message));
    this.worker.on(
      'error',
      (error) => void this.fail('guest.crashed', `the processor thread went down: ${error.stack ?? messageOf(error)}`),
    );
    void this.serve();
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
    this.commands.writeMessage(new TextEncoder().encode(JSON.stringify(command)));
    this.vcpuBell.ring();
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
        return report({
          kind: 'refused',
          id: request.id,
          code: 'guest.no-snapshots',
          message: 'this version does not write snapshots to files yet',
        });
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
    if (left) setTimeout(() => this.passTyped(), 10);
  }

  private hear(message: VcpuMessage): void {
    switch (message.kind) {
      case 'running':
        return report({ kind: 'running' });
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
    report({ kind: 'ended', end, stats });
    leave(0);
  }
  private async fail(code: string, message: string): Promise<void> {
    await this.close();
    report({ kind: 'failed', code, message });
    leave(1);
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

async function readBootFile(reference: FileReference): Promise<{ name: string; bytes: Uint8Array }> {
  try {
    return { name: reference.fileName, bytes: await readFile(reference.path) };
  } catch (cause) {
    throw new TomeiError('guest.missing-file', `${reference.key}: cannot read ${reference.path}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function openDisks(configs: readonly DiskConfig[]): Promise<{ disks: BlockDevice[]; names: string[] }> {
  const disks: BlockDevice[] = [],
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

async function machineConfig(config: GuestConfig): Promise<MachineConfig> {
  if (config.boot === undefined) {
    throw new TomeiError(
      'guest.nothing-to-boot',
      "this version boots kernels directly, without firmware: name one by 'tomei.kernel' in the .vmx",
    );
  }
  const { kernel, initrd, commandLine } = config.boot;
  return {
    ramBytes: config.memoryMiB << 20,
    videoMemoryBytes: VIDEO_MEMORY,
    epoch: Math.floor(Date.now() / 1000),
    kernel: await readBootFile(kernel),
    ...(initrd === undefined ? {} : { initrd: await readBootFile(initrd) }),
    commandLine,
  };
}

let guest: GuestProcess | undefined;
async function begin(start: GuestStart): Promise<void> {
  const { config, warnings } = await loadVmx(start.vmx);
  for (const warning of warnings)
    report({ kind: 'warning', text: `${warning.fileName}:${warning.line}: ${warning.message}` });
  const machine = await machineConfig(config);
  const { disks, names } = await openDisks(config.disks);
  const serial = Array.from({ length: PORTS }, (_, i) => config.serialPorts.some((p) => p.index === i && p.connected));
  guest = new GuestProcess(machine, disks, names, serial);
}

process.on('message', (request: GuestRequest) => {
  if (request.kind !== 'start') return guest?.request(request);
  begin(request).catch((error: unknown) => {
    const code = error instanceof TomeiError ? error.code : 'guest.failed';
    report({ kind: 'failed', code, message: messageOf(error) });
    leave(1);
  });
});
process.on('disconnect', () => (guest === undefined ? process.exit(1) : guest.stop()));
// Whoever started the guest decides when it ends: a terminal's Ctrl-C is meant for them.
process.on('SIGINT', () => undefined);
