/** The vCPU thread by itself, as the I/O thread sees it: rings, bells, commands and messages, with kernels of a few bytes. */
import { Worker } from 'node:worker_threads';
import { ByteRing, Doorbell } from '@tomei/kit';
import {
  VSOCK_OP,
  VSOCK_TYPE_STREAM,
  allocateMemory,
  encodeVsockPacket,
  planMemory,
  type MachineConfig,
  type SavedMachine,
} from '@tomei/paravirt-core';
import { afterEach, describe, expect, it } from 'vitest';
import type { SharedParts, VcpuCommand, VcpuMessage, VcpuStart, VirtioShape } from './protocol.ts';
import type { GuestStats } from './stats/guest-stats.ts';
import { allocateVsockRings } from './vsock/ring-vsock.ts';
import { COM1, exit, kernel, say, u32 } from './test-kernel.ts';

const RAM = 8 << 20,
  VIDEO = 1 << 20;
const HLT = 0xf4,
  CLI = 0xfa;
/** Reads COM1 until a byte comes, and writes it back, for ever: IN AL,LSR ; TEST AL,1 ; JZ ; IN AL,RBR ; OUT ; JMP. */
const ECHO = [...[0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 1, 0x74, 0xf7], ...COM1, 0xec, 0xee, 0xeb, 0xef];
/** Both interrupt controllers masked; then HLT for ever. */
const SLEEPER = [0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, ...say('.'), 0xfb, HLT, 0xeb, 0xfd];

class Thread {
  readonly shared: SharedParts;
  readonly heard: VcpuMessage[] = [];
  readonly worker: Worker;
  private readonly commands: ByteRing;
  private readonly serialOut: ByteRing;
  private readonly serialIn: ByteRing;
  private readonly vcpuBell: Doorbell;
  private readonly ioBell: Doorbell;
  private text = '';

  constructor(
    code: readonly number[],
    options: {
      restore?: SavedMachine;
      memory?: WebAssembly.Memory;
      config?: Partial<MachineConfig>;
      virtio?: VirtioShape;
    } = {},
  ) {
    const plan = planMemory({ processors: 1, ramBytes: RAM, videoMemoryBytes: VIDEO });
    const rings = (): SharedArrayBuffer[] => Array.from({ length: 4 }, () => ByteRing.allocate(1 << 12));
    this.shared = {
      memory: options.memory ?? allocateMemory(plan),
      vcpuBell: Doorbell.allocate(),
      ioBell: Doorbell.allocate(),
      serialOut: rings(),
      serialIn: rings(),
      diskRequests: ByteRing.allocate(1 << 12),
      diskCompletions: ByteRing.allocate(1 << 12),
      commands: ByteRing.allocate(1 << 12),
      ...(options.virtio?.vsock === undefined ? {} : { vsock: allocateVsockRings() }),
    };
    const config = {
      ...{ ramBytes: RAM, videoMemoryBytes: VIDEO, epoch: 1_700_000_000, commandLine: '' },
      ...{ kernel: { name: 'test.kernel', bytes: kernel(code) }, ...options.config },
    };
    const start: VcpuStart = {
      config,
      disks: [],
      serial: [true, false, false, false],
      shared: this.shared,
      ...(options.virtio === undefined ? {} : { virtio: options.virtio }),
      ...(options.restore === undefined ? {} : { restore: options.restore }),
    };
    this.commands = new ByteRing(this.shared.commands);
    this.serialOut = new ByteRing(this.shared.serialOut[0]!);
    this.serialIn = new ByteRing(this.shared.serialIn[0]!);
    this.vcpuBell = new Doorbell(this.shared.vcpuBell);
    this.ioBell = new Doorbell(this.shared.ioBell);
    this.worker = new Worker(new URL('./vcpu-worker.ts', import.meta.url), { workerData: start });
    this.worker.on('message', (message: VcpuMessage) => {
      this.heard.push(message);
      this.ioBell.ring();
    });
  }
  ring(): void {
    this.vcpuBell.ring();
  }
  send(command: VcpuCommand): void {
    expect(this.commands.writeMessage(new TextEncoder().encode(JSON.stringify(command)))).toBe(true);
    this.vcpuBell.ring();
  }
  type(text: string): void {
    expect(this.serialIn.write(new TextEncoder().encode(text))).toBe(text.length);
    this.vcpuBell.ring();
  }
  /** Waits for a message of a kind; each is taken once. */
  async message<K extends VcpuMessage['kind']>(kind: K): Promise<Extract<VcpuMessage, { kind: K }>> {
    for (;;) {
      const { ticket } = this.ioBell;
      const at = this.heard.findIndex((message) => message.kind === kind);
      if (at >= 0) return this.heard.splice(at, 1)[0] as Extract<VcpuMessage, { kind: K }>;
      await this.ioBell.waitAsync(ticket);
    }
  }
  /** Waits until the serial port has said so much, and gives all of it. */
  async said(length: number): Promise<string> {
    for (;;) {
      const { ticket } = this.ioBell;
      this.text += new TextDecoder().decode(this.serialOut.read(1 << 12));
      if (this.text.length >= length) return this.text;
      await this.ioBell.waitAsync(ticket);
    }
  }
}

const threads: Thread[] = [];
function thread(...parameters: ConstructorParameters<typeof Thread>): Thread {
  const made = new Thread(...parameters);
  threads.push(made);
  return made;
}
afterEach(async () => {
  await Promise.all(threads.splice(0).map(({ worker }) => worker.terminate()));
});

describe('the vCPU thread', () => {
  it('says that it runs, passes on serial output, and ends with the guest’s status and figures', async () => {
    const t = thread([...say('hello'), ...exit(2)]);
    await t.message('running');

    const { end, stats } = await t.message('stopped');

    expect(end).toEqual({ why: 'exit', status: 5 });
    expect(await t.said(5)).toBe('hello');
    expect(stats.instructions).toBeGreaterThan(10);
  });
  it('waits at its end until more output than the ring holds has been read', async () => {
    // 10,000 characters: MOV ECX,n ; OUT DX,AL ; LOOP
    const t = thread([...COM1, 0xb0, 0x61, 0xb9, ...u32(10_000), 0xee, 0xe2, 0xfd, ...exit(0)]);
    expect(await t.said(10_000)).toBe('a'.repeat(10_000));
    expect((await t.message('stopped')).end.why).toBe('exit');
  });
  it('passes typed bytes to the guest, more at once than its port holds', async () => {
    const t = thread(ECHO);
    const text = Array.from({ length: 500 }, (_, i) => String.fromCharCode(0x21 + (i % 90))).join('');
    t.type(text);
    expect(await t.said(500)).toBe(text);
    t.send({ kind: 'stop' });
    expect((await t.message('stopped')).end).toEqual({ why: 'stopped', status: 0 });
  });
  it('stops when it is told to, though the guest sleeps', async () => {
    const t = thread(SLEEPER);
    await t.said(1);
    t.send({ kind: 'stop' });
    expect((await t.message('stopped')).end.why).toBe('stopped');
  });
  it('takes keys, answers each question by its number, and stops, while the guest never halts', async () => {
    const t = thread([CLI, 0xeb, 0xfe]);
    t.send({ kind: 'key', code: 0x1e, down: true });
    t.send({ kind: 'key', code: 0xe05d, down: false });
    t.send({ kind: 'mouse', dx: 5, dy: -3, dz: 0, buttons: 1 });
    t.send({ kind: 'stats', id: 7 });
    t.send({ kind: 'display', id: 8 });

    expect((await t.message('stats')).id).toBe(7);
    const { id, display, time } = await t.message('display');
    expect([id, time > 0, typeof display]).toEqual([8, true, 'object']);

    t.send({ kind: 'stop' });
    expect((await t.message('stopped')).end.why).toBe('stopped');
  });
  it('accounts for its time, and for what left the guest’s code', async () => {
    const t = thread(ECHO);
    t.type('abc');
    await t.said(3);
    t.send({ kind: 'stop' });

    const { stats } = await t.message('stopped');

    const { time, exits } = stats;
    // Three characters read and written, and the line status before each.
    expect(exits.port).toBeGreaterThanOrEqual(9);
    expect([exits['device-memory'], exits.halt, exits.exception, exits['tlb-miss']]).toEqual([
      0,
      0,
      0,
      stats.pageWalks,
    ]);
    expect(exits.slice).toBeGreaterThan(0);
    const { virtualization } = stats,
      work = Object.values(virtualization).reduce((sum, ms) => sum + ms, 0);
    expect(virtualization.port).toBeGreaterThan(0);
    expect(work).toBeCloseTo(time.devices + time.system);
    expect(stats.overhead).toBeCloseTo(work / (time.interpreted + time.compiled + time.translating));
    const inSlices = time.interpreted + time.compiled + time.translating + time.devices + time.system;
    expect(inSlices).toBeGreaterThanOrEqual(stats.guestMs * 0.999);
    expect(time.idle).toBe(stats.haltedMs);
  });
  it('sleeps while a packet waits for a driver that the guest does not have', async () => {
    const t = thread(SLEEPER, { virtio: { rng: false, balloon: false, input: false, ports: [], vsock: { cid: 7 } } });
    await t.said(1);
    const ends = { sourceCid: 2, targetCid: 7, sourcePort: 1, targetPort: 52, type: VSOCK_TYPE_STREAM };
    const packet = encodeVsockPacket({ ...ends, op: VSOCK_OP.request, flags: 0, bufAlloc: 0, fwdCnt: 0 });
    expect(new ByteRing(t.shared.vsock!.input).writeMessage(packet)).toBe(true);
    t.ring();

    await new Promise((resolve) => setTimeout(resolve, 500));
    t.send({ kind: 'stats', id: 1 });

    // Once for the bell, once to offer it again, once for the question; not each millisecond.
    expect((await t.message('stats')).stats.exits.halt).toBeLessThan(20);
  });
  it('tells of a kernel that is none, and ends', async () => {
    const t = thread([], { config: { kernel: { name: 'bad.kernel', bytes: new Uint8Array(100) } } });
    const { code, message } = await t.message('failed');
    expect([code, message.includes('bad.kernel')]).toEqual(['kernel.no-multiboot-header', true]);
  });
  it('says where the processor stood at a triple fault', async () => {
    const t = thread([0x0f, 0x01, 0x1d, ...u32(0), 0x0f, 0x0b]);
    const { end } = await t.message('stopped');
    expect([end.why, end.detail?.includes('CR3')]).toEqual(['triple-fault', true]);
  });
});

describe('a pause', () => {
  const figures = async (t: Thread): Promise<GuestStats> => {
    t.send({ kind: 'stats', id: 1 });
    return (await t.message('stats')).stats;
  };
  it('stands still, answers meanwhile, goes on, and can be the end', async () => {
    const t = thread(ECHO);
    await t.message('running');
    t.send({ kind: 'pause', id: 3 });
    expect((await t.message('paused')).id).toBe(3);

    const before = await figures(t);
    t.type('x');
    expect((await figures(t)).instructions).toBe(before.instructions);

    t.send({ kind: 'resume' });
    expect(await t.said(1)).toBe('x');

    t.send({ kind: 'pause', id: 4 });
    await t.message('paused');
    t.send({ kind: 'stop' });
    expect((await t.message('stopped')).end.why).toBe('stopped');
  });
  it('gives a state from which another thread goes on', async () => {
    const t = thread(ECHO);
    t.type('ab');
    await t.said(2);
    t.send({ kind: 'pause', id: 1 });
    const { state } = await t.message('paused');
    t.send({ kind: 'stop' });
    await t.message('stopped');

    // Only the guest's own memory goes along; tables of the engine are made anew.
    const plan = planMemory({ processors: 1, ramBytes: RAM, videoMemoryBytes: VIDEO });
    const memory = allocateMemory(plan);
    new Uint8Array(memory.buffer, plan.ram, RAM).set(new Uint8Array(t.shared.memory.buffer, plan.ram, RAM));
    const second = thread([], { restore: state, memory });
    await second.message('running');
    second.type('cd');

    expect(await second.said(2)).toBe('cd');
  });
  it('refuses a state that is none', async () => {
    const t = thread(ECHO, { restore: { version: 1 } as unknown as SavedMachine });
    expect((await t.message('failed')).code).toMatch(/^(state|snapshot)\./);
  });
});
