/** All that is known of one guest. */
import type { ReactNode } from 'react';
import type { GuestView } from '../api/views.ts';
import { PHASE_WORDS, formatMemory, plural } from '../ui/format.ts';
import { Modal } from '../ui/modal.tsx';

const when = (atMs: number): string => new Date(atMs).toLocaleString();

function vncWords(guest: GuestView): string {
  if (guest.vnc === null) return 'In the browser only';
  const { port, password } = guest.vnc;
  const where = port === null ? 'in the browser only' : `TCP port ${port} of ${window.location.hostname}`;
  return `${where}, ${password ? 'with a password' : 'no password'}`;
}

export function DetailsModal({ guest, onClose }: { guest: GuestView; onClose: () => void }): ReactNode {
  const rows: readonly (readonly [string, ReactNode])[] = [
    ['State', `${PHASE_WORDS[guest.phase]}, since ${when(guest.since)}`],
    ...(guest.message === '' ? [] : ([['Reason', guest.message]] as const)),
    ['Runner', guest.runner ?? 'none'],
    ['Memory', formatMemory(guest.memoryMiB)],
    ['Processors', plural(guest.vcpus, 'vCPU')],
    ['Configuration', <code key="vmx">{guest.vmxPath}</code>],
    [
      'Disks',
      guest.disks.length === 0
        ? 'none'
        : guest.disks.map((disk) => (
            <div key={disk.slot}>
              <code>{disk.slot}</code> {disk.path}
            </div>
          )),
    ],
    ['VNC', vncWords(guest)],
    ['Registered', when(guest.created)],
    ['Power-ons', String(guest.run)],
    ['Id', <code key="id">{guest.id}</code>],
  ];
  return (
    <Modal title={guest.name} onClose={onClose}>
      <dl className="details">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
