/** The made-up cluster of the stand-in: guests that change their phases by timers, and whoever listens. Not shipped. */
import { EventEmitter } from 'node:events';

export interface FakeGuest {
  readonly id: string;
  name: string;
  phase: string;
  power: 'on' | 'off';
  run: number;
  memoryMiB: number;
  vcpus: number;
  vmxPath: string;
  disks: { slot: string; path: string }[];
  runner: string | null;
  message: string;
  since: string;
  created: string;
  console: boolean;
  deleting: boolean;
  vnc: { port: number | null; password: boolean } | null;
  serialPorts: number[];
  resizable: boolean;
}

/** What is seen and heard of a guest that runs. */
export interface FakeConsole {
  lines: string[];
  /** Counts changes of the screen. */
  version: number;
  readonly keys: string[];
  /** Sizes that viewers asked for, such as `800 × 600`. */
  readonly sizes: string[];
  /** What was written to its first serial line. */
  serial: string;
}

export interface FakeEvent {
  readonly sequence: number;
  readonly [field: string]: string | number;
}

export const PASSWORD = 'swordfish';
const BOOT_MS = 700;

const iso = (agoMs: number): string => new Date(Date.now() - agoMs).toISOString();
const MINUTE = 60_000;

export class World {
  readonly guests = new Map<string, FakeGuest>();
  readonly consoles = new Map<string, FakeConsole>();
  readonly events: FakeEvent[] = [];
  /** `guest` (FakeGuest), `gone` (id), `event` (FakeEvent), `screen` (guest id), `serial` (guest id, text), `cut`. */
  readonly changes = new EventEmitter().setMaxListeners(200);
  readonly runners: Record<string, string | number>[] = [];
  private nextId = 1;

  constructor(scene: 'full' | 'empty') {
    if (scene === 'empty') return;
    this.runners.push(
      {
        id: 'runner-1',
        state: 'ready',
        memoryMiB: 2048,
        usedMemoryMiB: 704,
        vcpus: 8,
        usedVcpus: 4,
        guests: 2,
        lastSeen: iso(500),
        version: '0.1.0',
      },
      {
        id: 'runner-2',
        state: 'ready',
        memoryMiB: 1024,
        usedMemoryMiB: 1024,
        vcpus: 4,
        usedVcpus: 2,
        guests: 1,
        lastSeen: iso(800),
        version: '0.1.0',
      },
      {
        id: 'runner-3',
        state: 'lost',
        memoryMiB: 4096,
        usedMemoryMiB: 0,
        vcpus: 8,
        usedVcpus: 0,
        guests: 0,
        lastSeen: iso(3 * MINUTE),
        version: '0.1.0',
      },
    );
    this.add('tiny', 'running', {
      runner: 'runner-1',
      since: iso(7 * MINUTE),
      vnc: { port: 5901, password: false },
      serialPorts: [0, 1],
      resizable: true,
    });
    this.add('mail', 'running', {
      runner: 'runner-2',
      memoryMiB: 1024,
      vcpus: 2,
      since: iso(50 * 3_600_000),
      vnc: { port: 5902, password: true },
    });
    this.add('web-frontend', 'running', { runner: 'runner-1', memoryMiB: 512, vcpus: 2, since: iso(3 * 3_600_000) });
    this.add('build', 'off', { memoryMiB: 2048, vcpus: 4 });
    this.add('database', 'pending', {
      power: 'on',
      memoryMiB: 8192,
      vcpus: 4,
      message: 'No runner has 8192 MiB free: the most is 1344 MiB on runner-1. It starts when one has room.',
    });
    this.add('legacy', 'crashed', {
      message: 'The processor gave up: triple fault at 0010:c0101f3a (#PF while delivering #DF)',
    });
    for (const [verb, guest] of [
      ['registered', 'build'],
      ['placed', 'web-frontend'],
      ['running', 'web-frontend'],
      ['pending', 'database'],
      ['crashed', 'legacy'],
      ['running', 'tiny'],
    ] as const) {
      this.tell('guest', verb, this.find(guest)!);
    }
    this.events.push(
      this.event({ noun: 'runner', subjectId: 'runner-3', verb: 'lost', message: 'No heartbeat for 5 s' }, 3 * MINUTE),
    );
  }

  add(name: string, phase: string, more: Partial<FakeGuest> = {}): FakeGuest {
    const guest: FakeGuest = {
      id: `g-${this.nextId++}`,
      name,
      phase,
      power: phase === 'running' ? 'on' : 'off',
      run: 1,
      memoryMiB: 192,
      vcpus: 1,
      vmxPath: `${name}/${name}.vmx`,
      disks: [{ slot: 'ide0:0', path: `${name}/${name}.vmdk` }],
      runner: null,
      message: '',
      since: iso(2 * MINUTE),
      created: iso(90 * 3_600_000),
      console: phase === 'running',
      deleting: false,
      vnc: null,
      serialPorts: [0],
      resizable: false,
      ...more,
    };
    this.guests.set(guest.id, guest);
    if (guest.console) this.openConsole(guest);
    return guest;
  }

  find(idOrName: string): FakeGuest | undefined {
    return this.guests.get(idOrName) ?? [...this.guests.values()].find((guest) => guest.name === idOrName);
  }

  /** Power by the API: some phases pass on the way. */
  /** Guests here listen to their power button, so that a shutdown ends as a power-off does. */
  power(guest: FakeGuest, action: string): void {
    if (action === 'off' || action === 'shutdown') {
      this.change(guest, { power: 'off', phase: 'stopping' });
      setTimeout(() => this.end(guest, 'off', ''), BOOT_MS / 2);
      return;
    }
    this.change(guest, {
      power: 'on',
      phase: 'starting',
      run: guest.run + 1,
      message: '',
      runner: 'runner-1',
      console: false,
    });
    this.tell('guest', 'starting', guest);
    setTimeout(() => {
      if (guest.power !== 'on') return;
      this.openConsole(guest);
      this.change(guest, { phase: 'running', console: true });
      this.tell('guest', 'running', guest);
    }, BOOT_MS);
  }

  end(guest: FakeGuest, phase: string, message: string): void {
    this.consoles.delete(guest.id);
    this.change(guest, { phase, power: 'off', console: false, runner: null, message });
    this.tell('guest', phase === 'crashed' ? 'crashed' : 'stopped', guest, message);
    this.changes.emit('end', guest.id);
    if (guest.deleting) this.remove(guest);
  }

  remove(guest: FakeGuest): void {
    this.guests.delete(guest.id);
    this.changes.emit('gone', guest.id);
  }

  change(guest: FakeGuest, change: Partial<FakeGuest>): void {
    Object.assign(guest, change);
    if (change.phase !== undefined) guest.since = iso(0);
    this.changes.emit('guest', guest);
  }

  tell(noun: string, verb: string, guest: FakeGuest, message = ''): void {
    const event = this.event({
      noun,
      verb,
      subjectId: guest.id,
      guestName: guest.name,
      runnerId: guest.runner ?? '',
      message,
    });
    this.events.push(event);
    this.changes.emit('event', event);
  }

  /** Keys and serial input show on the screen, so that somebody sees them arrive. */
  write(guest: FakeGuest, text: string): void {
    const shown = this.consoles.get(guest.id);
    if (shown === undefined) return;
    for (const character of text) {
      if (character === '\n' || character === '\r') shown.lines.push('/ # ');
      else shown.lines.push(`${shown.lines.pop() ?? ''}${character}`);
    }
    shown.lines = shown.lines.slice(-25);
    shown.version++;
    this.changes.emit('screen', guest.id);
  }

  private openConsole(guest: FakeGuest): void {
    const lines = [
      `Booting ${guest.name}`,
      '',
      '[    0.000000] Linux version 6.1.0 (tomei) #1',
      '[    0.000000] Command line: console=tty0 console=ttyS0',
      '[    0.213004] Detected 2400.000 MHz processor',
      `[    0.500000] Memory: ${guest.memoryMiB * 1024}K available`,
      '[    1.034112] virtio_blk virtio1: [vda] 65536 512-byte logical blocks',
      '[    1.551930] EXT4-fs (vda): mounted filesystem',
      '',
      `Welcome to ${guest.name}`,
      '',
      `${guest.name} login: root`,
      '/ # ',
    ];
    this.consoles.set(guest.id, { lines, version: 1, keys: [], sizes: [], serial: '' });
  }

  private event(fields: Record<string, string>, agoMs = 0): FakeEvent {
    const sequence = this.events.length + 1;
    return {
      id: `e-${sequence}`,
      at: iso(agoMs),
      source: 'controller',
      noun: '',
      subjectId: '',
      verb: '',
      guestName: '',
      runnerId: '',
      message: '',
      ...fields,
      run: 1,
      sequence,
    };
  }
}
