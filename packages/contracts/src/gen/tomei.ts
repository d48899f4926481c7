/** Generated from proto/ by `pnpm gen`. Do not edit. */

import { createCodecs } from '../codec.ts';

import { method } from '../method.ts';

export type PoolFileKind =
  'POOL_FILE_KIND_UNSPECIFIED' | 'POOL_FILE_KIND_VMX' | 'POOL_FILE_KIND_VMDK' | 'POOL_FILE_KIND_OTHER';

export type Power = 'POWER_UNSPECIFIED' | 'POWER_OFF' | 'POWER_ON';

export type GuestPhase =
  | 'GUEST_PHASE_UNSPECIFIED'
  | 'GUEST_PHASE_OFF'
  | 'GUEST_PHASE_PENDING'
  | 'GUEST_PHASE_STARTING'
  | 'GUEST_PHASE_RUNNING'
  | 'GUEST_PHASE_STOPPING'
  | 'GUEST_PHASE_CRASHED'
  | 'GUEST_PHASE_LOST';

export type RunPhase =
  | 'RUN_PHASE_UNSPECIFIED'
  | 'RUN_PHASE_STARTING'
  | 'RUN_PHASE_RUNNING'
  | 'RUN_PHASE_STOPPING'
  | 'RUN_PHASE_ENDED'
  | 'RUN_PHASE_CRASHED';

/** A situation that a person or a program acts on. `code` is `<noun>.<what-is-wrong>` and never changes its meaning. */
export interface Trouble {
  readonly code: string;
  /** One sentence that names the file, field or guest and says what to do. */
  readonly message: string;
  /** Whether trying again without changing anything may help. */
  readonly retryable: boolean;
}

/** Where a gRPC server is reached: what a gRPC client calls a target, such as `10.0.0.7:41234` or `unix:/run/tomei/x.sock`. */
export interface Endpoint {
  readonly target: string;
}

export interface ScreenshotRequest {
  readonly token: string;
}

export interface ScreenshotResponse {
  readonly png: Uint8Array;
  /** The characters of a text screen; none in a graphics mode. */
  readonly text: readonly string[];
}

export interface ConsoleInput {
  readonly hello?: ConsoleHello;
  readonly key?: KeyInput;
  readonly pointer?: PointerInput;
  readonly serial?: SerialBytes;
  /** Pictures up to this number have been taken in. */
  readonly ack?: FrameAck;
  readonly clipboard?: ClipboardText;
  /** Refused by a guest whose console is not `resizable`. */
  readonly screenSize?: ScreenSize;
  /** Which of them is there. Read only: it is not sent. */
  readonly kind?: 'hello' | 'key' | 'pointer' | 'serial' | 'ack' | 'clipboard' | 'screenSize';
}

export interface ConsoleHello {
  readonly token: string;
}

export interface KeyInput {
  /** Set 1 make code, 0x01 to 0x7F, plus 0xE000 for extended keys. */
  readonly code: number;
  readonly down: boolean;
}

export interface PointerInput {
  /** Right and down are positive. */
  readonly dx: number;
  readonly dy: number;
  readonly dz: number;
  /** Down now: bit 0 left, 1 right, 2 middle. */
  readonly buttons: number;
  /** Where it is on the picture; absent when only its movement is known. */
  readonly at?: PointerPlace;
}

export interface PointerPlace {
  /** 0 is left and top, 65535 the other end. */
  readonly x: number;
  readonly y: number;
}

/** A screen of so many dots is wanted. The guest's driver decides, later or never: pictures tell. */
export interface ScreenSize {
  /** 1 to 65535 each. */
  readonly width: number;
  readonly height: number;
}

/** What a person has copied, for the other side's clipboard: at most 65436 bytes of UTF-8. */
export interface ClipboardText {
  readonly text: string;
}

export interface SerialBytes {
  readonly port: number;
  readonly data: Uint8Array;
}

export interface FrameAck {
  readonly frame: number;
}

export interface ConsoleOutput {
  readonly attached?: ConsoleAttached;
  readonly frame?: Frame;
  readonly serial?: SerialBytes;
  readonly ended?: ConsoleEnded;
  /** The guest has copied a text. The newest: others may be left out. */
  readonly copied?: ClipboardText;
  /** Which of them is there. Read only: it is not sent. */
  readonly kind?: 'attached' | 'frame' | 'serial' | 'ended' | 'copied';
}

export interface ConsoleAttached {
  readonly guestId: string;
  readonly run: number;
  /** Which of COM1 to COM4 are there. */
  readonly serialPorts: readonly number[];
  /** Whether a screen of another size can be asked for. */
  readonly resizable: boolean;
}

/** What changed since the frame before. At most a few are under way at a time: the next waits for acknowledgements. */
export interface Frame {
  readonly number: number;
  /** Of the whole picture, in dots. When it differs from the frame before, the rectangles cover all of it. */
  readonly width: number;
  readonly height: number;
  /** Carried out first, in order, from the picture before. */
  readonly copies: readonly CopyRectangle[];
  readonly rectangles: readonly PixelRectangle[];
}

export interface CopyRectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly fromX: number;
  readonly fromY: number;
}

export interface PixelRectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Rows from the top, four bytes a dot: red, green, blue, 255; deflated (RFC 1950) when `deflated` is set. */
  readonly rgba: Uint8Array;
  readonly deflated: boolean;
}

/** The last message: the guest is gone. */
export interface ConsoleEnded {
  readonly why: string;
}

export interface ListRequest {
  /** A folder of the pool; empty: all of it. */
  readonly folder: string;
}

export interface ListResponse {
  readonly files: readonly PoolFile[];
}

export interface PoolFile {
  readonly path: string;
  readonly kind: PoolFileKind;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface InfoRequest {
  readonly path: string;
}

export interface InfoResponse {
  readonly path: string;
  readonly createType: string;
  /** What the guest sees. */
  readonly sizeBytes: number;
  /** What it takes up on the host. */
  readonly allocatedBytes: number;
  readonly lease?: LeaseInfo;
  readonly warnings: readonly string[];
}

export interface LeaseInfo {
  readonly guestId: string;
  readonly run: number;
  readonly epoch: number;
}

export interface CreateRequest {
  readonly path: string;
  /** Whole sectors of 512 bytes. */
  readonly sizeBytes: number;
  /** monolithicSparse when empty. */
  readonly createType: string;
}

export interface CreateResponse {
  readonly info?: InfoResponse;
}

export interface FetchRequest {
  readonly path: string;
  /** A longer file is refused. */
  readonly maxBytes: number;
}

export interface FetchResponse {
  /** In the first message only. */
  readonly sizeBytes: number;
  readonly data: Uint8Array;
}

export interface OpenRequest {
  readonly path: string;
  readonly guestId: string;
  /** A later run of the same guest takes the disk over from an earlier one; another guest never does. */
  readonly run: number;
  readonly readOnly: boolean;
  /** Of a client that comes back: the epoch that it had. It keeps its lease under a new epoch, unless somebody else has had the disk
   * since: then what it still has to write would destroy theirs, and it is refused with `disk.stale-lease`. 0: a new client. */
  readonly resumeEpoch: number;
  /** For those who are told that the disk is in use. */
  readonly guestName: string;
}

export interface OpenResponse {
  readonly leaseId: string;
  readonly epoch: number;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Of this process of disk-service. A client that comes back to another one repeats what it had not flushed. */
  readonly instanceId: string;
  /** A lease that is not heard of for this long may be given to others. */
  readonly leaseTtlMs: number;
  readonly warnings: readonly string[];
  /** A snapshot names disks by it; empty when the disk has none. */
  readonly contentId: string;
}

export interface TransferRequest {
  /** Chosen by the client, unique among its requests in flight. */
  readonly id: number;
  readonly leaseId: string;
  readonly epoch: number;
  readonly read?: ReadBlocks;
  readonly write?: WriteBlocks;
  readonly flush?: FlushBlocks;
  readonly discard?: DiscardBlocks;
  /** Keeps the lease alive, and nothing more. */
  readonly renew?: RenewLease;
  readonly pin?: PinContent;
  /** Which of them is there. Read only: it is not sent. */
  readonly kind?: 'read' | 'write' | 'flush' | 'discard' | 'renew' | 'pin';
}

/** Offsets and lengths are bytes, whole sectors of 512. */
export interface ReadBlocks {
  readonly offset: number;
  readonly length: number;
}

export interface WriteBlocks {
  readonly offset: number;
  readonly data: Uint8Array;
}

export interface FlushBlocks {}

export interface DiscardBlocks {
  readonly offset: number;
  readonly length: number;
}

export interface RenewLease {}

/** Flushes and names the content: the next write gives the disk another name. */
export interface PinContent {}

export interface TransferResponse {
  readonly id: number;
  /** Absent: done, or a piece of a read. */
  readonly trouble?: Trouble;
  /** Reads come in pieces, in order; `more` says that another one follows. */
  readonly data: Uint8Array;
  readonly more: boolean;
  readonly contentId: string;
}

export interface CloseRequest {
  readonly leaseId: string;
  readonly epoch: number;
}

export interface CloseResponse {}

/** Subject `tomei.v1.event.<noun>.<id>.<verb>`: guest or runner, its id, and what happened to it. */
export interface Event {
  /** Unique; a second one with the same id is dropped. */
  readonly id: string;
  readonly atMs: number;
  /** Who says so: `controller`, `runner/<id>`, `console-gateway`. */
  readonly source: string;
  /** `guest` or `runner`. */
  readonly noun: string;
  readonly subjectId: string;
  /** registered, deleted, placed, starting, running, stopped, crashed, lost, warning; joined, lost, draining, left. */
  readonly verb: string;
  readonly guestName: string;
  readonly runnerId: string;
  readonly run: number;
  readonly message: string;
}

/** What a guest is made of. It changes only when the guest is registered anew. */
export interface GuestSpec {
  /** The .vmx's place in the pool, such as `tiny/tiny.vmx`. */
  readonly vmxPath: string;
  /** Its text, as it was when the guest was registered. */
  readonly vmxText: string;
  readonly memoryMib: number;
  readonly vcpus: number;
  readonly disks: readonly GuestDisk[];
  /** VNC over TCP, from the keys RemoteDisplay.vnc.*; absent when it is not enabled. */
  readonly vnc?: VncSpec;
  /** Which of COM1 to COM4 are there, from 0. */
  readonly serialPorts: readonly number[];
  /** Whether its screen can be asked to have another size: it has a virtio GPU. */
  readonly resizable: boolean;
}

export interface GuestDisk {
  /** `ide0:0` and the like. */
  readonly slot: string;
  /** Place of the .vmdk in the pool. */
  readonly path: string;
}

export interface VncSpec {
  /** TCP port on the console gateway; 0: none of its own. */
  readonly port: number;
  /** At most 8 characters count (RFC 6143, 7.2.2). Empty: no password. */
  readonly password: string;
}

/** Written by users through the API, and by the controller when a guest ends by itself. */
export interface GuestDesired {
  readonly power: Power;
  /** Counts power-ons and resets. A guest that runs with a lower number is to be started anew. */
  readonly run: number;
  /** The guest is to be forgotten once it is off. */
  readonly deleting: boolean;
  /** With power off: the power button is pressed first, and this is how long the guest may then take. 0: off at once. */
  readonly graceMs: number;
}

/** Written by the controller from what runners report. */
export interface GuestObserved {
  readonly phase: GuestPhase;
  /** The run that this is about. */
  readonly run: number;
  /** The runner that has it; empty when none has. */
  readonly runnerId: string;
  /** What a person should know: why it is pending, how it crashed. */
  readonly message: string;
  /** Since when it has been in this phase. */
  readonly sinceMs: number;
  /** Where its console is, while it runs. */
  readonly console?: ConsoleEndpoint;
}

/** Whoever dials the target shows the token: it is a secret of the cluster and goes into no log and no answer of the API. */
export interface ConsoleEndpoint {
  readonly endpoint?: Endpoint;
  readonly token: string;
}

/** One record of the store. */
export interface Guest {
  readonly id: string;
  /** Unique among guests; from displayName unless it was given. */
  readonly name: string;
  readonly createdMs: number;
  readonly spec?: GuestSpec;
  readonly desired?: GuestDesired;
  readonly observed?: GuestObserved;
}

/** A command to one runner. The same id may come again, and then has no second effect and the same answer. */
export interface RunnerCommand {
  readonly id: string;
  readonly start?: StartGuest;
  readonly stop?: StopGuest;
  readonly memory?: GuestMemory;
  /** Which of them is there. Read only: it is not sent. */
  readonly kind?: 'start' | 'stop' | 'memory';
}

/** Start one run of a guest. The answer comes when its process has been started; what becomes of it is told by heartbeats and events. */
export interface StartGuest {
  readonly guestId: string;
  readonly guestName: string;
  readonly run: number;
  readonly spec?: GuestSpec;
  /** Where disk-service is. */
  readonly disks?: Endpoint;
}

/** Power off; disks are closed in order. Of a run that is not there it does nothing. */
export interface StopGuest {
  readonly guestId: string;
  readonly run: number;
  /** The power button first, and this long for the guest to end by itself, from the first such command on. 0: at once. */
  readonly graceMs: number;
}

/** Look at the memory of a run, and set it. The answer comes when the guest's driver has told its statistics, or takes too long for that;
 * what it gives or takes back meanwhile is seen by looking again. A reset gives a guest all of its memory. */
export interface GuestMemory {
  readonly guestId: string;
  readonly run: number;
  /** What the guest is to have: the rest of what its .vmx says is to be in its balloon. Absent: as before. */
  readonly wantedMib?: number;
}

export interface RunnerReply {
  /** Absent: done. */
  readonly trouble?: Trouble;
  /** Of GuestMemory. */
  readonly memory?: MemoryReport;
}

export interface MemoryReport {
  /** As the .vmx says. */
  readonly sizeBytes: number;
  /** Of these, what the guest is to have. */
  readonly wantedBytes: number;
  /** What is in the balloon, as the driver says. */
  readonly balloonBytes: number;
  /** What came into the balloon or was reported as free so far, each page as often as it was. */
  readonly givenBytes: number;
  /** The guest has a driver for its balloon, which is at work. */
  readonly hasDriver: boolean;
  /** Absent: the driver has told none. */
  readonly statistics?: MemoryStatistics;
}

/** As the guest's driver tells them (virtio 1.2, 5.5.6.3); 0 is also what it does not know. */
export interface MemoryStatistics {
  readonly swapInBytes: number;
  readonly swapOutBytes: number;
  readonly majorFaults: number;
  readonly minorFaults: number;
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly cachesBytes: number;
  readonly hugetlbAllocations: number;
  readonly hugetlbFailures: number;
}

/** Sent about once a second. Whoever misses several takes the runner for lost. */
export interface RunnerHeartbeat {
  readonly runnerId: string;
  /** Made anew whenever the process starts. */
  readonly instanceId: string;
  readonly atMs: number;
  readonly capacity?: RunnerCapacity;
  /** Every run that it has, and those that ended and that no controller has confirmed yet by a stop. */
  readonly runs: readonly RunReport[];
  /** It takes no new guests: it is about to leave. */
  readonly draining: boolean;
  readonly version: string;
}

export interface RunnerCapacity {
  readonly memoryMib: number;
  readonly vcpus: number;
  readonly usedMemoryMib: number;
  readonly usedVcpus: number;
}

export interface RunReport {
  readonly guestId: string;
  readonly run: number;
  readonly phase: RunPhase;
  /** How it ended: power-off, reset, exit, halted, stopped; or the error's code. */
  readonly why: string;
  readonly message: string;
  readonly console?: ConsoleEndpoint;
  readonly stats?: RunStats;
}

export interface RunStats {
  readonly instructions: number;
  /** Host milliseconds of the processor's thread. */
  readonly cpuMs: number;
  readonly haltedMs: number;
  /** Where host time went, in milliseconds: with halted_ms it is what has passed. */
  readonly interpretedMs: number;
  readonly compiledMs: number;
  readonly translatingMs: number;
  readonly devicesMs: number;
  /** Privileged instructions, hypercalls, interrupts. */
  readonly systemMs: number;
  readonly exits?: ExitCounts;
  /** Compiled regions in use, and the bytes of all that were compiled. */
  readonly regions: number;
  readonly compiledBytes: number;
  readonly translations?: TranslationCounts;
  /** Virtualization work by guest code; absent before there was any. */
  readonly overhead?: number;
}

/** What became of translations of addresses. */
export interface TranslationCounts {
  /** Flushes of the TLB: all of it, all but global pages, one page. */
  readonly flushesWhole: number;
  readonly flushesNonGlobal: number;
  readonly flushesPage: number;
  /** Entries of page tables that were found written when CR3 was loaded, and the loads that found some. */
  readonly written: number;
  readonly writtenBatches: number;
  /** Accessed and dirty bits that were set in page tables. */
  readonly marked: number;
  /** Translations that loads of CR3 have kept. */
  readonly kept: number;
}

/** Why guest code was left. */
export interface ExitCounts {
  readonly port: number;
  readonly deviceMemory: number;
  readonly tlbMiss: number;
  readonly exception: number;
  readonly interrupt: number;
  readonly halt: number;
  readonly slice: number;
  /** Registers of the hypervisor's, and hypercalls. */
  readonly hypervisor: number;
  /** System instructions that are done by the engine. */
  readonly privileged: number;
}

const descriptor: object = {
  nested: {
    tomei: {
      nested: {
        v1: {
          nested: {
            Trouble: {
              fields: {
                code: { type: 'string', id: 1 },
                message: { type: 'string', id: 2 },
                retryable: { type: 'bool', id: 3 },
              },
            },
            Endpoint: { fields: { target: { type: 'string', id: 1 } } },
            Console: {
              methods: {
                Attach: {
                  requestType: 'ConsoleInput',
                  requestStream: true,
                  responseType: 'ConsoleOutput',
                  responseStream: true,
                },
                Screenshot: { requestType: 'ScreenshotRequest', responseType: 'ScreenshotResponse' },
              },
            },
            ScreenshotRequest: { fields: { token: { type: 'string', id: 1 } } },
            ScreenshotResponse: {
              fields: { png: { type: 'bytes', id: 1 }, text: { rule: 'repeated', type: 'string', id: 2 } },
            },
            ConsoleInput: {
              oneofs: { kind: { oneof: ['hello', 'key', 'pointer', 'serial', 'ack', 'clipboard', 'screenSize'] } },
              fields: {
                hello: { type: 'ConsoleHello', id: 1 },
                key: { type: 'KeyInput', id: 2 },
                pointer: { type: 'PointerInput', id: 3 },
                serial: { type: 'SerialBytes', id: 4 },
                ack: { type: 'FrameAck', id: 5 },
                clipboard: { type: 'ClipboardText', id: 6 },
                screenSize: { type: 'ScreenSize', id: 7, protoName: 'screen_size' },
              },
            },
            ConsoleHello: { fields: { token: { type: 'string', id: 1 } } },
            KeyInput: { fields: { code: { type: 'uint32', id: 1 }, down: { type: 'bool', id: 2 } } },
            PointerInput: {
              fields: {
                dx: { type: 'sint32', id: 1 },
                dy: { type: 'sint32', id: 2 },
                dz: { type: 'sint32', id: 3 },
                buttons: { type: 'uint32', id: 4 },
                at: { type: 'PointerPlace', id: 5 },
              },
            },
            PointerPlace: { fields: { x: { type: 'uint32', id: 1 }, y: { type: 'uint32', id: 2 } } },
            ScreenSize: { fields: { width: { type: 'uint32', id: 1 }, height: { type: 'uint32', id: 2 } } },
            ClipboardText: { fields: { text: { type: 'string', id: 1 } } },
            SerialBytes: { fields: { port: { type: 'uint32', id: 1 }, data: { type: 'bytes', id: 2 } } },
            FrameAck: { fields: { frame: { type: 'uint32', id: 1 } } },
            ConsoleOutput: {
              oneofs: { kind: { oneof: ['attached', 'frame', 'serial', 'ended', 'copied'] } },
              fields: {
                attached: { type: 'ConsoleAttached', id: 1 },
                frame: { type: 'Frame', id: 2 },
                serial: { type: 'SerialBytes', id: 3 },
                ended: { type: 'ConsoleEnded', id: 4 },
                copied: { type: 'ClipboardText', id: 5 },
              },
            },
            ConsoleAttached: {
              fields: {
                guestId: { type: 'string', id: 1, protoName: 'guest_id' },
                run: { type: 'uint32', id: 2 },
                serialPorts: { rule: 'repeated', type: 'uint32', id: 3, protoName: 'serial_ports' },
                resizable: { type: 'bool', id: 4 },
              },
            },
            Frame: {
              fields: {
                number: { type: 'uint32', id: 1 },
                width: { type: 'uint32', id: 2 },
                height: { type: 'uint32', id: 3 },
                copies: { rule: 'repeated', type: 'CopyRectangle', id: 4 },
                rectangles: { rule: 'repeated', type: 'PixelRectangle', id: 5 },
              },
            },
            CopyRectangle: {
              fields: {
                x: { type: 'uint32', id: 1 },
                y: { type: 'uint32', id: 2 },
                width: { type: 'uint32', id: 3 },
                height: { type: 'uint32', id: 4 },
                fromX: { type: 'uint32', id: 5, protoName: 'from_x' },
                fromY: { type: 'uint32', id: 6, protoName: 'from_y' },
              },
            },
            PixelRectangle: {
              fields: {
                x: { type: 'uint32', id: 1 },
                y: { type: 'uint32', id: 2 },
                width: { type: 'uint32', id: 3 },
                height: { type: 'uint32', id: 4 },
                rgba: { type: 'bytes', id: 5 },
                deflated: { type: 'bool', id: 6 },
              },
            },
            ConsoleEnded: { fields: { why: { type: 'string', id: 1 } } },
            Pool: {
              methods: {
                List: { requestType: 'ListRequest', responseType: 'ListResponse' },
                Info: { requestType: 'InfoRequest', responseType: 'InfoResponse' },
                Create: { requestType: 'CreateRequest', responseType: 'CreateResponse' },
                Fetch: { requestType: 'FetchRequest', responseType: 'FetchResponse', responseStream: true },
              },
            },
            Disks: {
              methods: {
                Open: { requestType: 'OpenRequest', responseType: 'OpenResponse' },
                Transfer: {
                  requestType: 'TransferRequest',
                  requestStream: true,
                  responseType: 'TransferResponse',
                  responseStream: true,
                },
                Close: { requestType: 'CloseRequest', responseType: 'CloseResponse' },
              },
            },
            ListRequest: { fields: { folder: { type: 'string', id: 1 } } },
            ListResponse: { fields: { files: { rule: 'repeated', type: 'PoolFile', id: 1 } } },
            PoolFileKind: {
              values: {
                POOL_FILE_KIND_UNSPECIFIED: 0,
                POOL_FILE_KIND_VMX: 1,
                POOL_FILE_KIND_VMDK: 2,
                POOL_FILE_KIND_OTHER: 3,
              },
            },
            PoolFile: {
              fields: {
                path: { type: 'string', id: 1 },
                kind: { type: 'PoolFileKind', id: 2 },
                sizeBytes: { type: 'uint64', id: 3, protoName: 'size_bytes' },
                modifiedMs: { type: 'uint64', id: 4, protoName: 'modified_ms' },
              },
            },
            InfoRequest: { fields: { path: { type: 'string', id: 1 } } },
            InfoResponse: {
              oneofs: { _lease: { oneof: ['lease'] } },
              fields: {
                path: { type: 'string', id: 1 },
                createType: { type: 'string', id: 2, protoName: 'create_type' },
                sizeBytes: { type: 'uint64', id: 3, protoName: 'size_bytes' },
                allocatedBytes: { type: 'uint64', id: 4, protoName: 'allocated_bytes' },
                lease: { type: 'LeaseInfo', id: 5, options: { proto3_optional: true } },
                warnings: { rule: 'repeated', type: 'string', id: 6 },
              },
            },
            LeaseInfo: {
              fields: {
                guestId: { type: 'string', id: 1, protoName: 'guest_id' },
                run: { type: 'uint32', id: 2 },
                epoch: { type: 'uint64', id: 3 },
              },
            },
            CreateRequest: {
              fields: {
                path: { type: 'string', id: 1 },
                sizeBytes: { type: 'uint64', id: 2, protoName: 'size_bytes' },
                createType: { type: 'string', id: 3, protoName: 'create_type' },
              },
            },
            CreateResponse: { fields: { info: { type: 'InfoResponse', id: 1 } } },
            FetchRequest: {
              fields: { path: { type: 'string', id: 1 }, maxBytes: { type: 'uint64', id: 2, protoName: 'max_bytes' } },
            },
            FetchResponse: {
              fields: { sizeBytes: { type: 'uint64', id: 1, protoName: 'size_bytes' }, data: { type: 'bytes', id: 2 } },
            },
            OpenRequest: {
              fields: {
                path: { type: 'string', id: 1 },
                guestId: { type: 'string', id: 2, protoName: 'guest_id' },
                run: { type: 'uint32', id: 3 },
                readOnly: { type: 'bool', id: 4, protoName: 'read_only' },
                resumeEpoch: { type: 'uint64', id: 5, protoName: 'resume_epoch' },
                guestName: { type: 'string', id: 6, protoName: 'guest_name' },
              },
            },
            OpenResponse: {
              fields: {
                leaseId: { type: 'string', id: 1, protoName: 'lease_id' },
                epoch: { type: 'uint64', id: 2 },
                sizeBytes: { type: 'uint64', id: 3, protoName: 'size_bytes' },
                readOnly: { type: 'bool', id: 4, protoName: 'read_only' },
                instanceId: { type: 'string', id: 5, protoName: 'instance_id' },
                leaseTtlMs: { type: 'uint32', id: 6, protoName: 'lease_ttl_ms' },
                warnings: { rule: 'repeated', type: 'string', id: 7 },
                contentId: { type: 'string', id: 8, protoName: 'content_id' },
              },
            },
            TransferRequest: {
              oneofs: { kind: { oneof: ['read', 'write', 'flush', 'discard', 'renew', 'pin'] } },
              fields: {
                id: { type: 'uint32', id: 1 },
                leaseId: { type: 'string', id: 2, protoName: 'lease_id' },
                epoch: { type: 'uint64', id: 3 },
                read: { type: 'ReadBlocks', id: 4 },
                write: { type: 'WriteBlocks', id: 5 },
                flush: { type: 'FlushBlocks', id: 6 },
                discard: { type: 'DiscardBlocks', id: 7 },
                renew: { type: 'RenewLease', id: 8 },
                pin: { type: 'PinContent', id: 9 },
              },
            },
            ReadBlocks: { fields: { offset: { type: 'uint64', id: 1 }, length: { type: 'uint32', id: 2 } } },
            WriteBlocks: { fields: { offset: { type: 'uint64', id: 1 }, data: { type: 'bytes', id: 2 } } },
            FlushBlocks: { fields: {} },
            DiscardBlocks: { fields: { offset: { type: 'uint64', id: 1 }, length: { type: 'uint64', id: 2 } } },
            RenewLease: { fields: {} },
            PinContent: { fields: {} },
            TransferResponse: {
              oneofs: { _trouble: { oneof: ['trouble'] } },
              fields: {
                id: { type: 'uint32', id: 1 },
                trouble: { type: 'Trouble', id: 2, options: { proto3_optional: true } },
                data: { type: 'bytes', id: 3 },
                more: { type: 'bool', id: 4 },
                contentId: { type: 'string', id: 5, protoName: 'content_id' },
              },
            },
            CloseRequest: {
              fields: { leaseId: { type: 'string', id: 1, protoName: 'lease_id' }, epoch: { type: 'uint64', id: 2 } },
            },
            CloseResponse: { fields: {} },
            Event: {
              fields: {
                id: { type: 'string', id: 1 },
                atMs: { type: 'uint64', id: 2, protoName: 'at_ms' },
                source: { type: 'string', id: 3 },
                noun: { type: 'string', id: 4 },
                subjectId: { type: 'string', id: 5, protoName: 'subject_id' },
                verb: { type: 'string', id: 6 },
                guestName: { type: 'string', id: 7, protoName: 'guest_name' },
                runnerId: { type: 'string', id: 8, protoName: 'runner_id' },
                run: { type: 'uint32', id: 9 },
                message: { type: 'string', id: 10 },
              },
            },
            GuestSpec: {
              oneofs: { _vnc: { oneof: ['vnc'] } },
              fields: {
                vmxPath: { type: 'string', id: 1, protoName: 'vmx_path' },
                vmxText: { type: 'string', id: 2, protoName: 'vmx_text' },
                memoryMib: { type: 'uint32', id: 3, protoName: 'memory_mib' },
                vcpus: { type: 'uint32', id: 4 },
                disks: { rule: 'repeated', type: 'GuestDisk', id: 5 },
                vnc: { type: 'VncSpec', id: 6, options: { proto3_optional: true } },
                serialPorts: { rule: 'repeated', type: 'uint32', id: 7, protoName: 'serial_ports' },
                resizable: { type: 'bool', id: 8 },
              },
            },
            GuestDisk: { fields: { slot: { type: 'string', id: 1 }, path: { type: 'string', id: 2 } } },
            VncSpec: { fields: { port: { type: 'uint32', id: 1 }, password: { type: 'string', id: 2 } } },
            Power: { values: { POWER_UNSPECIFIED: 0, POWER_OFF: 1, POWER_ON: 2 } },
            GuestDesired: {
              fields: {
                power: { type: 'Power', id: 1 },
                run: { type: 'uint32', id: 2 },
                deleting: { type: 'bool', id: 3 },
                graceMs: { type: 'uint32', id: 4, protoName: 'grace_ms' },
              },
            },
            GuestPhase: {
              values: {
                GUEST_PHASE_UNSPECIFIED: 0,
                GUEST_PHASE_OFF: 1,
                GUEST_PHASE_PENDING: 2,
                GUEST_PHASE_STARTING: 3,
                GUEST_PHASE_RUNNING: 4,
                GUEST_PHASE_STOPPING: 5,
                GUEST_PHASE_CRASHED: 6,
                GUEST_PHASE_LOST: 7,
              },
            },
            GuestObserved: {
              oneofs: { _console: { oneof: ['console'] } },
              fields: {
                phase: { type: 'GuestPhase', id: 1 },
                run: { type: 'uint32', id: 2 },
                runnerId: { type: 'string', id: 3, protoName: 'runner_id' },
                message: { type: 'string', id: 4 },
                sinceMs: { type: 'uint64', id: 5, protoName: 'since_ms' },
                console: { type: 'ConsoleEndpoint', id: 6, options: { proto3_optional: true } },
              },
            },
            ConsoleEndpoint: { fields: { endpoint: { type: 'Endpoint', id: 1 }, token: { type: 'string', id: 2 } } },
            Guest: {
              fields: {
                id: { type: 'string', id: 1 },
                name: { type: 'string', id: 2 },
                createdMs: { type: 'uint64', id: 3, protoName: 'created_ms' },
                spec: { type: 'GuestSpec', id: 4 },
                desired: { type: 'GuestDesired', id: 5 },
                observed: { type: 'GuestObserved', id: 6 },
              },
            },
            RunnerCommand: {
              oneofs: { kind: { oneof: ['start', 'stop', 'memory'] } },
              fields: {
                id: { type: 'string', id: 1 },
                start: { type: 'StartGuest', id: 2 },
                stop: { type: 'StopGuest', id: 3 },
                memory: { type: 'GuestMemory', id: 4 },
              },
            },
            StartGuest: {
              fields: {
                guestId: { type: 'string', id: 1, protoName: 'guest_id' },
                guestName: { type: 'string', id: 2, protoName: 'guest_name' },
                run: { type: 'uint32', id: 3 },
                spec: { type: 'GuestSpec', id: 4 },
                disks: { type: 'Endpoint', id: 5 },
              },
            },
            StopGuest: {
              fields: {
                guestId: { type: 'string', id: 1, protoName: 'guest_id' },
                run: { type: 'uint32', id: 2 },
                graceMs: { type: 'uint32', id: 3, protoName: 'grace_ms' },
              },
            },
            GuestMemory: {
              oneofs: { _wantedMib: { oneof: ['wantedMib'] } },
              fields: {
                guestId: { type: 'string', id: 1, protoName: 'guest_id' },
                run: { type: 'uint32', id: 2 },
                wantedMib: { type: 'uint32', id: 3, protoName: 'wanted_mib', options: { proto3_optional: true } },
              },
            },
            RunnerReply: {
              oneofs: { _trouble: { oneof: ['trouble'] }, _memory: { oneof: ['memory'] } },
              fields: {
                trouble: { type: 'Trouble', id: 1, options: { proto3_optional: true } },
                memory: { type: 'MemoryReport', id: 2, options: { proto3_optional: true } },
              },
            },
            MemoryReport: {
              oneofs: { _statistics: { oneof: ['statistics'] } },
              fields: {
                sizeBytes: { type: 'uint64', id: 1, protoName: 'size_bytes' },
                wantedBytes: { type: 'uint64', id: 2, protoName: 'wanted_bytes' },
                balloonBytes: { type: 'uint64', id: 3, protoName: 'balloon_bytes' },
                givenBytes: { type: 'uint64', id: 4, protoName: 'given_bytes' },
                hasDriver: { type: 'bool', id: 5, protoName: 'has_driver' },
                statistics: { type: 'MemoryStatistics', id: 6, options: { proto3_optional: true } },
              },
            },
            MemoryStatistics: {
              fields: {
                swapInBytes: { type: 'uint64', id: 1, protoName: 'swap_in_bytes' },
                swapOutBytes: { type: 'uint64', id: 2, protoName: 'swap_out_bytes' },
                majorFaults: { type: 'uint64', id: 3, protoName: 'major_faults' },
                minorFaults: { type: 'uint64', id: 4, protoName: 'minor_faults' },
                freeBytes: { type: 'uint64', id: 5, protoName: 'free_bytes' },
                totalBytes: { type: 'uint64', id: 6, protoName: 'total_bytes' },
                availableBytes: { type: 'uint64', id: 7, protoName: 'available_bytes' },
                cachesBytes: { type: 'uint64', id: 8, protoName: 'caches_bytes' },
                hugetlbAllocations: { type: 'uint64', id: 9, protoName: 'hugetlb_allocations' },
                hugetlbFailures: { type: 'uint64', id: 10, protoName: 'hugetlb_failures' },
              },
            },
            RunnerHeartbeat: {
              fields: {
                runnerId: { type: 'string', id: 1, protoName: 'runner_id' },
                instanceId: { type: 'string', id: 2, protoName: 'instance_id' },
                atMs: { type: 'uint64', id: 3, protoName: 'at_ms' },
                capacity: { type: 'RunnerCapacity', id: 4 },
                runs: { rule: 'repeated', type: 'RunReport', id: 5 },
                draining: { type: 'bool', id: 6 },
                version: { type: 'string', id: 7 },
              },
            },
            RunnerCapacity: {
              fields: {
                memoryMib: { type: 'uint32', id: 1, protoName: 'memory_mib' },
                vcpus: { type: 'uint32', id: 2 },
                usedMemoryMib: { type: 'uint32', id: 3, protoName: 'used_memory_mib' },
                usedVcpus: { type: 'uint32', id: 4, protoName: 'used_vcpus' },
              },
            },
            RunPhase: {
              values: {
                RUN_PHASE_UNSPECIFIED: 0,
                RUN_PHASE_STARTING: 1,
                RUN_PHASE_RUNNING: 2,
                RUN_PHASE_STOPPING: 3,
                RUN_PHASE_ENDED: 4,
                RUN_PHASE_CRASHED: 5,
              },
            },
            RunReport: {
              oneofs: { _console: { oneof: ['console'] }, _stats: { oneof: ['stats'] } },
              fields: {
                guestId: { type: 'string', id: 1, protoName: 'guest_id' },
                run: { type: 'uint32', id: 2 },
                phase: { type: 'RunPhase', id: 3 },
                why: { type: 'string', id: 4 },
                message: { type: 'string', id: 5 },
                console: { type: 'ConsoleEndpoint', id: 6, options: { proto3_optional: true } },
                stats: { type: 'RunStats', id: 7, options: { proto3_optional: true } },
              },
            },
            RunStats: {
              oneofs: { _overhead: { oneof: ['overhead'] } },
              fields: {
                instructions: { type: 'uint64', id: 1 },
                cpuMs: { type: 'uint64', id: 2, protoName: 'cpu_ms' },
                haltedMs: { type: 'uint64', id: 3, protoName: 'halted_ms' },
                interpretedMs: { type: 'uint64', id: 4, protoName: 'interpreted_ms' },
                compiledMs: { type: 'uint64', id: 5, protoName: 'compiled_ms' },
                translatingMs: { type: 'uint64', id: 6, protoName: 'translating_ms' },
                devicesMs: { type: 'uint64', id: 7, protoName: 'devices_ms' },
                systemMs: { type: 'uint64', id: 11, protoName: 'system_ms' },
                exits: { type: 'ExitCounts', id: 8 },
                regions: { type: 'uint32', id: 9 },
                compiledBytes: { type: 'uint64', id: 10, protoName: 'compiled_bytes' },
                translations: { type: 'TranslationCounts', id: 12 },
                overhead: { type: 'double', id: 13, options: { proto3_optional: true } },
              },
            },
            TranslationCounts: {
              fields: {
                flushesWhole: { type: 'uint64', id: 1, protoName: 'flushes_whole' },
                flushesNonGlobal: { type: 'uint64', id: 2, protoName: 'flushes_non_global' },
                flushesPage: { type: 'uint64', id: 3, protoName: 'flushes_page' },
                written: { type: 'uint64', id: 4 },
                writtenBatches: { type: 'uint64', id: 5, protoName: 'written_batches' },
                marked: { type: 'uint64', id: 6 },
                kept: { type: 'uint64', id: 7 },
              },
            },
            ExitCounts: {
              fields: {
                port: { type: 'uint64', id: 1 },
                deviceMemory: { type: 'uint64', id: 2, protoName: 'device_memory' },
                tlbMiss: { type: 'uint64', id: 3, protoName: 'tlb_miss' },
                exception: { type: 'uint64', id: 4 },
                interrupt: { type: 'uint64', id: 5 },
                halt: { type: 'uint64', id: 6 },
                slice: { type: 'uint64', id: 7 },
                hypervisor: { type: 'uint64', id: 8 },
                privileged: { type: 'uint64', id: 9 },
              },
            },
          },
        },
      },
    },
  },
};

const codec = createCodecs(descriptor);

/** Every message, by its name. */

export const messages = {
  Trouble: codec<Trouble>('tomei.v1.Trouble'),
  Endpoint: codec<Endpoint>('tomei.v1.Endpoint'),
  ScreenshotRequest: codec<ScreenshotRequest>('tomei.v1.ScreenshotRequest'),
  ScreenshotResponse: codec<ScreenshotResponse>('tomei.v1.ScreenshotResponse'),
  ConsoleInput: codec<ConsoleInput>('tomei.v1.ConsoleInput'),
  ConsoleHello: codec<ConsoleHello>('tomei.v1.ConsoleHello'),
  KeyInput: codec<KeyInput>('tomei.v1.KeyInput'),
  PointerInput: codec<PointerInput>('tomei.v1.PointerInput'),
  PointerPlace: codec<PointerPlace>('tomei.v1.PointerPlace'),
  ScreenSize: codec<ScreenSize>('tomei.v1.ScreenSize'),
  ClipboardText: codec<ClipboardText>('tomei.v1.ClipboardText'),
  SerialBytes: codec<SerialBytes>('tomei.v1.SerialBytes'),
  FrameAck: codec<FrameAck>('tomei.v1.FrameAck'),
  ConsoleOutput: codec<ConsoleOutput>('tomei.v1.ConsoleOutput'),
  ConsoleAttached: codec<ConsoleAttached>('tomei.v1.ConsoleAttached'),
  Frame: codec<Frame>('tomei.v1.Frame'),
  CopyRectangle: codec<CopyRectangle>('tomei.v1.CopyRectangle'),
  PixelRectangle: codec<PixelRectangle>('tomei.v1.PixelRectangle'),
  ConsoleEnded: codec<ConsoleEnded>('tomei.v1.ConsoleEnded'),
  ListRequest: codec<ListRequest>('tomei.v1.ListRequest'),
  ListResponse: codec<ListResponse>('tomei.v1.ListResponse'),
  PoolFile: codec<PoolFile>('tomei.v1.PoolFile'),
  InfoRequest: codec<InfoRequest>('tomei.v1.InfoRequest'),
  InfoResponse: codec<InfoResponse>('tomei.v1.InfoResponse'),
  LeaseInfo: codec<LeaseInfo>('tomei.v1.LeaseInfo'),
  CreateRequest: codec<CreateRequest>('tomei.v1.CreateRequest'),
  CreateResponse: codec<CreateResponse>('tomei.v1.CreateResponse'),
  FetchRequest: codec<FetchRequest>('tomei.v1.FetchRequest'),
  FetchResponse: codec<FetchResponse>('tomei.v1.FetchResponse'),
  OpenRequest: codec<OpenRequest>('tomei.v1.OpenRequest'),
  OpenResponse: codec<OpenResponse>('tomei.v1.OpenResponse'),
  TransferRequest: codec<TransferRequest>('tomei.v1.TransferRequest'),
  ReadBlocks: codec<ReadBlocks>('tomei.v1.ReadBlocks'),
  WriteBlocks: codec<WriteBlocks>('tomei.v1.WriteBlocks'),
  FlushBlocks: codec<FlushBlocks>('tomei.v1.FlushBlocks'),
  DiscardBlocks: codec<DiscardBlocks>('tomei.v1.DiscardBlocks'),
  RenewLease: codec<RenewLease>('tomei.v1.RenewLease'),
  PinContent: codec<PinContent>('tomei.v1.PinContent'),
  TransferResponse: codec<TransferResponse>('tomei.v1.TransferResponse'),
  CloseRequest: codec<CloseRequest>('tomei.v1.CloseRequest'),
  CloseResponse: codec<CloseResponse>('tomei.v1.CloseResponse'),
  Event: codec<Event>('tomei.v1.Event'),
  GuestSpec: codec<GuestSpec>('tomei.v1.GuestSpec'),
  GuestDisk: codec<GuestDisk>('tomei.v1.GuestDisk'),
  VncSpec: codec<VncSpec>('tomei.v1.VncSpec'),
  GuestDesired: codec<GuestDesired>('tomei.v1.GuestDesired'),
  GuestObserved: codec<GuestObserved>('tomei.v1.GuestObserved'),
  ConsoleEndpoint: codec<ConsoleEndpoint>('tomei.v1.ConsoleEndpoint'),
  Guest: codec<Guest>('tomei.v1.Guest'),
  RunnerCommand: codec<RunnerCommand>('tomei.v1.RunnerCommand'),
  StartGuest: codec<StartGuest>('tomei.v1.StartGuest'),
  StopGuest: codec<StopGuest>('tomei.v1.StopGuest'),
  GuestMemory: codec<GuestMemory>('tomei.v1.GuestMemory'),
  RunnerReply: codec<RunnerReply>('tomei.v1.RunnerReply'),
  MemoryReport: codec<MemoryReport>('tomei.v1.MemoryReport'),
  MemoryStatistics: codec<MemoryStatistics>('tomei.v1.MemoryStatistics'),
  RunnerHeartbeat: codec<RunnerHeartbeat>('tomei.v1.RunnerHeartbeat'),
  RunnerCapacity: codec<RunnerCapacity>('tomei.v1.RunnerCapacity'),
  RunReport: codec<RunReport>('tomei.v1.RunReport'),
  RunStats: codec<RunStats>('tomei.v1.RunStats'),
  TranslationCounts: codec<TranslationCounts>('tomei.v1.TranslationCounts'),
  ExitCounts: codec<ExitCounts>('tomei.v1.ExitCounts'),
};

export const ConsoleService = {
  /** The caller's first message is `hello`; the answer begins with `attached` and a whole picture. */
  attach: method('/tomei.v1.Console/Attach', messages.ConsoleInput, messages.ConsoleOutput, {
    requestStream: true,
    responseStream: true,
  } as const),
  /** One picture, without a stream. */
  screenshot: method('/tomei.v1.Console/Screenshot', messages.ScreenshotRequest, messages.ScreenshotResponse, {
    requestStream: false,
    responseStream: false,
  } as const),
};

/** Files of the pool, by their place in it (`tiny/tiny.vmx`): no absolute paths, no `..`, no link that leads out. */
export const PoolService = {
  list: method('/tomei.v1.Pool/List', messages.ListRequest, messages.ListResponse, {
    requestStream: false,
    responseStream: false,
  } as const),
  info: method('/tomei.v1.Pool/Info', messages.InfoRequest, messages.InfoResponse, {
    requestStream: false,
    responseStream: false,
  } as const),
  /** Makes an empty disk. */
  create: method('/tomei.v1.Pool/Create', messages.CreateRequest, messages.CreateResponse, {
    requestStream: false,
    responseStream: false,
  } as const),
  /** A whole file: a .vmx, a kernel, an initrd. Disks are read by blocks. */
  fetch: method('/tomei.v1.Pool/Fetch', messages.FetchRequest, messages.FetchResponse, {
    requestStream: false,
    responseStream: true,
  } as const),
};

/** Blocks. Whoever writes a disk holds a lease; its epoch goes with every request, and an old one is refused. */
export const DisksService = {
  open: method('/tomei.v1.Disks/Open', messages.OpenRequest, messages.OpenResponse, {
    requestStream: false,
    responseStream: false,
  } as const),
  /** Any number of requests in flight, each answered when it is done, in any order. The stream keeps its leases alive. */
  transfer: method('/tomei.v1.Disks/Transfer', messages.TransferRequest, messages.TransferResponse, {
    requestStream: true,
    responseStream: true,
  } as const),
  /** Flushes, closes, gives the lease back. Of a lease that is gone it does nothing. */
  close: method('/tomei.v1.Disks/Close', messages.CloseRequest, messages.CloseResponse, {
    requestStream: false,
    responseStream: false,
  } as const),
};
