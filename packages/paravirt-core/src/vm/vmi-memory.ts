/** Where the VMI option ROM lies in a machine without firmware, which loads it otherwise. */
import type { PhysicalMap } from '../core/physical.ts';
import type { MemoryPlan } from '../core/plan.ts';
import type { GuestMemory } from '../machine/device.ts';
import { ANSWERS, EVERY_CALL, vmiRom, type Answers, type VmiRom } from '../vmi/index.ts';
import type { MachineConfig } from './machine-config.ts';

/** Behind where a video BIOS would be. The ROM is smaller than the page. */
const PLACE = 0xc_8000;
const PAGE = 4096;

/** Makes the ROM's page one that the processor cannot write. */
export function protectVmiRom(config: MachineConfig, physical: PhysicalMap, plan: MemoryPlan): void {
  if (vmiRomOf(config) !== undefined && config.firmware === undefined)
    physical.map(PLACE, plan.ram + PLACE, PAGE, false);
}
export function placeVmiRom(config: MachineConfig, ram: GuestMemory): void {
  const rom = vmiRomOf(config);
  if (rom !== undefined) ram.write(PLACE, rom.bytes);
}
/** Made once for each kind of answers. */
const roms = new Map<Answers, VmiRom>();
/** The ROM that a machine's guest finds; undefined where it finds none. */
export function vmiRomOf({ vmi = 'off' }: Pick<MachineConfig, 'vmi'>): VmiRom | undefined {
  if (vmi === 'off') return undefined;
  const answers = vmi === 'measured' ? ANSWERS : EVERY_CALL,
    rom = roms.get(answers) ?? vmiRom(answers);
  roms.set(answers, rom);
  return rom;
}
