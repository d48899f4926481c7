/**
 * The virtio GPU (OASIS virtio 1.2, section 5.7) without 3D: resources in memory of its own, one screen, a hardware cursor, EDID and
 * sizes that the host asks for. Beside the VGA, as QEMU's virtio-gpu-pci is: firmware and consoles of text have that one, and from
 * the first scanout that a driver sets until its reset the screen is the GPU's.
 *
 * A flush does nothing: whoever draws the screen reads the resource itself, as often as somebody watches. The cursor is drawn over the
 * picture.
 */
import { bool, bytes, i32, nested, pod, u16, u32, u8, type StateOf } from '@tomei/kit';
import { MAX_FRAME_SIDE } from '../../display/display-state.ts';
import type { DotFormat, Scanout } from '../../display/scanout.ts';
import { backendKind, defineDevice, typed, type Host } from '../../machine/device.ts';
import { edid } from '../vga-edid.ts';
import { fieldRegisters } from './fields.ts';
import {
  ANSWER,
  ATTACH_BYTES,
  COMMAND,
  COMMAND_BYTES,
  ENTRY_BYTES,
  FORMATS,
  HEADER_BYTES,
  answerTo,
  displayInfo,
  edidAnswer,
  rectangleAt,
} from './gpu-protocol.ts';
import {
  MOST_ENTRIES,
  MOST_SIDE,
  areResources,
  bytesOf,
  contains,
  createResource,
  mayAttach,
  resourceList,
  strideOf,
  transfer,
  type Resource,
} from './gpu-resources.ts';
import { type Chain } from './queue-state.ts';
import { gather, scatter, totalLength, type Segment } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { transportState, withMsix } from './transport-state.ts';

const DEVICE_TYPE_GPU = 16;
/** Display controller that is no VGA: the guest's firmware leaves it alone. */
const CLASS_DISPLAY_OTHER = 0x038000;

export const VIRTIO_GPU_F_EDID = 1;
export const CONTROL_QUEUE = 0;
export const CURSOR_QUEUE = 1;
const QUEUE_SIZES = [256, 64];
const EVENT_DISPLAY = 1;
/** Offsets in `struct virtio_gpu_config`. */
const EVENTS_READ = 0,
  EVENTS_CLEAR = 4,
  NUM_SCANOUTS = 8,
  NUM_CAPSETS = 12;

/** Both sides of a cursor (5.7.6.10). */
const CURSOR_SIDE = 64;
const CURSOR_BYTES = CURSOR_SIDE * CURSOR_SIDE * 4;
/** What one call moves: some milliseconds of the host's time. */
const BYTES_AT_ONCE = 32 << 20;
/** A screen is no smaller. */
const LEAST_SIDE = 64;
/** What the 12 bits of an EDID have room for. */
const MOST_SCREEN_SIDE = Math.min(MAX_FRAME_SIDE, 4095);
const DEFAULT_SIZE = { width: 1024, height: 768 };

/** Where resources lie, shared with whoever draws; saved with the machine's memory. Without it there is no room for any. */
export const gpuMemory = backendKind<{ readonly bytes: Uint8Array }>('gpu-memory');

const isSide = (side: number): boolean => side >= LEAST_SIDE && side <= MOST_SCREEN_SIDE;
const gpuState = pod({
  transport: nested(transportState(QUEUE_SIZES)),
  resources: resourceList,
  /** Dots that the host asks for. */
  width: u16(DEFAULT_SIZE.width),
  height: u16(DEFAULT_SIZE.height),
  events: u32(),
  /** A driver has set a scanout: the screen is no longer the VGA's. */
  taken: bool(),
  /** The part of a resource that is shown; resource 0: none. */
  shown: nested(pod({ resource: u32(), x: u16(), y: u16(), width: u16(), height: u16() })),
  cursor: nested(pod({ visible: bool(), x: i32(), y: i32(), format: u8(1), image: bytes(CURSOR_BYTES) })),
}).check(({ width, height }) => [width, height].every(isSide) || `no screen has ${width}x${height} dots`);
type GpuState = StateOf<typeof gpuState>;

export const virtioGpu = defineDevice({
  kind: 'virtio-gpu',
  version: 2,
  config: typed<object>({}),
  summary: 'virtio 1.x GPU over PCI (1AF4:1050): 2D, one screen, cursor, EDID',
  state: gpuState,
  migrate: (_version, state) => withMsix(state, QUEUE_SIZES),
  // The host's wish outlives a reset of the machine.
  retained: ['width', 'height'],
  attach({ state, host }) {
    const gpu = new Gpu(state, host);
    return {
      pci: gpu.transport.pci,
      plugged: (slot) => gpu.transport.plugged(slot),
      settle: () => gpu.transport.settle(),
      /** Asks the driver for a screen of so many dots, within what a screen may have. */
      resize: (width: number, height: number): void => gpu.resize(width, height),
      /** What is on the screen, and where in the device's memory; undefined while the screen is the VGA's. */
      scanout: (): Scanout | undefined => gpu.scanout(),
    };
  },
});

class Gpu {
  readonly transport: VirtioPci;
  private readonly state: GpuState;
  private readonly host: Host;
  private readonly memory: Uint8Array;

  constructor(state: GpuState, host: Host) {
    this.state = state;
    this.host = host;
    this.memory = host.backend(gpuMemory)?.bytes ?? new Uint8Array(0);
    const configuration = fieldRegisters([
      { offset: EVENTS_READ, width: 4, read: () => this.state.events },
      {
        offset: EVENTS_CLEAR,
        width: 4,
        read: () => 0,
        write: (value) => (this.state.events = (this.state.events & ~value) >>> 0),
      },
      { offset: NUM_SCANOUTS, width: 4, read: () => 1 },
      { offset: NUM_CAPSETS, width: 4, read: () => 0 },
    ]);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_GPU,
        classCode: CLASS_DISPLAY_OTHER,
        queueSizes: QUEUE_SIZES,
        features: [VIRTIO_GPU_F_EDID],
        configuration: { ...configuration, length: NUM_CAPSETS + 4 },
        notified: (queue) => (queue === CONTROL_QUEUE ? this.takeCommands() : this.takeCursorCommands()),
        reset: () => this.forget(),
        draining: () => false,
        isPossible: () => this.isPossible(),
      },
    });
  }

  resize(width: number, height: number): void {
    const within = (side: number): number => Math.min(MOST_SCREEN_SIDE, Math.max(LEAST_SIDE, Math.trunc(side)));
    Object.assign(this.state, { width: within(width), height: within(height) });
    this.state.events |= EVENT_DISPLAY;
    this.transport.configurationChanged();
  }

  scanout(): Scanout | undefined {
    const { taken, shown, cursor, width, height } = this.state;
    if (!taken) return undefined;
    const resource = this.resource(shown.resource);
    if (resource === undefined) return { width, height, stride: 0, format: formatOf(2) };
    const stride = strideOf(resource);
    const { visible, x, y, format, image } = cursor;
    const side = { width: CURSOR_SIDE, height: CURSOR_SIDE };
    const pointer = { x, y, ...side, format: formatOf(format), bytes: image.slice() };
    return {
      ...{ width: shown.width, height: shown.height, stride, format: formatOf(resource.format) },
      at: resource.at + shown.y * stride + shown.x * 4,
      ...(visible ? { pointer } : {}),
    };
  }

  private forget(): void {
    const { resources, events, taken, shown, cursor } = gpuState.initial();
    Object.assign(this.state, { resources, events, taken, shown, cursor });
  }
  private isPossible(): boolean {
    const { resources, shown, cursor } = this.state;
    const resource = this.resource(shown.resource);
    const isShown = shown.resource === 0 || (resource !== undefined && contains(resource, shown));
    return areResources(resources, this.host.memory, this.memory.length) && isShown && FORMATS.has(cursor.format);
  }
  private resource(id: number): Resource | undefined {
    return this.state.resources.find((resource) => resource.id === id);
  }

  private takeCommands(): boolean {
    const queue = this.transport.queues[CONTROL_QUEUE]!;
    let left = BYTES_AT_ONCE;
    let budget = queue.state.size;
    for (; budget > 0 && left > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      const { readable, writable } = chain;
      if (totalLength(readable) < HEADER_BYTES || totalLength(writable) < HEADER_BYTES) {
        queue.fail('request');
        break;
      }
      const { answer, moved = 0 } = this.execute(chain);
      left -= moved;
      queue.push(chain, scatter(this.host.memory, writable, new Uint8Array(answer.buffer)));
    }
    this.transport.signal(queue);
    return budget === 0 || left <= 0;
  }

  private execute(chain: Chain): { answer: DataView; moved?: number } {
    // What a command leaves out is zero.
    const command = viewOf(gather(this.host.memory, chain.readable, COMMAND_BYTES), COMMAND_BYTES);
    const answer = (type: number): { answer: DataView } => ({ answer: answerTo(command, type) });
    const number = (index: number): number => command.getUint32(HEADER_BYTES + 4 * index, true);
    switch (command.getUint32(0, true)) {
      case COMMAND.getDisplayInfo:
        return { answer: displayInfo(command, this.state) };
      case COMMAND.getEdid:
        if (number(0) !== 0) return answer(ANSWER.invalidScanout);
        return { answer: edidAnswer(command, edid(this.state.width, this.state.height)) };
      case COMMAND.resourceCreate2d:
        return this.create(command);
      case COMMAND.resourceUnref:
        return answer(this.unref(number(0)));
      case COMMAND.setScanout:
        return answer(this.setScanout(command));
      case COMMAND.resourceFlush: {
        const resource = this.resource(number(4));
        if (resource === undefined) return answer(ANSWER.invalidResource);
        return answer(contains(resource, rectangleAt(command, HEADER_BYTES)) ? ANSWER.ok : ANSWER.invalidParameter);
      }
      case COMMAND.transferToHost2d:
        return this.transfer(command);
      case COMMAND.resourceAttachBacking:
        return { answer: answerTo(command, this.attach(chain, number(0), number(1))), moved: number(1) * ENTRY_BYTES };
      case COMMAND.resourceDetachBacking: {
        const resource = this.resource(number(0));
        if (resource === undefined) return answer(ANSWER.invalidResource);
        resource.backing = [];
        return answer(ANSWER.ok);
      }
      default:
        return answer(ANSWER.unspecified);
    }
  }

  private create(command: DataView): { answer: DataView; moved?: number } {
    const [id, format, width, height] = [0, 4, 8, 12].map((at) => command.getUint32(HEADER_BYTES + at, true));
    const answer = (type: number): { answer: DataView } => ({ answer: answerTo(command, type) });
    if (id === 0 || this.resource(id!) !== undefined) return answer(ANSWER.invalidResource);
    const isSize = [width!, height!].every((side) => side > 0 && side <= MOST_SIDE);
    if (!FORMATS.has(format!) || !isSize) return answer(ANSWER.invalidParameter);
    const made = { id: id!, format: format!, width: width!, height: height! };
    if (!createResource(this.state.resources, made, this.memory)) return answer(ANSWER.outOfMemory);
    return { ...answer(ANSWER.ok), moved: bytesOf(made) };
  }
  private unref(id: number): number {
    const { resources, shown } = this.state;
    const at = resources.findIndex((resource) => resource.id === id);
    if (at < 0) return ANSWER.invalidResource;
    resources.splice(at, 1);
    if (shown.resource === id) shown.resource = 0;
    return ANSWER.ok;
  }
  private setScanout(command: DataView): number {
    const rectangle = rectangleAt(command, HEADER_BYTES);
    const [scanout, id] = [16, 20].map((at) => command.getUint32(HEADER_BYTES + at, true));
    if (scanout !== 0) return ANSWER.invalidScanout;
    const resource = this.resource(id!);
    if (id !== 0) {
      if (resource === undefined) return ANSWER.invalidResource;
      if (!contains(resource, rectangle)) return ANSWER.invalidParameter;
      this.state.taken = true;
      this.state.shown = { resource: id!, ...rectangle };
    } else this.state.shown.resource = 0;
    return ANSWER.ok;
  }
  private transfer(command: DataView): { answer: DataView; moved?: number } {
    const rectangle = rectangleAt(command, HEADER_BYTES);
    const offset = command.getUint32(HEADER_BYTES + 20, true) * 2 ** 32 + command.getUint32(HEADER_BYTES + 16, true);
    const resource = this.resource(command.getUint32(HEADER_BYTES + 24, true));
    if (resource === undefined) return { answer: answerTo(command, ANSWER.invalidResource) };
    if (!contains(resource, rectangle)) return { answer: answerTo(command, ANSWER.invalidParameter) };
    const moved = transfer(resource, rectangle, offset, { guest: this.host.memory, memory: this.memory });
    return { answer: answerTo(command, ANSWER.ok), moved };
  }
  private attach({ readable }: Chain, id: number, count: number): number {
    const resource = this.resource(id);
    if (resource === undefined) return ANSWER.invalidResource;
    if (resource.backing.length > 0) return ANSWER.unspecified;
    if (count > MOST_ENTRIES || !mayAttach(this.state.resources, count)) return ANSWER.outOfMemory;
    const end = ATTACH_BYTES + count * ENTRY_BYTES;
    const all = gather(this.host.memory, readable, end);
    if (all.length < end) return ANSWER.invalidParameter;
    const view = new DataView(all.buffer);
    const backing: Segment[] = [];
    for (let at = ATTACH_BYTES; at < end; at += ENTRY_BYTES) {
      const address = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
      const length = view.getUint32(at + 8, true);
      if (length === 0 || !this.host.memory.contains(address, length)) return ANSWER.invalidParameter;
      backing.push({ address, length });
    }
    resource.backing = backing;
    return ANSWER.ok;
  }

  /** Answers none of them: drivers have no room for answers here. */
  private takeCursorCommands(): boolean {
    const queue = this.transport.queues[CURSOR_QUEUE]!;
    let budget = queue.state.size;
    for (; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      this.cursor(viewOf(gather(this.host.memory, chain.readable, COMMAND_BYTES), COMMAND_BYTES));
      queue.push(chain, 0);
    }
    this.transport.signal(queue);
    return budget === 0;
  }
  /** `struct virtio_gpu_update_cursor`: scanout, x, y, padding, resource, hot spot. */
  private cursor(command: DataView): void {
    const type = command.getUint32(0, true);
    const number = (index: number): number => command.getUint32(HEADER_BYTES + 4 * index, true);
    if ((type !== COMMAND.updateCursor && type !== COMMAND.moveCursor) || number(0) !== 0) return;
    const { cursor } = this.state;
    Object.assign(cursor, { x: number(1) | 0, y: number(2) | 0 });
    if (type === COMMAND.moveCursor) return;
    const resource = this.resource(number(4));
    const isCursor = resource?.width === CURSOR_SIDE && resource.height === CURSOR_SIDE;
    cursor.visible = isCursor;
    if (!isCursor) return;
    cursor.format = resource.format;
    cursor.image.set(this.memory.subarray(resource.at, resource.at + CURSOR_BYTES));
  }
}

const formatOf = (format: number): DotFormat => FORMATS.get(format)!;
/** The bytes with zeros up to a length. */
function viewOf(from: Uint8Array, length: number): DataView {
  const whole = new Uint8Array(length);
  whole.set(from);
  return new DataView(whole.buffer);
}
