/** The machine's side of drives and network cards: which backend is in which place. */
import type { BlockBackend, IdeDrive, MachineBackends, NicBackend } from '@tomei/paravirt-core';
import type { VcpuStart } from './protocol.ts';

/** `disks` belong to `start.disks`, and `wires` to `start.networks`, in that order. */
export function plugged(
  start: Pick<VcpuStart, 'disks' | 'emptyDrives' | 'networks'>,
  disks: readonly BlockBackend[],
  wires: readonly NicBackend[],
): Pick<MachineBackends, 'disks' | 'ide' | 'floppies' | 'networks'> {
  const virtio: BlockBackend[] = [];
  const ide: (IdeDrive | undefined)[] = [];
  const floppies: (BlockBackend | null | undefined)[] = [];
  start.disks.forEach(({ place }, i) => {
    const disk = disks[i]!;
    if (place === undefined || place.bus === 'virtio') virtio.push(disk);
    else if (place.bus === 'floppy') floppies[place.drive] = disk;
    else ide[place.drive] = place.kind === 'disk' ? { kind: 'disk', disk } : { kind: 'cdrom', disc: disk };
  });
  for (const place of start.emptyDrives ?? []) {
    if (place.bus === 'floppy') floppies[place.drive] = null;
    if (place.bus === 'ide') ide[place.drive] = { kind: 'cdrom', disc: undefined };
  }
  const networks = (start.networks ?? []).map(({ device, mac, rom }, i) => ({
    device,
    mac,
    wire: wires[i]!,
    ...(rom === undefined ? {} : { rom }),
  }));
  return { disks: virtio, ide: Array.from(ide), floppies: Array.from(floppies), networks };
}
