import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InstructionClock, Machine, type MachineConfig, type SnapshotState } from '@tomei/paravirt-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SnapshotFile, saveSnapshotFile } from './snapshot-file.ts';

let folder = '';
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'tomei-snapshot-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const config: MachineConfig = { ramBytes: 4 << 20, videoMemoryBytes: 1 << 20, epoch: 1_700_000_000, commandLine: '' };
const newMachine = (): Machine => new Machine(config, { serial: [], disks: [] }, new InstructionClock());
const stateOf = (machine: Machine): SnapshotState => ({
  config: {
    ramBytes: config.ramBytes,
    videoMemoryBytes: config.videoMemoryBytes,
    epoch: config.epoch,
    serial: [],
    processors: 1,
    paravirt: 'kvm',
    vmi: 'off',
    disks: [],
  },
  machine: machine.save(),
  shares: [],
});

test('a machine comes back from its file, with every device and all memory', async () => {
  const machine = newMachine(),
    path = join(folder, 'm.snapshot');
  machine.board.reset();
  machine.memoryAreas()[0]!.bytes.fill(7, 10_000, 20_000);
  machine.processor.cpu.setRegister(3, 0x1234_5678);
  await saveSnapshotFile(path, stateOf(machine), machine.memoryAreas());

  const other = newMachine();
  const file = await SnapshotFile.open(path);
  await file.readMemory(other.memoryAreas());
  other.restore(file.state.machine);
  await file.close();

  expect(other.save()).toEqual(machine.save());
  for (const [i, { bytes }] of other.memoryAreas().entries())
    expect(Buffer.compare(bytes, machine.memoryAreas()[i]!.bytes)).toBe(0);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['m.snapshot']);
});

test('a snapshot that cannot be written leaves what was there, and nothing beside it', async () => {
  const machine = newMachine(),
    path = join(folder, 'm.snapshot');
  writeFileSync(path, 'the one before');
  const state = stateOf(machine);
  const broken = [{ name: 'ram', bytes: new Uint8Array(new ArrayBuffer(8192), 1, 4096) }];

  await expect(saveSnapshotFile(path, state, broken)).rejects.toMatchObject({ code: 'snapshot.unwritable' });
  await expect(saveSnapshotFile(join(folder, 'no', 'm'), state, [])).rejects.toMatchObject({
    code: 'snapshot.unwritable',
    cause: expect.objectContaining({ code: 'ENOENT' }) as Error,
  });

  expect(readFileSync(path, 'utf8')).toBe('the one before');
  expect(readdirSync(folder)).toEqual(['m.snapshot']);
});

test('files that are no snapshots are refused by name', async () => {
  const path = join(folder, 'x');
  await expect(SnapshotFile.open(path)).rejects.toMatchObject({ code: 'snapshot.missing' });
  await expect(SnapshotFile.open(folder)).rejects.toMatchObject({ code: 'snapshot.unreadable' });
  writeFileSync(path, 'KDMV');
  await expect(SnapshotFile.open(path)).rejects.toMatchObject({ code: 'snapshot.bad-magic' });
});
