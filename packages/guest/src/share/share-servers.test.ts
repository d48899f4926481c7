/** Both ends of the rings of a shared folder, over a real folder: the vCPU thread's and the server's. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Doorbell } from '@tomei/kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ERRNO } from './errno.ts';
import { RLERROR, frame, parseHeader, requestNumber, type RequestKind } from './messages.ts';
import { RingShare, allocateShareRings } from './ring-share.ts';
import { ShareServers } from './share-servers.ts';
import { WireReader, WireWriter } from './wire.ts';

const w = (): WireWriter => new WireWriter();
let folder: string;
const open: Ends[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-shares-'));
  await writeFile(join(folder, 'file'), 'hello');
});
afterEach(async () => {
  for (const { servers } of open.splice(0)) await servers.close();
  await rm(folder, { recursive: true });
});

class Ends {
  readonly servers: ShareServers;
  readonly share: RingShare;
  readonly answers = new Map<number, Uint8Array>();
  private readonly bell = new Doorbell(Doorbell.allocate());
  private lastId = 0;

  constructor(hostPath: string, isMute = false) {
    const rings = allocateShareRings();
    const place = 'guest.vmx:5: sharedFolder0.hostPath';
    this.servers = new ShareServers([{ share: { tag: 'work', hostPath, readOnly: false, place }, rings }], this.bell);
    this.share = new RingShare('work', rings, isMute);
    this.share.onAnswer((id, answer) => void this.answers.set(id, answer));
    open.push(this);
  }
  /** Sends a request without waiting for it. */
  send(kind: RequestKind, body: WireWriter): number {
    const id = ++this.lastId;
    this.share.submit(id, frame(requestNumber(kind), id & 0xffff, body.done()));
    return id;
  }
  /** Goes on at both ends until a request is answered. */
  async answered(id: number): Promise<WireReader> {
    while (!this.answers.has(id)) {
      const { ticket } = this.bell;
      this.share.flush();
      this.servers.poll();
      for (let answer = this.share.take(); answer !== undefined; answer = this.share.take()) this.share.deliver(answer);
      if (!this.answers.has(id)) await this.bell.waitAsync(ticket);
    }
    const answer = this.answers.get(id)!;
    if (parseHeader(answer).number === RLERROR) throw new Error(`errno ${new WireReader(answer.subarray(7)).u32()}`);
    return new WireReader(answer.subarray(7));
  }
  ask(kind: RequestKind, body: WireWriter): Promise<WireReader> {
    return this.answered(this.send(kind, body));
  }
  async mount(): Promise<void> {
    await this.ask(
      'version',
      w()
        .u32(512 * 1024)
        .string('9P2000.L'),
    );
    await this.ask('attach', w().u32(0).u32(0xffff_ffff).string('').string('').u32(0));
  }
  async openFile(fid: number, flags: number, ...names: readonly string[]): Promise<void> {
    const walk = w().u32(0).u32(fid).u16(names.length);
    for (const name of names) walk.string(name);
    await this.ask('walk', walk);
    await this.ask('lopen', w().u32(fid).u32(flags));
  }
}
async function mounted(): Promise<Ends> {
  const ends = new Ends(folder);
  await ends.servers.open();
  await ends.mount();
  return ends;
}

/** What says which piece of the file of fid 1 is meant. */
const nth = (i: number, { length }: Uint8Array): ReturnType<typeof w> =>
  w()
    .u32(1)
    .u64(BigInt(i * length))
    .u32(length);

describe('the rings of a share', () => {
  it('bear more than they hold, in both directions, and lose nothing', async () => {
    const ends = await mounted();
    await ends.openFile(1, 2, 'file');
    const piece = new Uint8Array(400_000);
    const writes = Array.from({ length: 8 }, (_, i) => {
      piece.fill(i + 1);
      return ends.send('write', nth(i, piece).data(piece));
    });
    expect(ends.share.isWaiting).toBe(true);
    for (const id of writes) expect((await ends.answered(id)).u32()).toBe(piece.length);
    // Nobody takes the answers until all are there.
    const reads = Array.from({ length: 8 }, (_, i) => ends.send('read', nth(i, piece)));
    for (const [i, id] of reads.entries()) {
      const answer = await ends.answered(id);
      const bytes = answer.data(answer.u32());
      expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([piece.length, i + 1, i + 1]);
    }
    expect([ends.share.outstanding, ends.share.isWaiting]).toEqual([0, false]);
  });
  it('carry nothing of what was not sent when the driver reset its device', async () => {
    const ends = await mounted();
    await ends.openFile(1, 2, 'file');
    const piece = new Uint8Array(400_000);
    for (let i = 0; i < 8; i++) ends.send('write', nth(i, piece).data(piece));
    ends.share.reset();
    expect(ends.share.isWaiting).toBe(false);
    await ends.ask('getattr', w().u32(1).u64(0x7ffn));
    expect([ends.share.outstanding, (await stat(join(folder, 'file'))).size]).toEqual([0, 2 * piece.length]);
  });
  it('carry an empty answer to what has no header', async () => {
    const ends = await mounted();
    ends.share.submit(99, new Uint8Array(7));
    await expect(ends.answered(99)).rejects.toThrow();
    expect(ends.answers.get(99)).toEqual(new Uint8Array(0));
  });
  it('carry nothing where a recording is given again', () => {
    const ends = new Ends(folder, true);
    ends.send('version', w().u32(8192).string('9P2000.L'));
    expect([ends.share.flush(), ends.share.outstanding, ends.share.take()]).toEqual([false, 0, undefined]);
  });
});

describe('a share that is saved', () => {
  it('goes on with its open files; one that has gone is an error for the guest', async () => {
    const before = await mounted();
    await mkdir(join(folder, 'deep'));
    await writeFile(join(folder, 'deep', 'down'), 'old');
    await before.openFile(1, 2, 'deep', 'down');
    await before.openFile(2, 0, 'file');
    const saved = await before.servers.save();
    await rm(join(folder, 'file'));

    const after = new Ends(folder);
    await after.servers.open();
    await after.servers.restore(JSON.parse(JSON.stringify(saved)) as typeof saved, 'a.snapshot');

    expect((await after.ask('write', w().u32(1).u64(3n).u32(4).data(Buffer.from(' new')))).u32()).toBe(4);
    expect(await readFile(join(folder, 'deep', 'down'), 'utf8')).toBe('old new');
    await expect(after.ask('read', w().u32(2).u64(0n).u32(10))).rejects.toThrow(`errno ${ERRNO.EBADF}`);
  });
  it.each([
    ['a fid twice', [{ fid: 1, place: '', flags: null }, { fid: 1, place: 'file', flags: null }]],
    ['a way out', [{ fid: 1, place: '../file', flags: null }]],
    ['a place without a name', [{ fid: 1, place: 'a//b', flags: 0 }]],
  ])('is refused with %s', async (_what, fids) => {
    const ends = new Ends(folder);
    await ends.servers.open();

    const restored = ends.servers.restore([{ tag: 'work', msize: 8192, fids }], 'a.snapshot');

    await expect(restored).rejects.toMatchObject({
      code: 'snapshot.state',
      message: expect.stringMatching(/^a\.snapshot: .*of the share work/) as string,
    });
  }); // prettier-ignore
});

it.each([
  ['that is not there', 'nowhere', 'share.missing', 'does not exist'],
  ['that is none', 'file', 'share.unreadable', 'is no folder'],
])('a folder %s is told of by the line that names it', async (_what, name, code, why) => {
  const { servers } = new Ends(join(folder, name));

  await expect(servers.open()).rejects.toMatchObject({
    code,
    message: `guest.vmx:5: sharedFolder0.hostPath: ${join(folder, name)} ${why}`,
  });
});
