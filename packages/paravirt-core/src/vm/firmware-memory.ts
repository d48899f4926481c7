/**
 * Where the BIOS lies, and what the shadow registers make of the last 256 KiB of the first megabyte (Intel 82441FX datasheet,
 * 290549, 3.2.17; PIIX: the ROM is decoded below 4 GiB and, its last 128 KiB, below 1 MiB).
 */
import { TomeiError } from '@tomei/kit';
import type { PhysicalMap } from '../core/physical.ts';
import { ROM_BYTES, type MemoryPlan } from '../core/plan.ts';
import type { ShadowArea } from '../devices/i440fx.ts';
import type { MemoryClaim, Width } from '../machine/device.ts';

const FIRST_4G = 2 ** 32;
const MEGABYTE = 1 << 20;
/** How much of the ROM is seen below 1 MiB. */
const LOW_ROM = 128 << 10;
const SHADOW_BASE = 0xc_0000;
const PAGE = 4096;

export class FirmwareMemory {
  private readonly memory: Uint8Array;
  private readonly plan: MemoryPlan;
  private readonly physical: PhysicalMap;
  private readonly romBytes: number;
  private areas: readonly ShadowArea[] = [];

  /** Puts `bios` in place. Throws TomeiError `firmware.bad-size` for an image that is no BIOS of 64 to 512 KiB. */
  constructor(memory: WebAssembly.Memory, plan: MemoryPlan, physical: PhysicalMap, bios: Uint8Array) {
    if (bios.length % 0x1_0000 !== 0 || bios.length < 0x1_0000 || bios.length > ROM_BYTES) {
      throw new TomeiError(
        'firmware.bad-size',
        `a BIOS of ${bios.length} bytes: it has to be a multiple of 64 KiB up to ${ROM_BYTES >> 10} KiB, as SeaBIOS's bios-256k.bin`,
      );
    }
    this.memory = new Uint8Array(memory.buffer);
    this.plan = plan;
    this.physical = physical;
    this.romBytes = bios.length;
    this.memory.set(bios, plan.rom);
    physical.map(FIRST_4G - bios.length, plan.rom, bios.length, false);
  }

  /** Follows the shadow registers. Returns the ranges that show something else than before. */
  shadow(areas: readonly ShadowArea[]): readonly ShadowArea[] {
    const changed = areas.filter((area, i) => {
      const old = this.areas[i];
      return old === undefined || old.readsRam !== area.readsRam || old.writesRam !== area.writesRam;
    });
    this.areas = areas;
    for (const area of changed) this.map(area);
    return changed;
  }
  private map({ base, size, readsRam, writesRam }: ShadowArea): void {
    const { physical, plan } = this;
    if (readsRam) physical.map(base, plan.ram + base, size, writesRam);
    // Read from here and written to there: no page is like that, so each access comes to `claim`.
    else if (writesRam) physical.unmap(base, size);
    else {
      for (let page = base; page < base + size; page += PAGE) {
        const rom = this.romAt(page);
        if (rom === undefined) physical.unmap(page, PAGE);
        else physical.map(page, rom, PAGE, false);
      }
    }
  }
  /** Where the ROM's byte at an address below 1 MiB lies; undefined where nothing answers. */
  private romAt(address: number): number | undefined {
    const low = Math.min(LOW_ROM, this.romBytes);
    return address < MEGABYTE - low ? undefined : this.plan.rom + this.romBytes - (MEGABYTE - address);
  }

  /** What answers where no page is mapped: writes that go to RAM while reads come from ROM or from nowhere. */
  readonly claim: MemoryClaim = {
    base: SHADOW_BASE,
    size: MEGABYTE - SHADOW_BASE,
    unit: 1,
    read: (offset: number, _width: Width) => {
      const rom = this.romAt(SHADOW_BASE + offset);
      return rom === undefined ? 0xff : this.memory[rom]!;
    },
    write: (offset: number, _width: Width, value: number) => {
      const address = SHADOW_BASE + offset;
      const area = this.areas.find(({ base, size }) => address >= base && address < base + size);
      if (area?.writesRam === true) this.memory[this.plan.ram + address] = value;
    },
  };
}
