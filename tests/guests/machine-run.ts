/** A machine whose time is counted in instructions: the same start gives the same run, on every host. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import {
  InstructionClock,
  Machine,
  SECTOR_BYTES,
  readSnapshotMemory,
  readSnapshotState,
  type BlockBackend,
  type BlockRequest,
  type MachineConfig,
  type SavedMachine,
  type SliceEnd,
  type SnapshotState,
} from '@tomei/paravirt-core';
import { openVmdk } from '@tomei/vmdk';

/** A machine that stands still: its state, and copies of its memory and its disk. */
export interface Standing {
  readonly state: SavedMachine;
  readonly memory: readonly Uint8Array[];
  readonly disk?: Uint8Array;
}

/** A disk in the host's memory that answers at once. */
class InstantDisk implements BlockBackend {
  readonly sectors: number;
  readonly readOnly = false;
  readonly id = 'instant';
  readonly bytes: Uint8Array;
  machine: Machine | undefined;
  private handler: (id: number, ok: boolean) => void = () => undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.sectors = bytes.length / SECTOR_BYTES;
  }
  onComplete(handler: (id: number, ok: boolean) => void): void {
    this.handler = handler;
  }
  submit({ id, kind, sector, count, segments }: BlockRequest): void {
    let at = sector * SECTOR_BYTES;
    if (kind === 'write-zeroes') this.bytes.fill(0, at, at + count * SECTOR_BYTES);
    for (const { address, length } of segments) {
      const window = this.machine!.board.ram.view(address, length),
        here = this.bytes.subarray(at, at + length);
      if (kind === 'read') window.set(here);
      if (kind === 'write') here.set(window);
      at += length;
    }
    this.handler(id, true);
  }
}

export class MachineRun {
  readonly machine: Machine;
  /** How it ended, once it has. */
  end: Extract<SliceEnd, { kind: 'stopped' }> | undefined;
  /** What came out of COM1 since this run was made. */
  output = '';
  private readonly slice: number;
  private readonly disk: InstantDisk | undefined;

  /** At power-on, or going on from where another one stood. `slice`: instructions between two looks at alarms. */
  constructor(config: MachineConfig, slice: number, from?: Standing) {
    this.slice = slice;
    this.disk = from?.disk === undefined ? undefined : new InstantDisk(from.disk.slice());
    const line = { write: (byte: number) => void (this.output += String.fromCharCode(byte)) };
    const disks = this.disk === undefined ? [] : [this.disk];
    this.machine = new Machine(config, { serial: [line], disks }, new InstructionClock());
    if (this.disk !== undefined) this.disk.machine = this.machine;
    if (from === undefined) this.machine.powerOn();
    else {
      this.machine.memoryAreas().forEach(({ bytes }, i) => bytes.set(from.memory[i]!));
      this.machine.restore(from.state);
    }
  }

  /** Runs to the end of the slice in which `instructions` since power-on are reached. */
  runTo(instructions: number): void {
    while (this.end === undefined && this.machine.instructions < instructions) {
      const end = this.machine.runSlice(this.slice);
      if (end.kind === 'stopped') this.end = end;
      if (end.kind === 'halted' && end.until === null) throw new Error('the machine sleeps for ever');
    }
  }
  stand(): Standing {
    return {
      state: this.machine.save(),
      memory: this.machine.memoryAreas().map(({ bytes }) => Uint8Array.from(bytes)),
      ...(this.disk === undefined ? {} : { disk: this.disk.bytes.slice() }),
    };
  }
  /** Of all state, memory and disk included. */
  hash(): string {
    const { state, memory, disk } = this.stand();
    const hash = createHash('sha256').update(
      JSON.stringify(state, (_key, value: unknown) =>
        typeof value === 'bigint' ? value.toString() : value instanceof Uint8Array ? [...value] : value,
      ),
    );
    for (const bytes of memory) hash.update(bytes);
    return hash.update(disk ?? new Uint8Array(0)).digest('hex');
  }
}

/** A snapshot file and the disk of its time, as a machine that stands still. */
export async function readStanding(
  snapshot: string,
  diskPath: string,
): Promise<{ state: SnapshotState; standing: Standing }> {
  const inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw);
  const tools = {
    deflate: () => Promise.reject(new Error('this only reads')),
    inflate: (bytes: Uint8Array, maxOutputLength: number) => inflate(bytes, { maxOutputLength }),
    crc32: (bytes: Uint8Array, before: number) => crc32(bytes, before),
  };
  let rest: Uint8Array = await readFile(snapshot);
  const source = {
    read: (length: number) => {
      const taken = rest.subarray(0, length);
      rest = rest.subarray(length);
      return Promise.resolve(taken);
    },
  };
  const state = await readSnapshotState(source, tools, snapshot);
  const { ramBytes, videoMemoryBytes } = state.config;
  const memory = [new Uint8Array(ramBytes), new Uint8Array(videoMemoryBytes)];
  await readSnapshotMemory(
    source,
    memory.map((bytes, i) => ({ name: `area ${i}`, bytes })),
    tools,
    snapshot,
  );
  const vmdk = await openVmdk(diskPath, { readOnly: true });
  const disk = new Uint8Array(vmdk.sizeBytes);
  await vmdk.read(0, disk);
  await vmdk.close();
  return { state, standing: { state: state.machine, memory, disk } };
}
