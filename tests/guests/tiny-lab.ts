/** Tiny guests of one user beside each other: a folder of a test's own, a network "lan", a shell in each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StartOptions } from '@tomei/guest';
import { afterAll, beforeAll, vi } from 'vitest';
import { Console, buildTiny, copyTiny } from './tiny-guest.ts';

/** For boots on a machine that has much else to do. */
export const SLOW = 600_000;

export class TinyLab {
  folder = '';
  /** Why there is no tiny guest here. */
  unavailable: string | undefined;

  /** Call where tests are declared: the lab is set up before the tests of a file and goes after them. */
  static forTests(): TinyLab {
    const lab = new TinyLab();
    beforeAll(() => lab.setUp(), SLOW);
    afterAll(() => lab.tearDown());
    return lab;
  }
  private async setUp(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'tomei-lan-'));
    vi.stubEnv('XDG_RUNTIME_DIR', this.folder);
    try {
      await buildTiny();
    } catch (error) {
      this.unavailable = String(error);
    }
  }
  private async tearDown(): Promise<void> {
    vi.unstubAllEnvs();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The `.vmx` of a new guest with a card on the network, and with these lines besides. */
  async guestOf(name: string, ...lines: readonly string[]): Promise<string> {
    const card = ['ethernet0.present = "TRUE"', 'ethernet0.networkName = "lan"'];
    const { vmx } = await copyTiny(this.folder, name, { settings: [...card, ...lines] });
    return vmx;
  }
}

/** Boots to a shell, with address 10.0.0.`n`. */
export async function boot(vmx: string, n: number, options: StartOptions = {}): Promise<Console> {
  const guest = new Console(vmx, options);
  await guest.expect(/login:/);
  guest.send('root\n');
  await guest.expect(/# /);
  await sh(guest, `dmesg -n 1; ip addr add 10.0.0.${n}/24 dev eth0; ip link set eth0 up`);
  return guest;
}

/** Sends a line and returns what it prints. Marks are made by the shell, so that the echo of the line has none. */
export async function sh(guest: Console, line: string): Promise<string> {
  guest.send(`${line}; echo END-$((40+2))\n`);
  return guest.expect(/END-42\r?\n/);
}

const CHECKSUM = /^([0-9a-f]{32}) /m;
/** Sends a stream from one guest to another at `address` and returns the checksums of both ends. */
export async function stream(from: Console, to: Console, address: string): Promise<[sent: string, received: string]> {
  to.send(`nc -l -p 99 | md5sum\n`);
  const sent = CHECKSUM.exec(await sh(from, `md5sum < /bin/busybox; sleep 1; nc -w 20 ${address} 99 < /bin/busybox`))![1]!;
  return [sent, (await to.expect(CHECKSUM)).slice(-33).trim()];
}
