/** What a person does with a guest of a cluster, from registering it to the file that is left on its disk. */
import { expect } from 'vitest';
import { Api, SerialConsole, eventually, type GuestView } from './api.ts';

const PROMPT = /tiny:~# /;
/** Of this run: a gateway that is not attached to it yet begins with what the run before put out, to its end. */
const LOGIN = /login: (?![^]*Power down)/;
/** What the journey writes on the guest's disk, and where. */
export const WRITTEN = { path: '/root/journey', text: 'written-42\n' } as const;

/** Powers a guest on and logs in on its first serial port. */
export async function logIn(api: Api, name: string): Promise<SerialConsole> {
  await api.power(name, 'on');
  await api.until(name, 'running', (g) => g.phase === 'running');
  const serial = new SerialConsole(api.url, name);
  await serial.expect(LOGIN);
  serial.send('root\n');
  await serial.expect(PROMPT);
  return serial;
}

/** Register, power on, log in, write a file, see a word on the screen, power off from inside. Returns the guest as it is then. */
export async function travel(api: Api, vmx: string, name: string): Promise<GuestView> {
  const registered = await api.register(vmx, name);
  expect(registered).toMatchObject({ name, phase: 'off', power: 'off', run: 0 });

  using serial = await logIn(api, name);
  serial.send('echo written-$((6*7)) > /root/journey; sync; cat /root/journey\n');
  await serial.expect(/\nwritten-42\r?\n/);
  serial.send('echo On the screen: $((6*7)) > /dev/tty1; echo DONE-$((1+1))\n');
  await serial.expect(/DONE-2/);
  await eventually('the word is on the screen', async () =>
    (await api.screenText(name)).includes('On the screen: 42') ? true : undefined,
  );

  serial.send('poweroff\n');
  const off = await api.until(name, 'off', (g) => g.phase === 'off' && g.power === 'off');
  const verbs = (await api.events(registered.id)).map((e) => e.verb);
  expect(verbs.filter((v) => v !== 'warning' && v !== 'pending')).toEqual([
    'registered',
    'placed',
    'starting',
    'running',
    'stopped',
  ]);
  return off;
}
