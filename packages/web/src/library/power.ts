/** Power and removal of a guest, as the buttons do them: asked before what cannot be undone, told when it fails. */
import type { GuestView } from '../api/views.ts';
import { useAction, useApp } from '../ui/app-context.ts';

export interface GuestActions {
  readonly isBusy: boolean;
  readonly powerOn: () => void;
  /** Asks first: it is the plug, the guest's system is not told. */
  readonly powerOff: () => void;
  readonly reset: () => void;
  /** Presses the power button: the guest's system ends itself, or is powered off after a while. */
  readonly shutDown: () => void;
  readonly unregister: () => void;
}

export function useGuestActions(guest: GuestView): GuestActions {
  const { api, confirm, tell } = useApp();
  const [isBusy, run] = useAction();
  const { id, name } = guest;
  const isOn = guest.power === 'on';
  return {
    isBusy,
    powerOn: () => run(`${name} could not be powered on`, () => api.power(id, 'on')),
    powerOff: () =>
      run(`${name} could not be powered off`, async () => {
        const isSure = await confirm({
          title: `Power off ${name}?`,
          text: 'This is like pulling the plug: what the guest has not written to its disks is lost. To be safe, shut it down instead.',
          action: 'Power off',
        });
        if (isSure) await api.power(id, 'off');
      }),
    reset: () =>
      run(`${name} could not be reset`, async () => {
        const isSure = await confirm({
          title: `Reset ${name}?`,
          text: 'The guest starts anew at once: what it has not written to its disks is lost.',
          action: 'Reset',
        });
        if (isSure) await api.power(id, 'reset');
      }),
    shutDown: () =>
      run(`${name} could not be shut down`, async () => {
        await api.power(id, 'shutdown');
        tell(`The power button of ${name} was pressed.`);
      }),
    unregister: () =>
      run(`${name} could not be removed`, async () => {
        const isSure = await confirm({
          title: `Remove ${name} from the library?`,
          text: `${isOn ? 'It is powered off first, like pulling the plug. ' : ''}Its .vmx and .vmdk files stay where they are; it can be registered again.`,
          action: 'Remove',
        });
        if (!isSure) return;
        await api.unregister(id);
        tell(isOn ? `${name} is being powered off and removed.` : `${name} was removed from the library.`);
      }),
  };
}
