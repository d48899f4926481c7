/** Machines with `vmi`: where the ROM is found with firmware and without, that it cannot be written, and what goes on elsewhere. */
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureNumerics } from '../numerics/build.ts';
import { CALL, HYPERCALL_BASE } from '../vmi/interface.ts';
import { ANSWERS, vmiRom } from '../vmi/index.ts';
import { InstructionClock } from './clocks.ts';
import { EAX, EBX, ECX, EDX, ESI, VMCALL, exit, finish, kernelOf, mov, register, u32 } from './test-kernel.ts';
import { Machine } from './machine.ts';
import type { MachineConfig } from './machine-config.ts';

/** A hypercall of the ROM's: first argument in EBX, second in EDX. */
const hyper = (number: number, first = 0, second = 0): number[] => [
  ...[...mov(EBX, first), ...mov(EDX, second), ...mov(ECX, 0), ...mov(EAX, HYPERCALL_BASE + number)],
  ...VMCALL,
];

function machine(
  code: readonly number[],
  options: Partial<MachineConfig> = {},
  trouble?: (what: string) => void,
): Machine {
  const made = new Machine(
    {
      ...{ ramBytes: 8 << 20, videoMemoryBytes: 1 << 20, epoch: 1_700_000_000, commandLine: '', vmi: 'measured' },
      ...options,
      kernel: kernelOf(code),
    },
    { serial: [], disks: [], trouble: (_device, what) => trouble?.(what) },
    new InstructionClock(),
  );
  made.powerOn();
  return made;
}
/** Where an image lies that guests would take: its first byte. */
function findRom(guest: Machine): number | undefined {
  const { bytes } = vmiRom(ANSWERS);
  for (let at = 0xc_0000; at < 0xe_0000; at += 0x800) {
    const found = guest.board.ram.view(at, bytes.length);
    if (found.every((byte, i) => byte === bytes[i])) return at;
  }
  return undefined;
}

beforeAll(() => ensureNumerics());

describe('the ROM', () => {
  it('lies in a machine without firmware, where its processor cannot write to it', () => {
    // MOV DWORD [0C8000h],0 ; MOV EAX,[0C8008h]
    const code = [0xc7, 0x05, ...u32(0xc_8000), ...u32(0), 0xa1, ...u32(0xc_8008)];
    const guest = machine([...code, 0x89, 0xc6, ...exit]);

    expect(finish(guest)).toBe('exit');
    expect(register(guest, ESI)).toBe(0x696d_5663);
    expect(findRom(guest)).toBe(0xc_8000);
  });
  it('is not there without the key, and its hypercalls are undefined', () => {
    const guest = machine([...hyper(CALL.GetCycleCounter), ...exit], { vmi: 'off' });
    expect(findRom(guest)).toBeUndefined();
    expect(finish(guest)).toBe('triple-fault');
  });

  const BIOS = '/usr/share/seabios/bios-256k.bin',
    VIDEO_BIOS = '/usr/share/seabios/vgabios-stdvga.bin';
  const missing = [BIOS, VIDEO_BIOS].filter((file) => !existsSync(file));
  it(
    'is loaded by SeaBIOS behind the video BIOS, and locked; two processors are found before it is used',
    { timeout: 120_000 },
    ({ skip }) => {
      skip(missing.length > 0, `not installed: ${missing.join(', ')} (Debian package seabios)`);
      let log = '';
      const guest = new Machine(
        {
          ...{ ramBytes: 32 << 20, videoMemoryBytes: 1 << 20, epoch: 0, commandLine: '', vmi: 'measured' as const },
          processors: 2,
          firmware: { bios: readFileSync(BIOS), videoBios: readFileSync(VIDEO_BIOS) },
        },
        { serial: [], disks: [], firmwareLog: { write: (byte) => void (log += String.fromCharCode(byte)) } },
        new InstructionClock(),
      );
      guest.powerOn();
      for (let i = 0; i < 100_000 && !log.includes('No bootable device'); i++) guest.runSlice();

      expect(log).toContain('No bootable device');
      expect(log).toContain('Found 2 cpu(s)');
      expect(findRom(guest)).toBe(0xc_a000);
      // The shadow register of C8000h to CBFFFh (82441FX, 3.2.17): reads from RAM, no writes.
      guest.board.portWrite(0xcf8, 4, 0x8000_0058);
      expect(guest.board.portRead(0xcff, 1) & 3).toBe(1);
    },
  );
});

describe('hypercalls of the ROM', () => {
  it('answer 64 bits in EDX:EAX, and tell time that goes on within a slice', () => {
    const counter = [...hyper(CALL.GetCycleCounter), 0x89, 0xc6, ...hyper(CALL.GetCycleCounter)];
    const guest = machine([...mov(EDX, 5), ...counter, 0x29, 0xf0, 0x89, 0xc6, ...exit]);

    expect(finish(guest)).toBe('exit');
    expect(register(guest, ESI)).toBeGreaterThan(0);
    expect(register(guest, ESI)).toBeLessThan(1000);
    expect(register(guest, EDX)).toBe(0);
    expect(guest.hypercalls).toEqual({ msr: 0, hypercall: 2 });
  });
  it('make no hypervisor of what CPUID tells', () => {
    const guest = machine([...mov(EAX, 1), 0x0f, 0xa2, 0x89, 0xce, ...exit]);
    expect(finish(guest)).toBe('exit');
    expect(register(guest, ESI) >>> 31).toBe(0);
  });
  it('live beside those of KVM', () => {
    const kvm = [...mov(EAX, 10), ...VMCALL, 0x89, 0xc6];
    const guest = machine([...hyper(CALL.CancelAlarm), ...kvm, ...exit], { paravirt: 'kvm' });
    expect(finish(guest)).toBe('exit');
    expect(guest.hypercalls).toEqual({ msr: 0, hypercall: 2 });
  });
  it('turn the machine off, and warn of what does not exist', () => {
    const said: string[] = [];
    const guest = machine([...hyper(CALL.ReleasePage, 5), ...hyper(CALL.Shutdown), 0xf4], {}, (what) =>
      said.push(what),
    );
    expect(finish(guest)).toBe('power-off');
    expect(said).toEqual([expect.stringContaining('releases page 5h')]);
  });
  it('and alarms go on in another machine, to the same instruction', () => {
    // A periodic alarm, then INC ESI for ever, with interrupts off: the line is what is compared.
    const code = [
      ...hyper(0xff, 0xc_8000),
      ...hyper(CALL.AllocatePage, 7, 0x42),
      ...[...mov(ESI, 3_000_000), ...mov(7, 0)],
      ...[
        ...mov(EBX, 0x100),
        ...mov(EDX, 1_000_000),
        ...mov(ECX, 0),
        ...mov(EAX, HYPERCALL_BASE + CALL.SetAlarm),
        ...VMCALL,
      ],
      ...[0x46, 0xeb, 0xfd],
    ];
    const first = machine(code);
    for (let i = 0; i < 3; i++) first.runSlice(100_000);
    const second = machine(code);
    first.memoryAreas().forEach(({ bytes }, i) => second.memoryAreas()[i]!.bytes.set(bytes));
    second.restore(structuredClone(first.save()));
    for (const each of [first, second]) for (let i = 0; i < 30; i++) each.runSlice(100_000);

    expect(second.save()).toEqual(first.save());
    expect(register(second, ESI)).toBe(register(first, ESI));
  });
  it('of a machine with VMI does not go on in one without, which says so', () => {
    const saved = machine(exit).save();
    expect(() => machine(exit, { vmi: 'off' }).restore(saved)).toThrow(/holds device 'vmi'/);
  });
});
