/** A guest process whose kernel and disk come from a real disk-service, and its console as a gateway uses it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConsoleService, PoolService, type ConsoleInput, type ConsoleOutput, type Init } from '@tomei/contracts';
import { startGuest, type Guest, type RemoteGuest } from '@tomei/guest';
import { rpcClient, type ClientDuplex } from '@tomei/service';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { say, smallKernel } from '../guests/small-kernel.ts';
import { ServiceProcess } from './services.ts';

const TOKEN = 'a token of this run';
const DISK_BYTES = 4 * 2 ** 20;
/** Writes what it reads from COM1 back to it, for ever. */
const echo = [
  ...[0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 1, 0x74, 0xf7], // mov dx, LSR; in al, dx; test al, 1; jz
  ...[0x66, 0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xef], // mov dx, 3F8h; in al, dx; out dx, al; jmp
];

let folder: string, target: string, disks: ServiceProcess;
const guests: Guest[] = [];
const callers: Caller[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-guest-console-'));
  target = `unix:${folder}/disks`;
  await mkdir(join(folder, 'pool/one'), { recursive: true });
  await writeFile(join(folder, 'pool/one/kernel'), smallKernel([...say('login: '), ...echo]));
  disks = await ServiceProcess.start('disk-service', { TOMEI_POOL: `${folder}/pool`, TOMEI_BIND: target });
  await disks.ready();
  const pool = rpcClient(PoolService, target);
  await pool.calls.create({ path: 'one/data.vmdk', sizeBytes: DISK_BYTES });
  pool.close();
});
afterEach(async () => {
  for (const caller of callers.splice(0)) caller.close();
  for (const guest of guests.splice(0)) {
    guest.stop();
    await guest.ended.catch(() => undefined);
  }
});
afterAll(async () => {
  await disks[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const remote = (run: number, changes: Partial<RemoteGuest> = {}): RemoteGuest => ({
  ...{ guestId: 'g-one', guestName: 'one', run, vmxPath: 'one/one.vmx', disks: target },
  vmxText: [
    ...['memsize = "8"', 'tomei.kernel = "kernel"', 'serial0.present = "TRUE"'],
    ...['ide0:0.present = "TRUE"', 'ide0:0.fileName = "data.vmdk"'],
  ].join('\n'),
  console: { bind: '127.0.0.1:0', token: TOKEN },
  ...changes,
});
function start(source: RemoteGuest, warning: (text: string) => void = () => undefined): Guest {
  const guest = startGuest(source, { warning });
  guests.push(guest);
  return guest;
}
async function leaseOf(path: string): Promise<{ guestId: string; run: number } | undefined> {
  const pool = rpcClient(PoolService, target);
  try {
    return (await pool.calls.info({ path })).lease;
  } finally {
    pool.close();
  }
}

/** A gateway that takes in everything, and thanks for it. */
class Caller {
  text = '';
  frames = 0;
  last: ConsoleOutput | undefined;
  readonly over: Promise<unknown>;
  private readonly client;
  private readonly stream: ClientDuplex<ConsoleOutput, ConsoleInput>;
  private readonly waiting = new Set<() => void>();

  constructor(address: string, token = TOKEN) {
    this.client = rpcClient(ConsoleService, address);
    this.stream = this.client.calls.attach();
    this.send({ hello: { token } });
    this.over = this.read().catch((error: unknown) => error);
    callers.push(this);
  }
  send(message: Init<ConsoleInput>): void {
    this.stream.send(message);
  }
  type(text: string): void {
    this.send({ serial: { port: 0, data: Buffer.from(text) } });
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiting.add(resolve));
  }
  close(): void {
    this.stream.cancel();
    this.client.close();
  }
  private async read(): Promise<void> {
    for await (const message of this.stream.messages) {
      this.last = message;
      if (message.serial !== undefined) this.text += Buffer.from(message.serial.data).toString('latin1');
      if (message.frame !== undefined) {
        this.frames++;
        this.send({ ack: { frame: message.frame.number } });
      }
      for (const resume of this.waiting) resume();
      this.waiting.clear();
    }
  }
}

describe('a guest of the pool', () => {
  it('boots from it, holds its disk, and is used at its console until it is stopped', async () => {
    const guest = start(remote(1));
    const caller = new Caller(await guest.console);
    await guest.running;
    await caller.until(() => caller.text === 'login: ' && caller.frames > 0);
    expect(await leaseOf('one/data.vmdk')).toMatchObject({ guestId: 'g-one', run: 1 });
    caller.type('root');
    await caller.until(() => caller.text === 'login: root');

    guest.stop();
    expect((await guest.ended).end.why).toBe('stopped');
    expect(await caller.over).toBeUndefined();
    expect(caller.last).toMatchObject({ ended: { why: 'stopped' } });
    expect(await leaseOf('one/data.vmdk')).toBeUndefined();
  });

  it('tells a gateway that comes late what was said, and one with the token of another run nothing', async () => {
    const guest = start(remote(2));
    const address = await guest.console;
    const first = new Caller(address);
    await first.until(() => first.text === 'login: ');
    first.close();
    const late = new Caller(address);
    await late.until(() => late.text === 'login: ' && late.frames > 0);
    const stranger = new Caller(address, 'a token of the run before');
    expect(await stranger.over).toMatchObject({ code: 'console.denied' });
    expect(stranger.last).toBeUndefined();
  });

  it('takes its disk over from an earlier run of it', async () => {
    const before = start(remote(3));
    await before.running;
    const after = start(remote(4));
    await after.running;
    expect(await leaseOf('one/data.vmdk')).toMatchObject({ guestId: 'g-one', run: 4 });
  });

  it('does not take a disk from another guest, and says who has it', async () => {
    await start(remote(5)).running;
    const other = start(remote(1, { guestId: 'g-two' }));
    await expect(other.ended).rejects.toMatchObject({ message: expect.stringContaining('g-one') as string });
    await expect(other.console).rejects.toBeInstanceOf(Error);
  });

  it.each([
    ['a kernel that is not there', 'tomei.kernel = "nothing"', 'kernel.missing', 'one/nothing'],
    ['a kernel outside of the pool', 'tomei.kernel = "../../../etc/passwd"', 'kernel.missing', 'etc/passwd'],
  ])('does not start from %s', async (_, line, code, place) => {
    const guest = start(remote(6, { vmxText: `memsize = "8"\n${line}` }));
    const message = expect.stringContaining(place) as string;
    await expect(guest.ended).rejects.toMatchObject({ code, message });
  });
});
