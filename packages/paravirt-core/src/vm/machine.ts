/**
 * A machine: the one place that knows processor and devices both. Built from plain parts and host-side backends; whoever owns the
 * thread calls `runSlice` until it says otherwise.
 */
import { Alarms, TomeiError, type Nanoseconds } from '@tomei/kit';
import { CR0 } from '../core/cpu.ts';
import { PhysicalMap } from '../core/physical.ts';
import { allocateMemory, type MemoryPlan } from '../core/plan.ts';
import type { Processor, StopReason } from '../core/processor.ts';
import type { CompilerCounts, CompilingEngine } from '../jit/index.ts';
import type { DisplayView } from '../display/display-state.ts';
import type { BlockBackend } from '../devices/virtio/block-backend.ts';
import { linuxKey } from '../devices/virtio/linux-keys.ts';
import type { AcpiBoard } from '../firmware/acpi/dsdt.ts';
import { acpiInMemory } from '../firmware/acpi/tables.ts';
import type { BootState } from '../firmware/boot-state.ts';
import { loadKernel } from '../firmware/direct-boot.ts';
import { mpTable, type PciInterrupt } from '../firmware/mp-table.ts';
import { Board } from '../machine/board.ts';
import type { Device, MachineSignal } from '../machine/device.ts';
import { DEFAULT_PIRQ_LINES, pirqOf } from '../machine/pci-routing.ts';
import type { VideoMapping } from '../machine/pci-bus.ts';
import type { PointerEvent } from '../paravirt/absolute-pointer.ts';
import { buildProcessors, sumOfCounts, type MachineCompiling } from './build-processors.ts';
import { HeldClock, type MachineClock } from './clocks.ts';
import { FirmwareMemory } from './firmware-memory.ts';
import { hypercallCounts, registersOf, stolenTimeGuest, tellStolenTime } from './hypervisor.ts';
import { machinePlan, processorsOf, type MachineConfig } from './machine-config.ts';
import { acpiBoard, populateBoard, type BoardParts, type MachineBackends } from './populate-board.ts';
import type { VirtioParts } from './plug-virtio.ts';
import { parseSavedMachine, SAVED_MACHINE_VERSION, type SavedMachine } from './saved-machine.ts';
import { refuseOtherProcessors, restoreProcessors, saveProcessors } from './processors-state.ts';
import { StolenTime } from './stolen-time.ts';
import { Turns } from './turns.ts';
import { WorkMeter } from './work-meter.ts';
import { placeVmiRom, protectVmiRom } from './vmi-memory.ts';
import { callBelowStack } from './vmi-return.ts';
import { startByVmi } from './vmi-start.ts';

/** How a slice ended. `halted` gives the time of the next alarm, null when none is set: only input can wake the guest then. */
export type SliceEnd =
  /** `awaitsIo`: the guest polls a device that waits for the I/O side. */
  | { readonly kind: 'running'; readonly awaitsIo?: boolean }
  | { readonly kind: 'halted'; readonly until: Nanoseconds | null }
  /** The debugger's: `MachineDebugger.takeStop` says why. */
  | { readonly kind: 'breakpoint' }
  | {
      readonly kind: 'stopped';
      /** 'halted': the processor stopped with interrupts off, so that nothing can wake it any more. */
      readonly why: 'power-off' | 'reset' | 'exit' | 'triple-fault' | 'halted';
      readonly status: number;
    };

const FIRST_CARD_SLOT = 2;
const LAST_SLOT = 31;
/** The address line that the gate holds at 0. */
const A20 = 1 << 20;
/** Legacy video window and ROM space: no RAM for the processor. */
const VIDEO_WINDOW = 0xa0000,
  VIDEO_WINDOW_END = 0xc0000;
/** Instructions between two looks at the clock: a fraction of a millisecond. */
const SLICE = 50_000;
/** Times that processors execute one after the other in a slice, where time is real. */
const MOST_RUNS = 64;

export class Machine {
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  private readonly turns: Turns;
  readonly board: Board;
  readonly clock: MachineClock;
  private readonly boardTime: HeldClock;
  readonly alarms = new Alarms();
  readonly serial: readonly (Device | undefined)[];
  readonly keyboard: BoardParts['keyboard'];
  /** What is done for the guest beside its own code. Host time is looked at for this alone, and no guest sees it. */
  readonly served: WorkMeter;
  /** By processor; none where everything is interpreted. */
  private readonly engines: readonly CompilingEngine[];
  private readonly config: MachineConfig;
  private readonly parts: BoardParts;
  /** The board as tables tell of it. */
  private readonly described: AcpiBoard;
  private readonly firmware: FirmwareMemory | undefined;
  private readonly physical = new PhysicalMap();
  private readonly mapped = new Map<string, { base: number; size: number }>();
  private readonly stolen: StolenTime | undefined;
  private awaitsIo = false;
  private pendingStop: Extract<SliceEnd, { kind: 'stopped' }> | undefined;

  constructor(
    config: MachineConfig,
    backends: MachineBackends,
    clock: MachineClock,
    memory?: WebAssembly.Memory,
    compiling: MachineCompiling = {},
  ) {
    this.config = config;
    this.clock = clock;
    this.served = new WorkMeter(backends.hostTime ?? (() => performance.now()));
    this.boardTime = new HeldClock(clock);
    this.plan = machinePlan(config);
    this.memory = memory ?? allocateMemory(this.plan);
    this.mapRam();
    const { firmware } = config;
    this.firmware =
      firmware === undefined ? undefined : new FirmwareMemory(this.memory, this.plan, this.physical, firmware.bios);
    const board = (this.board = new Board({
      ram: new Uint8Array(this.memory.buffer, this.plan.ram, config.ramBytes),
      staging: new Uint8Array(this.memory.buffer, this.plan.ram + config.ramBytes, this.plan.stagingBytes),
      clock: this.boardTime,
      alarms: this.alarms,
      ramWritten: (address, length) => this.written(address, length),
      interruptRequest: (level, processor) => this.interruptRequested(level, processor),
      signal: (signal, value) => this.signalled(signal, value),
      ...(backends.trouble === undefined ? {} : { trouble: backends.trouble }),
      videoMemory: (mapping) => this.mapVideo(mapping),
      firmware: firmware !== undefined,
    }));
    if (this.firmware !== undefined) board.memory.claim('shadow', this.firmware.claim);
    const { processors, engines } = buildProcessors({
      ...{ config, memory: this.memory, plan: this.plan, physical: this.physical, board, alarms: this.alarms },
      ...{ clock, time: this.boardTime, served: this.served, compiling, parts: () => this.parts },
      callBelowStack: (target) => callBelowStack(this, target),
    });
    this.engines = engines;
    this.turns = new Turns(processors, {
      takeKick: (index) => this.parts.kvms[index]?.parts.takeKick() === true,
      now: clock.isReal ? () => clock.now() : undefined,
      waited: (index, nanoseconds) => tellStolenTime(this.parts, index, nanoseconds),
      preempted: (index) => this.parts.kvms[index]?.parts.preempted(),
      resumes: (index) => this.parts.kvms[index]?.parts.resumes() === true,
      start: (index, processor) => startByVmi(this.parts.vmi, index, processor),
    });

    this.described = acpiBoard(config, backends);
    this.parts = populateBoard(board, config, backends, {
      video: {
        bytes: new Uint8Array(this.memory.buffer, this.plan.videoMemory, config.videoMemoryBytes),
        size: config.videoMemoryBytes,
      },
      gpu: this.gpuMemory,
      registers: registersOf(() => this.processor.cpu),
      root: (index) => rootOf(this.processors[index]!),
      yieldTo: (index) => this.turns.yieldTo(index),
    });
    const { hostWait } = backends,
      told = stolenTimeGuest(this.parts, () => this.turns.index);
    if (told !== undefined && hostWait !== undefined && clock.isReal)
      this.stolen = new StolenTime(told, hostWait, clock);
    this.serial = this.parts.serial;
    this.keyboard = this.parts.keyboard;
  }

  /** All processors; the first one is the bootstrap processor. */
  get processors(): readonly Processor[] {
    return this.turns.processors;
  }
  /** The one whose turn it is: what executes, or executed last. */
  get processor(): Processor {
    return this.turns.acting;
  }
  /** Its number. */
  get processorIndex(): number {
    return this.turns.index;
  }
  /** What all processors have done: see `Processor`. */
  get work(): number {
    return this.turns.work;
  }
  get instructions(): number {
    return this.turns.instructions;
  }
  /** What the guest asked of its hypervisor; undefined where it finds none. */
  get hypercalls(): ReturnType<typeof hypercallCounts> {
    return hypercallCounts(this.parts.kvms, this.parts.vmi);
  }
  /** What has been compiled; undefined where everything is interpreted. */
  get compilation(): CompilerCounts | undefined {
    return sumOfCounts(this.engines.map(({ counts }) => counts));
  }

  /** RAM as the processor sees it. */
  private mapRam(): void {
    const { ram, ramBytes } = this.plan;
    this.physical.map(0, ram, VIDEO_WINDOW, true);
    this.physical.map(VIDEO_WINDOW_END, ram + VIDEO_WINDOW_END, ramBytes - VIDEO_WINDOW_END, true);
    protectVmiRom(this.config, this.physical, this.plan);
  }
  /** With the A20 gate closed every odd megabyte shows the one below, to the processor alone. */
  private setA20(open: boolean): void {
    const mask = open ? 0xffffffff : ~A20 >>> 0;
    if (mask === this.physical.addressMask) return;
    this.physical.addressMask = mask;
    for (const { mmu } of this.processors) mmu.flush(true);
    this.processor.requestAttention();
  }
  /** A device wrote RAM. */
  private written(address: number, length: number): void {
    for (const { code } of this.processors) code.written(address, length);
  }
  /** Guest-physical addresses are something else than before. */
  private forgetRange(base: number, size: number): void {
    for (const { code } of this.processors) code.forgetRange(base, size);
  }
  private interruptRequested(level: boolean, processor: number): void {
    // Devices are put onto the board before there is a processor.
    this.turns?.processors[processor]!.setInterruptRequest(level);
    if (level) this.turns?.interrupted(processor);
  }
  /** The shadow registers were written: what was decoded or translated where something else is seen now is stale. */
  private shadow(): void {
    const changed = this.firmware?.shadow(this.parts.hostBridge.parts.shadow()) ?? [];
    if (changed.length === 0) return;
    for (const { base, size } of changed) this.forgetRange(base, size);
  }
  private mapVideo({ owner, bar, base, size, offset }: VideoMapping): void {
    const key = `${owner}.${bar}`,
      old = this.mapped.get(key);
    if (old !== undefined) {
      this.physical.unmap(old.base, old.size);
      this.forgetRange(old.base, old.size);
    }
    this.mapped.delete(key);
    const fits =
      base !== undefined &&
      base % 4096 === 0 &&
      base >= this.plan.ramBytes &&
      offset + size <= this.plan.videoMemoryBytes;
    if (fits) {
      this.physical.map(base, this.plan.videoMemory + offset, size, true);
      this.mapped.set(key, { base, size });
      this.forgetRange(base, size);
    }
  }
  /** Local APICs' registers are before everything else: RAM, ROM and video memory end around them, for all processors. */
  private placeApics(): void {
    const pages = this.parts.localApics.map(({ parts }) => parts.page());
    this.physical.cover(pages.filter(({ size }) => size > 0).map(({ base }) => base));
    this.forgetRange(0, 2 ** 32);
  }
  private signalled(signal: MachineSignal, value: number): void {
    if (signal === 'a20') this.setA20(value !== 0);
    if (signal === 'shadow') this.shadow();
    if (signal === 'apic-moved') this.placeApics();
    if (signal === 'nmi') {
      this.processors[value]!.requestNmi();
      this.turns.interrupted(value);
    }
    if (signal === 'init') this.turns.init(value);
    if (signal === 'start-up') this.turns.startUp(value >> 8, value & 0xff);
    if (signal === 'io-wait') {
      this.awaitsIo = true;
      // Where time is real, what the guest waits for may be there before the slice is over.
      if (this.clock.isReal) this.processor.requestAttention();
    }
    if (signal === 'power-off' || signal === 'reset' || signal === 'exit') {
      this.pendingStop = { kind: 'stopped', why: signal, status: value };
      this.processor.requestAttention();
    }
  }

  /** Power-on: devices and processor reset, the kernel in RAM. Throws TomeiError when the kernel is no kernel. */
  powerOn(): void {
    this.lookAtClock();
    this.turns.reset();
    this.board.reset();
    this.pendingStop = undefined;
    const { kernel, initrd, commandLine } = this.config;
    if (kernel === undefined) {
      // The reset vector is the BIOS's.
      if (this.firmware !== undefined) return;
      throw new TomeiError(
        'vmx.nothing-to-boot',
        "there is no firmware here, and no kernel is named by 'tomei.kernel'",
      );
    }
    const boot = loadKernel(this.board.ram, {
      kernel,
      ...(initrd === undefined ? {} : { initrd }),
      commandLine,
      screen: { kind: 'text' },
    });
    this.describeBoard();
    this.enter(boot);
  }
  /** The tables that firmware would have left: ACPI's, and for kernels without ACPI those by which they learn of the APICs. */
  private describeBoard(): void {
    placeVmiRom(this.config, this.board.ram);
    for (const { address, bytes } of acpiInMemory(this.described)) this.board.ram.write(address, bytes);
    const pciInterrupts: PciInterrupt[] = [];
    for (let slot = FIRST_CARD_SLOT; slot <= LAST_SLOT; slot++) {
      pciInterrupts.push({ slot, pin: 1, input: DEFAULT_PIRQ_LINES[pirqOf(slot << 3, 1)]! });
    }
    const { address, bytes } = mpTable({ processors: processorsOf(this.config), pciInterrupts });
    this.board.ram.write(address, bytes);
  }
  private enter(boot: BootState): void {
    const { cpu } = this.processor;
    [boot.eax, boot.ecx, boot.edx, boot.ebx, boot.esp, boot.ebp, boot.esi, boot.edi].forEach((value, i) =>
      cpu.setRegister(i, value),
    );
    cpu.set('cr0', boot.cr0);
    // IA32_MTRR_DEF_TYPE as firmware leaves it: memory is write-back.
    this.processor.system.msrs.write(0x2ff, 0x806n);
    cpu.eflags = boot.eflags;
    cpu.set('gdtBase', boot.gdt.address);
    cpu.set('gdtLimit', boot.gdt.limit);
    for (const index of [0, 2, 3, 4, 5]) cpu.setSegment(index, boot.ds, 0, 0xffffffff, 0xc093);
    cpu.setSegment(1, boot.cs, 0, 0xffffffff, 0xc09b);
    cpu.set('eip', boot.eip);
  }

  /**
   * Runs for a fraction of a millisecond, or until the guest halts or stops. Alarms fire between slices. `limit` is the most
   * instructions, about; on an instruction clock, or with `exactly`, never more: what a guest does depends on no slice then.
   */
  runSlice(limit = SLICE, exactly = !this.clock.isReal): SliceEnd {
    this.awaitsIo = false;
    this.stolen?.tell();
    const how = this.runToLimit(limit, exactly);
    if (how === 'breakpoint') return { kind: 'breakpoint' };
    // A board that has firmware resets the processor when it shuts down after a triple fault.
    const resets = how === 'triple-fault' || this.pendingStop?.why === 'reset';
    if (resets && this.firmware !== undefined) {
      this.powerOn();
      return { kind: 'running' };
    }
    if (how === 'triple-fault') return { kind: 'stopped', why: 'triple-fault', status: 0 };
    if (this.pendingStop !== undefined) return this.pendingStop;
    if (how !== 'halted') return { kind: 'running', awaitsIo: this.awaitsIo };
    if (!this.turns.canWake) return { kind: 'stopped', why: 'halted', status: 0 };
    const until = this.alarms.next();
    if (until !== null && this.clock.skipsIdle) this.clock.skipTo(until);
    return { kind: 'halted', until };
  }

  private runToLimit(limit: number, exactly: boolean): StopReason {
    const { turns, clock } = this,
      end = turns.work + limit;
    for (let runs = 1; ; runs++) {
      this.lookAtClock();
      if ((this.alarms.next() ?? Infinity) <= this.boardTime.now())
        this.served.of('timer').alone(() => this.board.fireDue());
      if (!turns.choose()) return 'halted';
      const next = this.alarms.next(),
        left = end - turns.work;
      // An instruction clock reaches the next alarm exactly; a host clock is looked at often enough.
      const how = turns.run(next === null ? left : Math.min(left, clock.instructionsUntil(next)), exactly);
      // The processor comes back for each access to a device then, which may have set an alarm.
      const comesBack = !clock.isReal && (how === 'attention' || how === 'budget');
      // Processors that wait for each other come by often: what has come from outside is not to wait for as much work.
      const isLong = clock.isReal && (this.awaitsIo || runs >= MOST_RUNS),
        isHeld = this.pendingStop !== undefined || isLong;
      if (isHeld || !(comesBack || turns.wasCut) || turns.work >= end) return how;
    }
  }

  /**
   * Presses the power button: VMware's tools in the guest shut it down where they have said that they do, once; otherwise it hears of
   * it by ACPI. False when it has asked for neither.
   */
  powerButton(): boolean {
    this.lookAtClock();
    return this.parts.backdoor?.parts.halt() === true || this.parts.power.parts.powerButton();
  }
  /** A text for the guest's clipboard, if its tools fetch it. False where it has no such way, may not have it, or it is too long. */
  offerText(text: string): boolean {
    return this.parts.backdoor?.parts.offerText(text) ?? false;
  }

  /**
   * Lays a disc into a CD-ROM drive (0 primary master .. 3 secondary slave), or takes out the one that is there, locked or not. False
   * when there is no such drive. Call between slices.
   */
  insertDisc(drive: number, disc: BlockBackend | undefined): boolean {
    this.lookAtClock();
    return this.parts.ide?.parts.insert(drive, disc) ?? false;
  }

  /** Bytes for the guest by a port of its virtio console; how many of them it took. */
  typeAtPort(port: number, bytes: Uint8Array): number {
    this.lookAtClock();
    return this.parts.virtio.console?.parts.typed(port, bytes) ?? 0;
  }

  private get gpuMemory(): Uint8Array | undefined {
    const { gpuMemory, gpuMemoryBytes } = this.plan;
    return gpuMemoryBytes === 0 ? undefined : new Uint8Array(this.memory.buffer, gpuMemory, gpuMemoryBytes);
  }
  /** The virtio socket device, for a guest that has one. Call `lookAtClock` before. */
  get vsock(): NonNullable<VirtioParts['vsock']>['parts'] | undefined {
    return this.parts.virtio.vsock?.parts;
  }
  /** The virtio GPU, for a guest that has one. Call `lookAtClock` before. */
  get gpu(): NonNullable<VirtioParts['gpu']>['parts'] | undefined {
    return this.parts.virtio.gpu?.parts;
  }
  /** The memory balloon, for a guest that has one. Call `lookAtClock` before. */
  get balloon(): NonNullable<VirtioParts['balloon']>['parts'] | undefined {
    return this.parts.virtio.balloon?.parts;
  }
  /** A key by its make code of set 1, plus E000h for extended keys: of the virtio keyboard when the guest has a driver for it. */
  key(code: number, down: boolean): void {
    this.lookAtClock();
    const key = linuxKey(code);
    if (key !== undefined && this.parts.virtio.keys?.parts.key(key, down) === true) return;
    this.keyboard.parts.key(code, down);
  }
  /** Where the pointer is, 0 to 32767 in both directions, for a guest with a tablet. */
  point(x: number, y: number, buttons: number, wheel: number): void {
    this.lookAtClock();
    this.parts.virtio.tablet?.parts.point(x, y, buttons, wheel);
  }
  /**
   * Somebody moves the pointer, presses a button, turns the wheel: the guest hears of it by the virtio tablet or VMware's absolute
   * pointer, whichever a driver listens to, the first before the second, by the PS/2 mouse otherwise. Call between slices.
   */
  pointer(event: PointerEvent): void {
    const { backdoor, keyboard, virtio } = this.parts,
      { at, buttons, dz } = event;
    this.lookAtClock();
    // A tablet has no way to say that something moved, only where it is.
    if (at !== undefined && virtio.tablet?.parts.point(at.x >> 1, at.y >> 1, buttons, -dz) === true) return;
    if (backdoor?.parts.pointer(event) === true) keyboard.parts.wakeMouseDriver();
    else keyboard.parts.mouse(event.dx, event.dy, event.dz, event.buttons);
  }

  /** The NMI line: it arrives at LINT1 of the local APIC. */
  nmi(): void {
    for (const { parts } of this.parts.localApics) {
      parts.localPin(1, true);
      parts.localPin(1, false);
    }
  }

  /** Tells devices what time it is. Call before giving them something from outside: typed bytes, the end of a disk request. */
  lookAtClock(): void {
    this.boardTime.look();
  }

  /** Where the processor stands, in one line: for the report of a guest that went down. */
  describe(): string {
    const { cpu } = this.processor;
    const hex = (n: number): string => n.toString(16).padStart(8, '0');
    return `at ${cpu.segment(1, 'selector').toString(16)}:${hex(cpu.get('eip'))}, CR0 ${hex(cpu.get('cr0'))} CR2 ${hex(cpu.get('cr2'))} CR3 ${hex(cpu.get('cr3'))} ESP ${hex(cpu.getRegister(4))}`;
  }

  /** What the screen shows now: a copy of the registers, and the video memory itself. */
  view(): DisplayView {
    const memory = new Uint8Array(this.memory.buffer, this.plan.videoMemory, this.plan.videoMemoryBytes);
    const display = this.parts.display.parts.display();
    const scanout = this.gpu?.scanout();
    return scanout === undefined ? { display, memory } : { display: { ...display, scanout }, memory: this.gpuMemory! };
  }

  /** Everything but memory pages (RAM and video memory, which `memoryAreas` names). Call between slices. */
  save(): SavedMachine {
    return {
      version: SAVED_MACHINE_VERSION,
      time: this.clock.now(),
      ...saveProcessors(this.turns),
      board: this.board.save(),
    };
  }
  /**
   * Makes a machine of the same configuration as it was saved; its memory pages have been put back before. Throws TomeiError
   * `state.invalid`, `snapshot.board` or `snapshot.device` for a state that is not one of this machine's.
   */
  restore(saved: SavedMachine): void {
    const state = parseSavedMachine(saved);
    refuseOtherProcessors(state, this.processors.length);
    this.clock.set(state.time);
    this.lookAtClock();
    this.board.restore(state.board);
    restoreProcessors(this.turns, state);
    this.processors.forEach((each, index) => each.setInterruptRequest(this.board.interruptRequestedOf(index)));
    this.pendingStop = undefined;
  }
  /** The parts of linear memory that belong to the guest's state. */
  memoryAreas(): readonly { readonly name: string; readonly bytes: Uint8Array }[] {
    const { buffer } = this.memory,
      { ram, ramBytes, videoMemory, videoMemoryBytes } = this.plan;
    return [
      { name: 'ram', bytes: new Uint8Array(buffer, ram, ramBytes) },
      { name: 'video', bytes: new Uint8Array(buffer, videoMemory, videoMemoryBytes) },
      ...(this.gpuMemory === undefined ? [] : [{ name: 'gpu', bytes: this.gpuMemory }]),
    ];
  }
}

/** The page of the root of a processor's address space; undefined while it has none. */
const rootOf = ({ cpu }: Processor): number | undefined =>
  (cpu.get('cr0') & CR0.PG) === 0 ? undefined : cpu.get('cr3') >>> 12;
