/** Which cards a `.vmx` gives a guest, and what is said of those that reach nobody. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseVmx, readGuestConfig } from '@tomei/vmx';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { networkCards, type GuestNic } from './networks.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tomei-nics-'));
  await writeFile(join(folder, 'rom'), 'rom');
});
afterAll(() => rm(folder, { recursive: true }));

async function cards(lines: readonly string[], meets = true): Promise<{ cards: GuestNic[]; warnings: string[] }> {
  const text = ['memsize = "64"', ...lines].join('\n');
  const { config } = readGuestConfig(parseVmx(new TextEncoder().encode(text), 'a.vmx'), '/');
  const warnings: string[] = [];
  const found = await networkCards(
    config,
    { vmx: 'a.vmx', meets, roms: [join(folder, 'none'), join(folder, 'rom')] },
    (warning) => void warnings.push(warning),
  );
  return { cards: found, warnings };
}
const card = (n: number, ...more: string[]): string[] => [
  `ethernet${n}.present = "TRUE"`,
  `ethernet${n}.addressType = "static"`,
  `ethernet${n}.address = "00:50:56:00:00:0${n}"`,
  ...more.map((line) => `ethernet${n}.${line}`),
];

describe('the network cards of a guest', () => {
  it('have address, network and cable as the .vmx says', async () => {
    const { cards: found, warnings } = await cards([
      ...card(0, 'networkName = "lan"'),
      ...card(1, 'connectionType = "custom"', 'vnet = "vmnet2"', 'startConnected = "FALSE"'),
    ]);
    expect(found).toEqual([
      {
        name: 'ethernet0',
        device: 'e1000',
        mac: Uint8Array.of(0, 0x50, 0x56, 0, 0, 0),
        connected: true,
        network: 'lan',
      },
      { name: 'ethernet1', device: 'e1000', mac: Uint8Array.of(0, 0x50, 0x56, 0, 0, 1), connected: false },
    ]);
    expect(warnings).toEqual([]);
  });
  it('are told of when nobody is at the other end', async () => {
    const alone = await cards(card(0, 'connectionType = "nat"'));
    expect(alone.cards[0]).toMatchObject({ connected: true });
    expect(alone.cards[0]).not.toHaveProperty('network');
    expect(alone.warnings.join()).toMatch(/a\.vmx:2: ethernet0 has nobody .*ethernet0\.networkName joins/);
    const far = await cards(card(0, 'networkName = "lan"'), false);
    expect(far.cards[0]).not.toHaveProperty('network');
    expect(far.warnings.join()).toMatch(/guests of a cluster/);
  });
  it('boot where the firmware is to boot from them', async () => {
    const boots = await cards([...card(0, 'networkName = "lan"'), 'bios.bootOrder = "ethernet0,hdd"']);
    expect(boots.cards[0]!.rom).toEqual(new TextEncoder().encode('rom'));
    const direct = await cards([
      ...card(0, 'networkName = "lan"'),
      'tomei.kernel = "k"',
      'bios.bootOrder = "ethernet0"',
    ]);
    expect(direct.cards[0]).not.toHaveProperty('rom');
  });
  it('are as many as the board has room for', async () => {
    const { cards: found, warnings } = await cards(Array.from({ length: 10 }, (_, n) => card(n, 'vnet = "x"')).flat());
    expect(found).toHaveLength(8);
    expect(warnings.join()).toMatch(/ethernet8.*room for 8.*ethernet9/);
  });
});
