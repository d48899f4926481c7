/** The vCPU thread's ends of paravirtual devices beside disks and network cards, and what comes to the guest through them. */
import { VSOCK_HEADER_BYTES, type Machine, type VirtioBackends } from '@tomei/paravirt-core';
import type { VcpuStart, VirtioShape } from '../protocol.ts';
import type { MachineInput } from '../record/recording-format.ts';
import { HostRandom } from './host-random.ts';
import { RingShare } from '../share/ring-share.ts';
import { RingVsock } from '../vsock/ring-vsock.ts';
import { RingPort } from './ring-port.ts';

export type VirtioInput = Extract<
  MachineInput,
  { kind: 'random' | 'port' | 'port-change' | 'pointer' | 'balloon' | 'screen-size' | 'share' | 'vsock' | 'vsock-done' }
>;
/** Pieces that one look gives a port. */
const PIECES_AT_ONCE = 4;

export class VirtioEnds {
  readonly ports: readonly RingPort[];
  readonly shares: readonly RingShare[];
  readonly vsock: RingVsock | undefined;
  private readonly random: HostRandom | undefined;
  private readonly shape: VirtioShape | undefined;

  /** `isMute`: what the guest sends reaches nobody. */
  constructor({ virtio, shared }: Pick<VcpuStart, 'virtio' | 'shared'>, isMute: boolean) {
    this.shape = virtio;
    this.ports = (virtio?.ports ?? []).map((name, i) => new RingPort(name, shared.ports![i]!, isMute));
    this.shares = (virtio?.shares ?? []).map((tag, i) => new RingShare(tag, shared.shares![i]!, isMute));
    this.vsock = virtio?.vsock === undefined ? undefined : new RingVsock(virtio.vsock.cid, shared.vsock!, isMute);
    this.random = virtio?.rng === true ? new HostRandom() : undefined;
  }

  /** For the machine. */
  get backends(): VirtioBackends {
    const { balloon = false, input = false } = this.shape ?? {};
    const { ports, shares, vsock, random } = this;
    return {
      ...{ ports, shares, balloon, input },
      ...(random === undefined ? {} : { random }),
      ...(vsock === undefined ? {} : { vsock }),
    };
  }

  /** Gives the guest what came since the last look, and tells `record` before of what it will take. */
  take(machine: Machine, record: (input: VirtioInput) => void): void {
    this.takeAnswers(machine, record);
    this.takePackets(machine, record);
    const bytes = this.random?.take();
    if (bytes !== undefined) this.pass(machine, { kind: 'random', bytes }, record);
    this.ports.forEach((port, index) => {
      const change = port.look();
      if (change !== undefined) this.pass(machine, { kind: 'port-change', port: index, ...change }, record);
      for (let i = 0; i < PIECES_AT_ONCE && port.waiting.length > 0; i++) {
        const { waiting } = port;
        const taken = machine.typeAtPort(index, waiting);
        if (taken === 0) break;
        record({ kind: 'port', port: index, bytes: waiting.subarray(0, taken) });
        port.took(taken);
      }
    });
  }
  /** Of `take`, what the servers of shares have answered. */
  takeAnswers(machine: Machine, record: (input: VirtioInput) => void): void {
    for (const [index, share] of this.shares.entries())
      for (let answer = share.take(); answer !== undefined; answer = share.take())
        this.pass(machine, { kind: 'share', share: index, ...answer }, record);
  }
  private takePackets(machine: Machine, record: (input: VirtioInput) => void): void {
    const { vsock } = this;
    if (vsock === undefined) return;
    for (let id = vsock.takeDone(); id !== undefined; id = vsock.takeDone())
      this.pass(machine, { kind: 'vsock-done', id }, record);
    for (let i = 0; i < PIECES_AT_ONCE; i++) {
      const { waiting } = vsock;
      if (waiting === undefined) return;
      machine.lookAtClock();
      const taken = machine.vsock?.receive(waiting);
      if (taken === undefined) return;
      record({ kind: 'vsock', bytes: vsock.took(waiting, taken) });
    }
  }
  private pass(machine: Machine, input: VirtioInput, record: (input: VirtioInput) => void): void {
    record(input);
    this.give(machine, input);
  }

  /** Gives the guest what was recorded; false when it does not take it. */
  give(machine: Machine, input: VirtioInput): boolean {
    machine.lookAtClock();
    switch (input.kind) {
      case 'random':
        this.random?.deliver(input.bytes);
        return this.random !== undefined;
      case 'vsock':
        return machine.vsock?.receive(input.bytes) === input.bytes.length - VSOCK_HEADER_BYTES;
      case 'vsock-done':
        this.vsock?.done(input.id);
        return this.vsock !== undefined;
      case 'share':
        this.shares[input.share]?.deliver(input);
        return input.share < this.shares.length;
      case 'port':
        return machine.typeAtPort(input.port, input.bytes) === input.bytes.length;
      case 'pointer':
        machine.point(input.x, input.y, input.buttons, input.wheel);
        return true;
      case 'screen-size':
        machine.gpu?.resize(input.width, input.height);
        return true;
      case 'balloon':
        if (input.pages !== undefined) machine.balloon?.want(input.pages);
        machine.balloon?.ask();
        return true;
      case 'port-change':
        return this.ports[input.port]?.change(input) ?? false;
    }
  }

  /** Whether the guest is to have something now that it has asked for. */
  get isDue(): boolean {
    return this.random?.isAsked === true;
  }
  /** Whether something waits for room in a ring: nobody says when there is some. */
  get waitsForRoom(): boolean {
    return this.vsock?.waitsForRoom === true || this.shares.some((share) => share.isWaiting);
  }
  /** Whether something waits for the guest, which takes it once it has run and given a buffer, if it ever does. */
  get waitsForGuest(): boolean {
    return this.vsock?.waiting !== undefined || this.ports.some((port) => port.waiting.length > 0);
  }
}
