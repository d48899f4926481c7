/** The I/O thread's side of shared folders: a server for each, which answers what comes by its ring. */
import { ByteRing, TomeiError, messageOf, type Doorbell } from '@tomei/kit';
import type { SavedShare } from '@tomei/paravirt-core';
import { decodeNumbered, encodeNumbered } from '../numbered-message.ts';
import { HostTree } from './host-tree.ts';
import type { ShareRings } from './ring-share.ts';
import { ShareServer } from './share-server.ts';

/** Requests that a server has before it. More wait in the ring: a driver that resets its device and asks anew gets no further. */
const MOST_BEFORE = 16;
/** When to look again whether a full ring has room. */
const RETRY_MS = 10;

/** A folder that a guest finds. */
export interface GuestShare {
  /** By which it mounts it. */
  readonly tag: string;
  readonly hostPath: string;
  readonly readOnly: boolean;
  /** What names the folder, for messages: file, line and key. */
  readonly place: string;
}

class Share {
  readonly about: GuestShare;
  private readonly requests: ByteRing;
  private readonly answers: ByteRing;
  private readonly bell: Doorbell;
  private readonly unsent: Uint8Array[] = [];
  private server: ShareServer | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** Requests that the server has not answered. */
  private before = 0;

  constructor(about: GuestShare, rings: ShareRings, bell: Doorbell) {
    this.about = about;
    this.requests = new ByteRing(rings.requests);
    this.answers = new ByteRing(rings.answers);
    this.bell = bell;
  }

  async open(): Promise<void> {
    const { hostPath, readOnly, place } = this.about;
    try {
      this.server = new ShareServer(await HostTree.open(hostPath), readOnly);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      const why =
        code === 'ENOENT'
          ? 'does not exist'
          : code === 'ENOTDIR'
            ? 'is no folder'
            : `cannot be shared: ${messageOf(cause)}`;
      const kind = code === 'ENOENT' ? 'share.missing' : 'share.unreadable';
      throw new TomeiError(kind, `${place}: ${hostPath} ${why}`, { cause, data: { file: hostPath } });
    }
  }
  /** Has the server work on what waits. */
  poll(): void {
    const { server } = this;
    if (server === undefined) return;
    while (this.before < MOST_BEFORE) {
      const message = this.requests.readMessage();
      if (message === undefined) return;
      const { id, bytes } = decodeNumbered(message);
      this.before++;
      void server.answer(bytes).then((answer) => {
        this.before--;
        this.unsent.push(encodeNumbered({ id, bytes: answer ?? new Uint8Array(0) }));
        this.send();
        this.poll();
      });
    }
  }
  private send(): void {
    clearTimeout(this.timer);
    while (this.unsent.length > 0 && this.answers.writeMessage(this.unsent[0]!)) this.unsent.shift();
    this.bell.ring();
    if (this.unsent.length > 0) this.timer = setTimeout(() => this.send(), RETRY_MS);
  }

  async save(): Promise<SavedShare> {
    const { msize, fids } = (await this.server?.save()) ?? { msize: 0, fids: [] };
    const saved = fids.map(({ fid, place, flags }) => ({ fid, place: place.join('/'), flags: flags ?? null }));
    return { tag: this.about.tag, msize, fids: saved };
  }
  async restore({ msize, fids }: SavedShare): Promise<void> {
    const held = fids.map(({ fid, place, flags }) => ({
      fid,
      place: place === '' ? [] : place.split('/'),
      ...(flags === null ? {} : { flags }),
    }));
    await this.server?.restore({ msize, fids: held });
  }
  async close(): Promise<void> {
    await this.server?.close();
    clearTimeout(this.timer);
  }
}

export class ShareServers {
  private readonly shares: readonly Share[];

  /** `bell` is rung when something is there for the vCPU thread. */
  constructor(shares: readonly { readonly share: GuestShare; readonly rings: ShareRings }[], bell: Doorbell) {
    this.shares = shares.map(({ share, rings }) => new Share(share, rings, bell));
  }
  /** Opens the folders; until then nothing is answered. Throws `share.missing` and `share.unreadable`, naming file, line and key. */
  async open(): Promise<void> {
    for (const share of this.shares) await share.open();
  }
  /** Starts on every request that waits. Call when the I/O bell rings. */
  poll(): void {
    for (const share of this.shares) share.poll();
  }
  /** What the guest holds of each, when what was asked is answered. */
  async save(): Promise<SavedShare[]> {
    const saved: SavedShare[] = [];
    for (const share of this.shares) saved.push(await share.save());
    return saved;
  }
  /** Takes over what the guest held, of as many shares; `fileName` is the snapshot's. Throws `snapshot.state` for what no guest can hold. */
  async restore(saved: readonly SavedShare[], fileName: string): Promise<void> {
    for (const [i, share] of this.shares.entries()) {
      try {
        await share.restore(saved[i]!);
      } catch (cause) {
        const what = `${fileName}: the state is damaged: no guest can hold these files of the share ${share.about.tag}`;
        throw new TomeiError('snapshot.state', what, { cause, data: { file: fileName } });
      }
    }
  }
  /** After what was asked before: gives back all files. */
  async close(): Promise<void> {
    await Promise.allSettled(this.shares.map((share) => share.close()));
  }
}
