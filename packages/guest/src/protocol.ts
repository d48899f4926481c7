/** What the parts of one guest say to each other: the parent, the guest process's I/O thread, and its vCPU thread. */
import { TomeiError, messageOf } from '@tomei/kit';
import type { EngineKind } from '@tomei/vmx';
import type { NicRings } from './network/ring-nic.ts';
import type { PortRings } from './ports/ring-port.ts';
import type { ShareRings } from './share/ring-share.ts';
import type { VsockRings } from './vsock/ring-vsock.ts';
import type { DebuggerRings } from './gdb/debug-session.ts';
import type { Profile } from './perf/profile.ts';
import type { GuestStats } from './stats/guest-stats.ts';
import type { TracePlan, TraceRequest } from './trace/trace-plan.ts';
import type { Balloon, DisplayState, MachineConfig, PointerEvent, SavedMachine } from '@tomei/paravirt-core';

/** Shared memory between the I/O thread and the vCPU thread. Rings are named from the vCPU's side. */
export interface SharedParts {
  readonly memory: WebAssembly.Memory;
  /** Rings when the vCPU thread has something to do; and when the I/O thread has. */
  readonly vcpuBell: SharedArrayBuffer;
  readonly ioBell: SharedArrayBuffer;
  readonly serialOut: readonly SharedArrayBuffer[];
  readonly serialIn: readonly SharedArrayBuffer[];
  readonly diskRequests: SharedArrayBuffer;
  readonly diskCompletions: SharedArrayBuffer;
  /** Commands as JSON. */
  readonly commands: SharedArrayBuffer;
  /** Of the ports of the virtio console. */
  readonly ports?: readonly PortRings[];
  /** Of the shared folders. */
  readonly shares?: readonly ShareRings[];
  /** Of the virtio socket device. */
  readonly vsock?: VsockRings;
  /** Of the network cards. */
  readonly networks?: readonly NicRings[];
  /** Where a debugger may attach. */
  readonly debugger?: DebuggerRings;
}
/** What rings the vCPU thread's bell. */
export const RUNG_FOR = { frames: 1, completions: 2, others: ~3 } as const;
/** Where a drive is plugged in. IDE: 0 primary master .. 3 secondary slave; floppy: 0 A:, 1 B:. */
export type DrivePlace =
  | { readonly bus: 'virtio' }
  | { readonly bus: 'ide'; readonly drive: number; readonly kind: 'disk' | 'cdrom' }
  | { readonly bus: 'floppy'; readonly drive: number };
export interface DiskShape {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly id: string;
  /** A virtio disk when absent. */
  readonly place?: DrivePlace;
}
/** A network card. */
export interface NicShape {
  readonly device: 'e1000' | 'virtio';
  /** Its address, six bytes. */
  readonly mac: Uint8Array;
  /** Whether its cable is plugged in, be it that nobody is at the other end. */
  readonly connected: boolean;
  /** An option ROM from which the firmware boots. */
  readonly rom?: Uint8Array;
}
/** Paravirtual devices beside disks and network cards. */
export interface VirtioShape {
  readonly rng: boolean;
  readonly balloon: boolean;
  readonly input: boolean;
  /** Names of the ports of the virtio console; their rings are `shared.ports`, in the same order. */
  readonly ports: readonly string[];
  /** Tags of the shared folders; their rings are `shared.shares`, in the same order. None when absent. */
  readonly shares?: readonly string[];
  /** The virtio socket device, whose rings are `shared.vsock`; none when absent. */
  readonly vsock?: { readonly cid: number };
}
/** What the vCPU thread starts with. */
export interface VcpuStart {
  readonly config: MachineConfig;
  readonly disks: readonly DiskShape[];
  /** Drives with nothing in them. */
  readonly emptyDrives?: readonly DrivePlace[];
  /** Which of COM1..COM4 exist. */
  readonly serial: readonly boolean[];
  /** Network cards; their rings are `shared.networks`, in the same order. */
  readonly networks?: readonly NicShape[];
  /** Paravirtual devices; none when absent. */
  readonly virtio?: VirtioShape;
  readonly shared: SharedParts;
  /** A state to go on from; memory holds its pages already. */
  readonly restore?: SavedMachine;
  /** Stand still until a debugger says otherwise. */
  readonly debuggerFirst?: boolean;
  /** Write down what is executed. */
  readonly trace?: TracePlan;
  /** Sample where the guest is. */
  readonly perf?: boolean;
  /** Time by instructions. */
  readonly virtualTime?: boolean;
  /** A file: write down there what comes from outside, or take it from there. Both make time virtual. */
  readonly record?: string;
  readonly replay?: string;
}
/** What a person does at the guest's keyboard and mouse. */
export type InputEvent =
  /** Set 1 make code, 0x01..0x7F, plus 0xE000 for extended keys. */
  | { readonly kind: 'key'; readonly code: number; readonly down: boolean }
  /** Where the pointer is on a tablet, 0 to 32767; buttons as below, and notches of the wheel, up positive. */
  | {
      readonly kind: 'pointer';
      readonly x: number;
      readonly y: number;
      readonly wheel: number;
      readonly buttons: number;
    }
  /** A screen of so many dots is wanted of a guest with a virtio GPU. */
  | { readonly kind: 'screen-size'; readonly width: number; readonly height: number }
  | ({ readonly kind: 'mouse' } & PointerEvent)
  /** A person has copied a text, for the guest's clipboard: at most `LONGEST_SELECTION` bytes of UTF-8. */
  | { readonly kind: 'clipboard'; readonly text: string };
/** A disc for a CD-ROM drive. */
export interface Disc {
  /** By which disk requests name it. */
  readonly disk: number;
  /** Of 512 bytes. */
  readonly sectors: number;
}
/** From the I/O thread to the vCPU thread. */
export type VcpuCommand =
  | { readonly kind: 'display'; readonly id: number }
  | { readonly kind: 'stats'; readonly id: number }
  | { readonly kind: 'pause'; readonly id: number }
  | { readonly kind: 'power-button'; readonly id: number }
  /** Asks the balloon's driver for statistics, and for so many pages in all; the answer is what is known now. */
  | { readonly kind: 'balloon'; readonly id: number; readonly pages?: number }
  /** Lay a disc into an IDE drive, or take out the one that is there. */
  | { readonly kind: 'disc'; readonly id: number; readonly drive: number; readonly disc?: Disc }
  | InputEvent
  | { readonly kind: 'resume' }
  | { readonly kind: 'stop' };
/** From the vCPU thread to the I/O thread. */
export type VcpuMessage =
  | { readonly kind: 'running' }
  | { readonly kind: 'warning'; readonly text: string }
  /** The guest has copied a text. */
  | { readonly kind: 'copied'; readonly text: string }
  | { readonly kind: 'display'; readonly id: number; readonly display: DisplayState; readonly time: number }
  | { readonly kind: 'stats'; readonly id: number; readonly stats: GuestStats }
  | { readonly kind: 'paused'; readonly id: number; readonly state: SavedMachine }
  /** The disc is in, or there is no such drive. */
  | { readonly kind: 'disc-changed'; readonly id: number; readonly value: boolean }
  /** The balloon as it is now; absent when the guest has none. */
  | { readonly kind: 'balloon'; readonly id: number; readonly balloon?: Balloon }
  /** What was asked for is done. */
  | { readonly kind: 'done'; readonly id: number; readonly value: boolean }
  /** The machine cannot start: it is what it was given. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  | {
      readonly kind: 'stopped';
      readonly end: GuestEnd;
      readonly stats: GuestStats;
      readonly profile?: Profile;
      /** What the screen showed last. */
      readonly display: DisplayState;
      readonly time: number;
    };

/** How a guest ended. `status` is the exit status of isa-debug-exit, 0 otherwise. */
export interface GuestEnd {
  readonly why: 'power-off' | 'reset' | 'exit' | 'triple-fault' | 'halted' | 'stopped';
  readonly status: number;
  /** For a triple fault: where, and what was being delivered. */
  readonly detail?: string;
  /** The guest did what was recorded of it, to the end of the recording. */
  readonly replayed?: boolean;
}
/** Where a guest's console is served, and to whom. */
export interface ConsoleOptions {
  /** `host:port` (port 0: any free one) or `unix:/absolute/path`. */
  readonly bind: string;
  /** The name under which others reach this machine; the host of `bind` when absent. */
  readonly advertise?: string | undefined;
  /** Whoever attaches has to know it. Never part of a message. */
  readonly token: string;
}
/** Where a debugger (GDB's remote protocol) attaches. */
export interface DebuggerOptions {
  /** A port of 127.0.0.1 (0: any free one), `host:port` or `unix:/path`. */
  readonly listen: string;
  /** The guest waits at its start until a debugger has come and lets it go. */
  readonly first: boolean;
}
/** How a guest's time passes. */
export interface Timing {
  readonly virtualTime?: boolean;
  readonly record?: string;
  readonly replay?: string;
}
/** A guest whose files lie in the pool of a disk-service. */
export interface RemoteGuest {
  readonly guestId: string;
  readonly guestName: string;
  readonly run: number;
  /** In the pool, such as `tiny/tiny.vmx`: the other files of the guest are named relative to it. */
  readonly vmxPath: string;
  readonly vmxText: string;
  /** What to dial for kernels and disks. */
  readonly disks: string;
  readonly console: ConsoleOptions;
}

/** What the parent asks of the guest process. */
export interface GuestStart {
  readonly kind: 'start';
  /** The path of a `.vmx`, or a guest of the pool. */
  readonly source: string | RemoteGuest;
  /** A snapshot file to go on from. */
  readonly restore?: string;
  /** Serve a console; a guest of the pool always has one. */
  readonly console?: ConsoleOptions;
  /** What executes the guest's code, whatever its `.vmx` says. */
  readonly engine?: EngineKind;
  /** Let a debugger attach. */
  readonly debugger?: DebuggerOptions;
  /** Write executed instructions down. */
  readonly trace?: TraceRequest;
  /** Sample where the guest is; the profile comes with its end. */
  readonly perf?: boolean;
  /** How the guest's time passes; the files are those of `VcpuStart`. */
  readonly timing?: Timing;
  /** Whether the parent wants to hear what the guest writes to its serial ports. */
  readonly hearsSerial: boolean;
}
export type GuestRequest =
  | GuestStart
  | { readonly kind: 'type'; readonly port: number; readonly bytes: Uint8Array }
  | InputEvent
  | { readonly kind: 'screenshot'; readonly id: number }
  | { readonly kind: 'stats'; readonly id: number }
  | { readonly kind: 'balloon'; readonly id: number; readonly pages?: number }
  /** Presses the power button; the answer is whether the guest asked to hear of it, or has tools that shut it down. */
  | { readonly kind: 'power-button'; readonly id: number }
  /** Lays the image of a CD into a drive by its name (`ide1:0`), or takes out the disc that is there. */
  | { readonly kind: 'disc'; readonly id: number; readonly slot: string; readonly file?: string }
  /** Writes a snapshot; `stop` ends the guest when that is done, before it executes anything more. */
  | { readonly kind: 'save'; readonly id: number; readonly path: string; readonly stop: boolean }
  | { readonly kind: 'stop' };
/** An error on its way to another process: what a person and a program need of it. */
export interface Trouble {
  readonly code: string;
  readonly message: string;
  /** The host's own word for the cause, such as ENOSPC. */
  readonly errno?: string;
}
export function troubleOf(error: unknown): Trouble {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  const errno = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  return {
    code: error instanceof TomeiError ? error.code : 'guest.failed',
    message: messageOf(error),
    ...(errno === undefined ? {} : { errno }),
  };
}
export function errorOf({ code, message, errno }: Trouble): TomeiError {
  const cause = errno === undefined ? undefined : Object.assign(new Error(errno), { code: errno });
  return new TomeiError(code, message, { cause });
}
export type GuestReport =
  | { readonly kind: 'warning'; readonly text: string }
  | { readonly kind: 'copied'; readonly text: string }
  | { readonly kind: 'running' }
  /** A debugger can attach. */
  | { readonly kind: 'debugger'; readonly address: string }
  /** The console can be dialled. */
  | { readonly kind: 'console'; readonly target: string }
  | { readonly kind: 'serial'; readonly port: number; readonly bytes: Uint8Array }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refused'; readonly id: number; readonly trouble: Trouble }
  | { readonly kind: 'failed'; readonly trouble: Trouble }
  | { readonly kind: 'ended'; readonly end: GuestEnd; readonly stats: GuestStats; readonly profile?: Profile };
