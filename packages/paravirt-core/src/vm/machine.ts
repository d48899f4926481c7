/**
 * A machine: the one place that knows processor and devices both. Built from plain parts and host-side backends; whoever owns the
 * thread calls `runSlice` until it says otherwise.
 */
import { Alarms, TomeiError, type Nanoseconds } from '@tomei/kit';
import type { CpuBus } from '../core/cpu.ts';
import { PhysicalMap } from '../core/physical.ts';
import { allocateMemory, planMemory, type MemoryPlan } from '../core/plan.ts';
import { Processor } from '../core/processor.ts';
import { coprocessorError } from '../devices/coprocessor-error.ts';
import { debugExit } from '../devices/debug-exit.ts';
import { i440fxHost, piix3 } from '../devices/i440fx.ts';
import { IOAPIC_BASE, ioapic } from '../devices/ioapic.ts';
import { lapic } from '../devices/lapic.ts';
import { pic8259 } from '../devices/pic8259.ts';
import { pit8254 } from '../devices/pit8254.ts';
import { ps2 } from '../devices/ps2.ts';
import { rtcCmos } from '../devices/rtc-cmos.ts';
import { serialBackend, uart16550, type SerialBackend } from '../devices/uart16550.ts';
import { videoMemoryBackend, vga, type VgaParts } from '../devices/vga.ts';
import { virtioBlock } from '../devices/virtio/block.ts';
import { blockBackend, type BlockBackend } from '../devices/virtio/block-backend.ts';
import type { DisplayView } from '../display/display-state.ts';
import { createLeaves } from '../numerics/leaves.ts';
import type { BootFile } from '../firmware/boot-file.ts';
import type { BootState } from '../firmware/boot-state.ts';
import { loadKernel } from '../firmware/direct-boot.ts';
import { mpTable, type PciInterrupt } from '../firmware/mp-table.ts';
import { Board, backend } from '../machine/board.ts';
import type { Device, DeviceOf, MachineSignal } from '../machine/device.ts';
import { DEFAULT_PIRQ_LINES, pirqOf } from '../machine/pci-routing.ts';
import type { VideoMapping } from '../machine/pci-bus.ts';
import { HeldClock, type MachineClock } from './clocks.ts';
import { parseSavedMachine, type SavedMachine } from './saved-machine.ts';
import { restoreProcessor, saveProcessor } from './processor-state.ts';

/** What a machine is made of. Plain data. */
export interface MachineConfig {
  readonly ramBytes: number;
  readonly videoMemoryBytes: number;
  /** Unix time in seconds at power-on. */
  readonly epoch: number;
  readonly kernel?: BootFile;
  readonly initrd?: BootFile;
  readonly commandLine: string;
}
export interface MachineBackends {
  /** COM1..COM4; undefined leaves the port out. */
  readonly serial: readonly (SerialBackend | undefined)[];
  readonly disks: readonly BlockBackend[];
}
/** How a slice ended. `halted` gives the time of the next alarm, null when none is set: only input can wake the guest then. */
export type SliceEnd =
  | { readonly kind: 'running' }
  | { readonly kind: 'halted'; readonly until: Nanoseconds | null }
  | {
      readonly kind: 'stopped';
      /** 'halted': the processor stopped with interrupts off, so that nothing can wake it any more. */
      readonly why: 'power-off' | 'reset' | 'exit' | 'triple-fault' | 'halted';
      readonly status: number;
    };

const COM_PORTS = [
  [0x3f8, 4],
  [0x2f8, 3],
  [0x3e8, 4],
  [0x2e8, 3],
] as const;
/** Slots of the PCI bus. */
const SLOT_HOST_BRIDGE = 0;
const SLOT_ISA = 1;
const SLOT_VGA = 2;
const SLOT_FIRST_DISK = 4;
const LAST_SLOT = 31;
/** The address line that the gate holds at 0. */
const A20 = 1 << 20;
/** Legacy video window and ROM space: no RAM for the processor. */
const VIDEO_WINDOW = 0xa0000,
  VIDEO_WINDOW_END = 0xc0000;
/** Instructions between two looks at the clock: a fraction of a millisecond. */
const SLICE = 50_000;

export class Machine {
  readonly memory: WebAssembly.Memory;
  readonly plan: MemoryPlan;
  readonly processor: Processor;
  readonly board: Board;
  readonly clock: MachineClock;
  private readonly boardTime: HeldClock;
  readonly alarms = new Alarms();
  readonly serial: readonly (Device | undefined)[];
  private readonly config: MachineConfig;
  readonly keyboard: DeviceOf<typeof ps2>;
  private readonly localApic: DeviceOf<typeof lapic>;
  private readonly fpuErrors: DeviceOf<typeof coprocessorError>;
  private readonly physical = new PhysicalMap();
  private readonly display: Device<VgaParts>;
  private readonly mapped = new Map<string, { base: number; size: number }>();
  private pendingStop: Extract<SliceEnd, { kind: 'stopped' }> | undefined;

  constructor(config: MachineConfig, backends: MachineBackends, clock: MachineClock, memory?: WebAssembly.Memory) {
    this.config = config;
    this.clock = clock;
    this.boardTime = new HeldClock(clock);
    this.plan = planMemory({ processors: 1, ramBytes: config.ramBytes, videoMemoryBytes: config.videoMemoryBytes });
    this.memory = memory ?? allocateMemory(this.plan);
    this.mapRam();
    const board = (this.board = new Board({
      ram: new Uint8Array(this.memory.buffer, this.plan.ram, config.ramBytes),
      clock: this.boardTime,
      alarms: this.alarms,
      ramWritten: (address, length) => this.processor.code.written(address, length),
      interruptRequest: (level) => this.processor?.setInterruptRequest(level),
      signal: (signal, value) => this.signalled(signal, value),
      videoMemory: (mapping) => this.mapVideo(mapping),
    }));
    const time = this.boardTime;
    const touch = <T>(value: T): T => {
      clock.touched();
      return value;
    };
    const bus: CpuBus = {
      portRead: (port, width) => (time.look(), touch(board.portRead(port, width))),
      portWrite: (port, width, value) => (time.look(), touch(board.portWrite(port, width, value))),
      memoryRead: (address, width) => (time.look(), touch(board.memoryRead(address, width))),
      memoryWrite: (address, width, value) => (time.look(), touch(board.memoryWrite(address, width, value))),
      acknowledgeInterrupt: () => (time.look(), board.acknowledge()),
      timestamp: () => touch(BigInt(Math.floor(clock.now()))),
      apicBase: (value) => this.localApic.parts.setBase(value),
      fpuError: (asserted) => this.fpuErrors.parts.error(asserted),
    };
    this.processor = new Processor({
      memory: this.memory,
      plan: this.plan,
      index: 0,
      physical: this.physical,
      bus,
      leaves: createLeaves(this.memory),
    });

    board.add(pic8259, {});
    this.localApic = board.add(lapic, { id: 0 });
    board.add(ioapic, { base: IOAPIC_BASE });
    board.add(i440fxHost, {}, { slot: SLOT_HOST_BRIDGE });
    board.add(piix3, {}, { slot: SLOT_ISA });
    board.add(pit8254, {});
    board.add(rtcCmos, { epoch: config.epoch, memoryBytes: config.ramBytes });
    this.keyboard = board.add(ps2, {});
    this.fpuErrors = board.add(coprocessorError, {});
    board.add(debugExit, { base: 0xf4, count: 4 });
    this.serial = COM_PORTS.map(([base, irq], i) => {
      const end = backends.serial[i];
      return end === undefined
        ? undefined
        : board.add(uart16550, { base, irq }, { name: `serial${i}`, backends: [backend(serialBackend, end)] });
    });
    const video = new Uint8Array(this.memory.buffer, this.plan.videoMemory, config.videoMemoryBytes);
    this.display = board.add(
      vga,
      { initialMode: 'text' },
      { slot: SLOT_VGA, backends: [backend(videoMemoryBackend, { bytes: video, size: config.videoMemoryBytes })] },
    );
    backends.disks.forEach((disk, i) => {
      board.add(
        virtioBlock,
        {},
        { name: `disk${i}`, slot: SLOT_FIRST_DISK + i, backends: [backend(blockBackend, disk)] },
      );
    });
  }

  /** RAM as the processor sees it. */
  private mapRam(): void {
    const { ram, ramBytes } = this.plan;
    this.physical.map(0, ram, VIDEO_WINDOW, true);
    this.physical.map(VIDEO_WINDOW_END, ram + VIDEO_WINDOW_END, ramBytes - VIDEO_WINDOW_END, true);
  }
  /** With the A20 gate closed every odd megabyte shows the one below, to the processor alone. */
  private setA20(open: boolean): void {
    const mask = open ? 0xffffffff : ~A20 >>> 0;
    if (mask === this.physical.addressMask) return;
    this.physical.addressMask = mask;
    this.processor.mmu.flush(true);
    this.processor.requestAttention();
  }
  private mapVideo({ owner, bar, base, size, offset }: VideoMapping): void {
    const key = `${owner}.${bar}`,
      old = this.mapped.get(key);
    if (old !== undefined) this.physical.unmap(old.base, old.size);
    this.mapped.delete(key);
    const fits =
      base !== undefined &&
      base % 4096 === 0 &&
      base >= this.plan.ramBytes &&
      offset + size <= this.plan.videoMemoryBytes;
    if (fits) {
      this.physical.map(base, this.plan.videoMemory + offset, size, true);
      this.mapped.set(key, { base, size });
    }
    // Nothing stays of what was decoded or translated there.
    this.processor.code.flush();
  }
  private signalled(signal: MachineSignal, value: number): void {
    if (signal === 'a20') this.setA20(value !== 0);
    if (signal === 'power-off' || signal === 'reset' || signal === 'exit') {
      this.pendingStop = { kind: 'stopped', why: signal, status: value };
      this.processor.requestAttention();
    }
  }

  /** Power-on: devices and processor reset, the kernel in RAM. Throws TomeiError when the kernel is no kernel. */
  powerOn(): void {
    this.lookAtClock();
    this.processor.cpu.reset();
    this.board.reset();
    this.pendingStop = undefined;
    const { kernel, initrd, commandLine } = this.config;
    if (kernel === undefined)
      throw new TomeiError(
        'vmx.nothing-to-boot',
        "this version boots kernels directly: name one by 'tomei.kernel' in the .vmx",
      );
    const boot = loadKernel(this.board.ram, {
      kernel,
      ...(initrd === undefined ? {} : { initrd }),
      commandLine,
      screen: { kind: 'text' },
    });
    this.describeInterrupts();
    this.enter(boot);
  }
  /** The tables by which a kernel that finds no ACPI learns of the APICs. There are no ACPI tables in this version. */
  private describeInterrupts(): void {
    const pciInterrupts: PciInterrupt[] = [];
    for (let slot = SLOT_VGA; slot <= LAST_SLOT; slot++) {
      pciInterrupts.push({ slot, pin: 1, input: DEFAULT_PIRQ_LINES[pirqOf(slot << 3, 1)]! });
    }
    const { address, bytes } = mpTable({ processors: 1, pciInterrupts });
    this.board.ram.write(address, bytes);
  }
  private enter(boot: BootState): void {
    const { cpu } = this.processor;
    [boot.eax, boot.ecx, boot.edx, boot.ebx, boot.esp, boot.ebp, boot.esi, boot.edi].forEach((value, i) =>
      cpu.setRegister(i, value),
    );
    cpu.set('cr0', boot.cr0);
    cpu.eflags = boot.eflags;
    cpu.set('gdtBase', boot.gdt.address);
    cpu.set('gdtLimit', boot.gdt.limit);
    for (const index of [0, 2, 3, 4, 5]) cpu.setSegment(index, boot.ds, 0, 0xffffffff, 0xc093);
    cpu.setSegment(1, boot.cs, 0, 0xffffffff, 0xc09b);
    cpu.set('eip', boot.eip);
  }

  /**
   * Runs for a fraction of a millisecond, or until the guest halts or stops. Alarms fire between slices. `limit` is the most
   * instructions, about.
   */
  runSlice(limit = SLICE): SliceEnd {
    this.lookAtClock();
    this.board.fireDue();
    const before = this.processor.work;
    const next = this.alarms.next();
    // An instruction clock reaches the next alarm almost exactly; a host clock is looked at often enough.
    const room = next === null ? limit : Math.min(limit, this.clock.instructionsUntil(next));
    const how = this.processor.run(room);
    this.clock.executed(this.processor.work - before);
    if (how === 'triple-fault') return { kind: 'stopped', why: 'triple-fault', status: 0 };
    if (this.pendingStop !== undefined) return this.pendingStop;
    if (how !== 'halted') return { kind: 'running' };
    if (!this.processor.canWake) return { kind: 'stopped', why: 'halted', status: 0 };
    const until = this.alarms.next();
    if (until !== null && !this.clock.isReal) this.clock.skipTo(until);
    return { kind: 'halted', until };
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
    return { display: this.display.parts.display(), memory };
  }

  /** Everything but memory pages (RAM and video memory, which `memoryAreas` names). Call between slices. */
  save(): SavedMachine {
    const { processor } = this;
    return {
      version: 1,
      time: this.clock.now(),
      instructions: processor.instructions,
      processor: saveProcessor(processor),
      timestampOffset: processor.cpu.timestampOffset,
      apicBase: processor.system.apicBase,
      board: this.board.save(),
    };
  }
  /**
   * Makes a machine of the same configuration as it was saved; its memory pages have been put back before. Throws TomeiError
   * `state.invalid`, `snapshot.board` or `snapshot.device` for a state that is not one of this machine's.
   */
  restore(saved: SavedMachine): void {
    const { processor } = this;
    const state = parseSavedMachine(saved);
    this.clock.set(state.time);
    this.lookAtClock();
    this.board.restore(state.board);
    restoreProcessor(processor, state.processor);
    processor.cpu.timestampOffset = state.timestampOffset;
    processor.system.apicBase = state.apicBase;
    processor.instructions = state.instructions;
    processor.setInterruptRequest(this.board.interruptRequested);
    this.pendingStop = undefined;
  }
  /** The parts of linear memory that belong to the guest's state. */
  memoryAreas(): readonly { readonly name: string; readonly bytes: Uint8Array }[] {
    const { buffer } = this.memory,
      { ram, ramBytes, videoMemory, videoMemoryBytes } = this.plan;
    return [
      { name: 'ram', bytes: new Uint8Array(buffer, ram, ramBytes) },
      { name: 'video', bytes: new Uint8Array(buffer, videoMemory, videoMemoryBytes) },
    ];
  }
}
