/**
 * The virtio console (OASIS virtio 1.2, section 5.3): several ports, each a pair of queues for bytes in both directions,
 * and a pair of control queues by which ports are announced, named, opened and closed.
 *
 * What the host sends to a named port waits at the host until a program in the guest has opened the port: drivers throw
 * away what comes earlier.
 */
import { array, bool, list, nested, pod, u16, u8, type StateOf } from '@tomei/kit';
import { defineDevice, typed, type Host } from '../../machine/device.ts';
import { CONSOLE_PORTS, consoleEnd, type ConsolePort } from './console-backend.ts';
import { byteRegisters } from './fields.ts';
import { arePossible, heldChain, hold } from './held-chain.ts';
import { gather, scatter, slice, totalLength } from './segments.ts';
import { VirtioPci } from './transport-pci.ts';
import { transportState, withMsix } from './transport-state.ts';

const DEVICE_TYPE_CONSOLE = 3;
/** Simple communication controller. */
const CLASS_COMMUNICATION = 0x078000;

export const VIRTIO_CONSOLE_F_SIZE = 0;
export const VIRTIO_CONSOLE_F_MULTIPORT = 1;

/** Control messages (5.3.6.2). */
export const CONTROL = {
  deviceReady: 0,
  deviceAdd: 1,
  portReady: 3,
  consolePort: 4,
  resize: 5,
  portOpen: 6,
  portName: 7,
} as const;
export const CONTROL_BYTES = 8;
export const CONTROL_RECEIVE = 2;
export const CONTROL_TRANSMIT = 3;

const QUEUE_SIZE = 64;
const QUEUE_SIZES = Array.from({ length: 2 * CONSOLE_PORTS + 2 }, () => QUEUE_SIZE);
/** Control messages that may wait for buffers of the driver: more than one round of announcements. */
const MOST_CONTROL = 64;
/** Bytes of the guest that one call passes on. */
const BYTES_AT_ONCE = 1 << 16;
/** A terminal of the size that firmware and boot loaders assume. */
const COLUMNS = 80;
const ROWS = 25;
const MAX_NR_PORTS = 4;
const CONFIGURATION_BYTES = 12;

/** Queues of a port (5.3.2): those of control lie between the first port's and the others'. */
export const receiveQueueOf = (port: number): number => (port === 0 ? 0 : 2 + 2 * port);
export const transmitQueueOf = (port: number): number => receiveQueueOf(port) + 1;

const consoleState = pod({
  transport: nested(transportState(QUEUE_SIZES)),
  /** What the driver is to be told, oldest first. */
  control: list(MOST_CONTROL, nested(pod({ port: u8(), event: u16(), value: u16() }))),
  ports: array(CONSOLE_PORTS, () =>
    nested(
      pod({
        /** The driver knows the port; a program of the guest has it open; the guest was told that the host's end is open. */
        ready: bool(),
        guestOpen: bool(),
        hostOpen: bool(),
        /** A buffer of which the host's end has not taken all. */
        sending: list(1, nested(heldChain(QUEUE_SIZE))),
      }),
    ),
  ),
});
type ConsoleState = StateOf<typeof consoleState>;

/** Without a backend it has no ports. */
export const virtioConsole = defineDevice({
  kind: 'virtio-console',
  version: 2,
  config: typed<object>({}),
  summary: 'virtio 1.x console over PCI (1AF4:1043): up to four ports, with names',
  state: consoleState,
  migrate: (_version, state) => withMsix(state, QUEUE_SIZES),
  attach({ state, host }) {
    const console = new Console(state, host);
    return {
      pci: console.transport.pci,
      plugged: (slot) => console.transport.plugged(slot),
      settle: () => console.transport.settle(),
      /** Bytes for the guest by a port; how many of them were taken. */
      typed: (port: number, bytes: Uint8Array): number => console.receive(port, bytes),
    };
  },
});

class Console {
  readonly transport: VirtioPci;
  private readonly state: ConsoleState;
  private readonly host: Host;
  private readonly ends: readonly ConsolePort[];

  constructor(state: ConsoleState, host: Host) {
    this.state = state;
    this.host = host;
    this.ends = (host.backend(consoleEnd)?.ports ?? []).slice(0, CONSOLE_PORTS);
    const configuration = new Uint8Array(CONFIGURATION_BYTES);
    const view = new DataView(configuration.buffer);
    view.setUint16(0, COLUMNS, true);
    view.setUint16(2, ROWS, true);
    view.setUint32(MAX_NR_PORTS, CONSOLE_PORTS, true);
    this.transport = new VirtioPci({
      state: () => state.transport,
      host,
      device: {
        deviceType: DEVICE_TYPE_CONSOLE,
        classCode: CLASS_COMMUNICATION,
        queueSizes: QUEUE_SIZES,
        features: [VIRTIO_CONSOLE_F_SIZE, VIRTIO_CONSOLE_F_MULTIPORT],
        configuration: { ...byteRegisters(configuration), length: CONFIGURATION_BYTES },
        notified: (queue) => this.notified(queue),
        reset: () => this.forget(),
        draining: () => false,
        isPossible: () =>
          this.state.ports.every(({ sending }) => arePossible(sending, host.memory)) &&
          this.state.control.every(({ port }) => port < CONSOLE_PORTS),
        resume: () =>
          this.ends.forEach((_, port) => {
            this.changed(port);
          }),
      },
    });
    this.ends.forEach((end, port) => {
      end.onChange(() => this.changed(port));
    });
  }

  private forget(): void {
    const { control, ports } = consoleState.initial();
    Object.assign(this.state, { control, ports });
  }

  /** The host's end of a port was opened or closed, or has room. */
  private changed(port: number): void {
    if (!this.transport.running()) return;
    this.tellOpen(port);
    this.transmit(port);
  }

  private notified(queue: number): boolean {
    if (queue === CONTROL_RECEIVE) this.sendControl();
    else if (queue === CONTROL_TRANSMIT) return this.takeControl();
    else if (queue % 2 === 1) return this.transmit(queue === 1 ? 0 : (queue - 3) / 2);
    return false;
  }

  /** Bytes of the guest to a port's end, as far as that has room. */
  private transmit(port: number): boolean {
    const queue = this.transport.queues[transmitQueueOf(port)]!;
    const end = this.ends[port];
    const state = this.state.ports[port]!;
    let budget = BYTES_AT_ONCE;
    let more = false;
    for (let chains = queue.state.size; ; chains--) {
      let [chain] = state.sending;
      if (chain === undefined) {
        more = chains === 0 || budget === 0;
        const next = more ? undefined : queue.pop();
        if (next === undefined) break;
        chain = hold(next, next.readable);
        state.sending = [chain];
      }
      const left = totalLength(chain.segments) - chain.offset;
      // What is sent to an end where nobody listens, or to no port, is lost.
      const isHeard = end?.isOpen === true;
      const count = isHeard ? Math.min(left, end.room, budget) : left;
      if (isHeard && count > 0) {
        end.write(gather(this.host.memory, slice(chain.segments, chain.offset, count), count));
        budget -= count;
      }
      chain.offset += count;
      if (count < left) {
        more = budget === 0;
        break;
      }
      state.sending = [];
      queue.push(chain, 0);
    }
    this.transport.signal(queue);
    return more;
  }

  /** Bytes for the guest; how many found buffers. */
  receive(port: number, bytes: Uint8Array): number {
    const end = this.ends[port];
    if (end === undefined || !this.transport.running()) return 0;
    const opens = end.name !== undefined && this.transport.accepted(VIRTIO_CONSOLE_F_MULTIPORT);
    const isHeard = !opens || this.state.ports[port]!.guestOpen;
    const queue = this.transport.queues[receiveQueueOf(port)]!;
    let taken = 0;
    while (isHeard && taken < bytes.length) {
      const chain = queue.pop();
      if (chain === undefined) break;
      if (chain.writable.length === 0) {
        queue.fail('request');
        break;
      }
      const written = scatter(this.host.memory, chain.writable, bytes.subarray(taken));
      queue.push(chain, written);
      taken += written;
    }
    this.transport.signal(queue);
    return taken;
  }

  private tell(port: number, event: number, value: number): void {
    // A driver that asks for more and takes no answers.
    if (this.state.control.length === MOST_CONTROL) this.transport.queues[CONTROL_TRANSMIT]!.fail('request');
    else this.state.control.push({ port, event, value });
  }

  private tellOpen(port: number): void {
    const state = this.state.ports[port]!;
    const { isOpen } = this.ends[port]!;
    if (!state.ready || state.hostOpen === isOpen) return;
    state.hostOpen = isOpen;
    this.tell(port, CONTROL.portOpen, Number(isOpen));
    this.sendControl();
  }

  /** Messages to the driver, as far as there are buffers. */
  private sendControl(): void {
    const queue = this.transport.queues[CONTROL_RECEIVE]!;
    while (this.state.control.length > 0) {
      const chain = queue.pop();
      if (chain === undefined) break;
      const { port, event, value } = this.state.control.shift()!;
      const name =
        event === CONTROL.portName ? new TextEncoder().encode(this.ends[port]?.name ?? '') : new Uint8Array(0);
      const message = new Uint8Array(CONTROL_BYTES + name.length);
      const view = new DataView(message.buffer);
      view.setUint32(0, port, true);
      view.setUint16(4, event, true);
      view.setUint16(6, value, true);
      message.set(name, CONTROL_BYTES);
      if (totalLength(chain.writable) < message.length) {
        queue.fail('request');
        break;
      }
      queue.push(chain, scatter(this.host.memory, chain.writable, message));
    }
    this.transport.signal(queue);
  }

  /** Messages of the driver. */
  private takeControl(): boolean {
    const queue = this.transport.queues[CONTROL_TRANSMIT]!;
    let budget = queue.state.size;
    for (; budget > 0; budget--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      if (totalLength(chain.readable) < CONTROL_BYTES) {
        queue.fail('request');
        break;
      }
      const view = new DataView(gather(this.host.memory, chain.readable, CONTROL_BYTES).buffer);
      queue.push(chain, 0);
      this.told(view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true));
    }
    this.transport.signal(queue);
    this.sendControl();
    return budget === 0;
  }

  private told(port: number, event: number, value: number): void {
    if (event === CONTROL.deviceReady) {
      if (value === 1) this.ends.forEach((_, i) => this.tell(i, CONTROL.deviceAdd, 1));
      return;
    }
    const end = this.ends[port];
    if (end === undefined) return;
    const state = this.state.ports[port]!;
    if (event === CONTROL.portOpen) state.guestOpen = value === 1;
    if (event !== CONTROL.portReady || value !== 1) return;
    Object.assign(state, { ready: true, hostOpen: false });
    if (end.name === undefined) this.tell(port, CONTROL.consolePort, 1);
    else this.tell(port, CONTROL.portName, 1);
    this.tellOpen(port);
  }
}
