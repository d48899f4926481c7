/** One guest from its power-on to its end, as its process's main thread sees it: the processor is a worker behind rings. */
import { flushCompileCache } from 'node:module';
import { setImmediate } from 'node:timers/promises';
import { ByteRing, Doorbell, TomeiError, messageOf } from '@tomei/kit';
import {
  LONGEST_SELECTION,
  SECTOR_BYTES,
  allocateMemory,
  blinkAt,
  encodePng,
  machinePlan,
  refuseOtherMachine,
  refuseOtherShares,
  renderFrame,
  textOf,
  type DisplayState,
  type MemoryArea,
  type SavedMachine,
  type SnapshotConfig,
} from '@tomei/paravirt-core';
import { SERIAL_PORTS } from '@tomei/vmx';
import type { GuestConsole } from './console/console.ts';
import type { ConsoleGuest, ScreenView } from './console/console-guest.ts';
import { DEBUGGER_RING } from './gdb/debug-session.ts';
import { GdbServer, checkAddress } from './gdb/gdb-server.ts';
import { planTrace, type TracePlan } from './trace/trace-plan.ts';
import { NetworkCards } from './network/cards.ts';
import { allocateNicRings } from './network/ring-nic.ts';
import { Discs } from './discs.ts';
import { DiskServer } from './disk-server.ts';
import type { GuestParts } from './parts.ts';
import {
  troubleOf,
  type DebuggerOptions,
  type Disc,
  type GuestRequest,
  type GuestStart,
  type InputEvent,
  type SharedParts,
  type Timing,
  type VcpuCommand,
  type VcpuMessage,
  type VcpuStart,
} from './protocol.ts';
import { PortServers } from './ports/port-servers.ts';
import { allocatePortRings } from './ports/ring-port.ts';
import { leave, report, warn } from './report.ts';
import { allocateShareRings } from './share/ring-share.ts';
import { ShareServers } from './share/share-servers.ts';
import { SnapshotFile, saveSnapshotFile } from './snapshot-file.ts';
import { TypedBytes } from './typed-bytes.ts';
import { startVcpuThread } from './vcpu-thread.ts';
import { allocateVsockRings } from './vsock/ring-vsock.ts';
import { VsockServer } from './vsock/vsock-server.ts';

const SERIAL_RING = 1 << 16,
  DISK_RING = 1 << 20,
  /** Room for the longest text of a clipboard, in which JSON may write six bytes for one. */
  COMMAND_RING = 1 << 19;
/** When to look again whether a full ring has room. */
const RETRY_MS = 10;
/** Bytes that may wait for a guest that reads none of its serial port. */
const MOST_TYPED = 1 << 20;
/** Input events that may wait for a processor that takes none. */
const MOST_UNSENT = 1024;
/** Before a text for its clipboard, which is as long as thousands of them. */
const MOST_BEFORE_TEXT = 8;

type SaveRequest = Extract<GuestRequest, { kind: 'save' }>;

export class RunningGuest implements ConsoleGuest {
  private readonly parts: GuestParts;
  private readonly shared: SharedParts;
  private readonly areas: readonly MemoryArea[];
  private readonly discs: Discs;
  private readonly changes = new Map<number, (isIn: boolean) => void>();
  private readonly server: DiskServer;
  private readonly network: NetworkCards;
  private readonly ports: PortServers;
  private readonly shares: ShareServers;
  private readonly vsock: VsockServer | undefined;
  private readonly commands: ByteRing;
  private readonly vcpuBell: Doorbell;
  private readonly ioBell: Doorbell;
  private readonly serialOut: readonly ByteRing[];
  private readonly typed: TypedBytes;
  private readonly video: Uint8Array;
  private readonly gpuVideo: Uint8Array;
  private readonly unsent: Uint8Array[] = [];
  private readonly looks = new Map<number, PromiseWithResolvers<ScreenView>>();
  private lastLook = 0;
  private readonly hearsSerial: boolean;
  private console: GuestConsole | undefined;
  private debugger: GdbServer | undefined;
  private readonly debuggerOptions: DebuggerOptions | undefined;
  private readonly trace: TracePlan | undefined;
  private readonly timing: Timing;
  private readonly perf: boolean;
  /** Ports whose typed bytes were left out; told once, until there is room again. */
  private readonly deaf = new Set<number>();
  private saving: SaveRequest | undefined;
  private ended = false;

  constructor(
    parts: GuestParts,
    {
      hearsSerial,
      debugger: gdb,
      trace,
      timing,
      perf,
    }: Pick<GuestStart, 'hearsSerial' | 'debugger' | 'trace' | 'timing' | 'perf'>,
  ) {
    const { machine: config, disks, names, networks } = parts;
    this.parts = parts;
    this.hearsSerial = hearsSerial;
    this.debuggerOptions = gdb;
    if (gdb !== undefined) checkAddress(gdb.listen);
    this.timing = timing ?? {};
    this.perf = perf === true;
    this.trace = trace === undefined ? undefined : planTrace(trace);
    const plan = machinePlan(config);
    const rings = (bytes: number): SharedArrayBuffer[] =>
      Array.from({ length: SERIAL_PORTS }, () => ByteRing.allocate(bytes));
    const shared: SharedParts = (this.shared = {
      memory: allocateMemory(plan),
      vcpuBell: Doorbell.allocate(),
      ioBell: Doorbell.allocate(),
      serialOut: rings(SERIAL_RING),
      serialIn: rings(SERIAL_RING),
      diskRequests: ByteRing.allocate(DISK_RING),
      diskCompletions: ByteRing.allocate(DISK_RING),
      commands: ByteRing.allocate(COMMAND_RING),
      ports: parts.virtio.ports.map(allocatePortRings),
      shares: parts.shares.map(allocateShareRings),
      ...(parts.virtio.vsock === undefined ? {} : { vsock: allocateVsockRings() }),
      networks: networks.map(allocateNicRings),
      ...(gdb === undefined
        ? {}
        : { debugger: { input: ByteRing.allocate(DEBUGGER_RING), output: ByteRing.allocate(DEBUGGER_RING) } }),
    });
    this.vcpuBell = new Doorbell(shared.vcpuBell);
    this.ioBell = new Doorbell(shared.ioBell);
    this.serialOut = shared.serialOut.map((m) => new ByteRing(m));
    this.typed = new TypedBytes(shared.serialIn, this.vcpuBell);
    this.commands = new ByteRing(shared.commands);
    const ram = new Uint8Array(shared.memory.buffer, plan.ram, plan.ramBytes);
    this.video = new Uint8Array(shared.memory.buffer, plan.videoMemory, plan.videoMemoryBytes);
    this.gpuVideo = new Uint8Array(shared.memory.buffer, plan.gpuMemory, plan.gpuMemoryBytes);
    this.areas = [
      { name: 'ram', bytes: ram },
      { name: 'video', bytes: this.video },
      ...(plan.gpuMemoryBytes === 0 ? [] : [{ name: 'gpu', bytes: this.gpuVideo }]),
    ];
    const ends = networks.map((nic, i) => ({ ...nic, rings: shared.networks![i]! }));
    this.network = new NetworkCards(ends, this.vcpuBell);
    this.ports = new PortServers(
      parts.virtio.ports.map(({ name, socket }, i) => ({
        name,
        ...(socket === undefined ? {} : { socket: socket.path }),
        rings: shared.ports![i]!,
      })),
      this.vcpuBell,
    );
    this.shares = new ShareServers(
      parts.shares.map((share, i) => ({ share, rings: shared.shares![i]! })),
      this.vcpuBell,
    );
    const { vsock } = parts.virtio;
    if (vsock !== undefined) {
      const { cid, socket } = vsock;
      const place = { cid, rings: shared.vsock!, ...(socket === undefined ? {} : { socket: socket.path }) };
      this.vsock = new VsockServer(place, this.vcpuBell);
    }
    this.server = new DiskServer({
      disks,
      reach: new Uint8Array(shared.memory.buffer, plan.ram, plan.ramBytes + plan.stagingBytes),
      requests: shared.diskRequests,
      completions: shared.diskCompletions,
      vcpuBell: this.vcpuBell,
      onTrouble: (disk, error) => warn(`${names[disk] ?? 'disk'}: ${error.message}`),
    });
    this.discs = new Discs({
      ...{ drives: parts, server: this.server, open: (slot, file) => parts.openDisc(slot, file), warn },
      insert: (drive, disc) => this.insert(drive, disc),
    });
  }

  /** Has the machine take a disc; false when it has no such drive. */
  private insert(drive: number, disc: Disc | undefined): Promise<boolean> {
    if (this.ended) return Promise.reject(new TomeiError('guest.ended', 'the guest has ended'));
    const id = ++this.lastLook,
      { promise, resolve } = Promise.withResolvers<boolean>();
    this.changes.set(id, resolve);
    this.command({ kind: 'disc', id, drive, ...(disc === undefined ? {} : { disc }) });
    return promise;
  }

  get serialPorts(): readonly number[] {
    return this.parts.serial.flatMap((present, port) => (present ? [port] : []));
  }

  get resizable(): boolean {
    return this.gpuVideo.length > 0;
  }

  /**
   * Starts the processor: at power-on, or where a snapshot was saved. Throws `snapshot.*` when that does not fit. `console` is of
   * this guest, and listens already.
   */
  async start(snapshot: SnapshotFile | undefined, console: GuestConsole | undefined): Promise<void> {
    this.console = console;
    const { machine, disks, names, places, empty, serial, networks, virtio, shares } = this.parts;
    const tags = shares.map(({ tag }) => tag);
    if (snapshot !== undefined) {
      refuseOtherMachine(snapshot.state.config, await this.snapshotConfig(), snapshot.path, names);
      refuseOtherShares(snapshot.state.shares, tags, snapshot.path);
      await snapshot.readMemory(this.areas);
    }
    // Before the guest can send anything; what is given again meets nobody.
    if (this.timing.replay === undefined) {
      await this.network.join(warn);
      await this.ports.listen(warn);
      await this.vsock?.listen().catch((error: unknown) => warn(messageOf(error)));
      await this.shares.open();
      if (snapshot !== undefined) await this.shares.restore(snapshot.state.shares, snapshot.path);
    }
    const start: VcpuStart = {
      config: machine,
      disks: disks.map((disk, i) => ({
        sectors: disk.sizeBytes / SECTOR_BYTES,
        readOnly: disk.readOnly,
        id: `tomei-${i}`,
        ...(places[i] === undefined ? {} : { place: places[i] }),
      })),
      emptyDrives: empty,
      serial,
      networks: networks.map(({ device, mac, connected, rom }) => ({
        ...{ device, mac, connected },
        ...(rom === undefined ? {} : { rom }),
      })),
      virtio: { ...virtio, ports: virtio.ports.map(({ name }) => name), shares: tags },
      shared: this.shared,
      debuggerFirst: this.debuggerOptions?.first === true,
      ...this.timing,
      perf: this.perf,
      ...(this.trace === undefined ? {} : { trace: this.trace }),
      ...(snapshot === undefined ? {} : { restore: snapshot.state.machine }),
    };
    const worker = startVcpuThread(start);
    worker.on('message', (message: VcpuMessage) => this.hear(message));
    worker.on(
      'error',
      (error) => void this.fail('guest.crashed', `the processor thread went down: ${error.stack ?? messageOf(error)}`),
    );
    void this.serve();
  }
  /** What a state of this guest needs to go on. Flushes the disks, whose contents it names. */
  private async snapshotConfig(): Promise<SnapshotConfig> {
    const { machine, serial } = this.parts,
      { disks } = this.discs;
    return {
      ramBytes: machine.ramBytes,
      videoMemoryBytes: machine.videoMemoryBytes,
      epoch: machine.epoch,
      serial: [...serial],
      processors: machine.processors ?? 1,
      paravirt: machine.paravirt ?? 'off',
      vmi: machine.vmi ?? 'off',
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
      const sendsMore = this.network.poll();
      this.ports.poll();
      this.shares.poll();
      this.vsock?.poll();
      this.debugger?.poll();
      await (sendsMore ? setImmediate() : this.ioBell.waitAsync(ticket));
    }
  }
  private passSerial(): void {
    this.serialOut.forEach((ring, port) => {
      for (let bytes = ring.read(SERIAL_RING); bytes.length > 0; bytes = ring.read(SERIAL_RING)) {
        if (this.hearsSerial) report({ kind: 'serial', port, bytes });
        this.console?.serial(port, bytes);
      }
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
        return this.typed.push(request.port, request.bytes);
      case 'key':
      case 'mouse':
      case 'pointer':
      case 'screen-size':
        return this.command(request);
      case 'clipboard':
        return this.input(request);
      case 'screenshot':
        return void this.answer(request.id, () => this.screenshot());
      case 'stats':
      case 'balloon':
      case 'power-button':
        return this.command(request);
      case 'save':
        return this.beginSave(request);
      case 'stop':
        return this.command({ kind: 'stop' });
      case 'disc':
        return void this.answer(request.id, () => this.discs.change(request.slot, request.file));
    }
  }
  look(): Promise<ScreenView> {
    if (this.ended) return Promise.reject(new TomeiError('guest.ended', 'the guest has ended'));
    const id = ++this.lastLook,
      look = Promise.withResolvers<ScreenView>();
    this.looks.set(id, look);
    this.command({ kind: 'display', id });
    return look.promise;
  }
  async screenshot(): Promise<{ png: Uint8Array; text: readonly string[] }> {
    const { view, time } = await this.look();
    return { png: encodePng(renderFrame(view, blinkAt(time))), text: textOf(view) };
  }
  private async answer(id: number, work: () => Promise<unknown>): Promise<void> {
    try {
      report({ kind: 'answer', id, value: await work() });
    } catch (error) {
      report({ kind: 'refused', id, trouble: troubleOf(error) });
    }
  }
  input(event: InputEvent): void {
    const isText = event.kind === 'clipboard';
    if (isText && Buffer.byteLength(event.text) > LONGEST_SELECTION) return;
    if (this.unsent.length < (isText ? MOST_BEFORE_TEXT : MOST_UNSENT)) this.command(event);
  }
  type(port: number, bytes: Uint8Array): void {
    if (this.typed.waiting(port) + bytes.length <= MOST_TYPED) {
      this.deaf.delete(port);
      return this.typed.push(port, bytes);
    }
    if (!this.deaf.has(port)) warn(`serial${port}: the guest does not read; what is typed at the console is left out`);
    this.deaf.add(port);
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
      const [config, shares] = [await this.snapshotConfig(), await this.shares.save()];
      await saveSnapshotFile(path, { config, machine, shares }, this.areas);
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
        void this.openDebugger();
        return report({ kind: 'running' });
      case 'warning':
        return warn(message.text);
      case 'copied':
        this.console?.copied(message.text);
        return report(message);
      case 'failed':
        return void this.fail(message.code, message.message);
      case 'paused':
        if (this.saving?.id === message.id) void this.save(this.saving, message.state);
        return;
      case 'stats':
        return report({ kind: 'answer', id: message.id, value: message.stats });
      case 'balloon':
        return report({ kind: 'answer', id: message.id, value: message.balloon });
      case 'disc-changed':
        this.changes.get(message.id)?.(message.value);
        return void this.changes.delete(message.id);
      case 'done':
        return report({ kind: 'answer', id: message.id, value: message.value });
      case 'display':
        this.looks.get(message.id)?.resolve(this.seen(message));
        return void this.looks.delete(message.id);
      case 'stopped':
        return void this.finish(message);
    }
  }
  /** Not before the processor's thread can answer: GDB waits two seconds for that and no longer. */
  private async openDebugger(): Promise<void> {
    const { debugger: rings } = this.shared;
    if (rings === undefined || this.debuggerOptions === undefined || this.ended) return;
    try {
      this.debugger = await GdbServer.open(this.debuggerOptions.listen, rings, this.vcpuBell);
      report({ kind: 'debugger', address: this.debugger.address });
    } catch (error) {
      const { code, message } = troubleOf(error);
      await this.fail(code, message);
    }
  }
  private seen({ display, time }: { readonly display: DisplayState; readonly time: number }): ScreenView {
    return { view: { display, memory: display.scanout === undefined ? this.video : this.gpuVideo }, time };
  }
  private async finish(message: Extract<VcpuMessage, { kind: 'stopped' }>): Promise<void> {
    const { end, stats, profile } = message;
    this.passSerial();
    this.server.poll();
    // What the guest asked at last is done: `close` waits for it.
    this.shares.poll();
    await this.server.drained();
    const trouble = await this.close();
    for (const text of trouble) warn(text);
    await this.console?.end(end.why, this.seen(message));
    // Whoever started this process need not wait until it ends by itself, and the next start is to be faster all the same.
    flushCompileCache();
    report({ kind: 'ended', end, stats, ...(profile === undefined ? {} : { profile }) }, () => leave(0));
  }
  private async fail(code: string, message: string): Promise<void> {
    await this.close();
    await this.console?.end(message);
    report({ kind: 'failed', trouble: { code, message } }, () => leave(1));
  }
  /** Puts what the guest flushed, and what it wrote, on stable storage. Returns what went wrong. */
  private async close(): Promise<string[]> {
    this.ended = true;
    this.debugger?.close();
    this.network.close();
    this.ports.close();
    this.vsock?.close();
    for (const { reject } of this.looks.values()) reject(new TomeiError('guest.ended', 'the guest has ended'));
    this.looks.clear();
    this.ioBell.ring();
    await this.shares.close();
    const results = await Promise.allSettled(this.discs.disks.map((disk) => disk.close()));
    return results.flatMap((r) => (r.status === 'rejected' ? [messageOf(r.reason)] : []));
  }
  /** The parent is gone: end in order. */
  stop(): void {
    this.command({ kind: 'stop' });
  }
}
