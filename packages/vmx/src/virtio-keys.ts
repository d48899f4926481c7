/** The paravirtual devices of a `.vmx` that VMware has no keys for: `tomei.rng.*`, `tomei.balloon.*`, `tomei.input.*`, `tomei.gpu.*`, `tomei.vsock.*`, `tomei.port0.*` to `tomei.port3.*`. */
import type { FileReference } from './guest-config.ts';
import type { Problems } from './problem.ts';
import type { ParavirtMode } from './tomei-keys.ts';
import type { Values } from './values.ts';

export const CONSOLE_PORT_COUNT = 4;
/** What Linux makes a file name of, in /dev/virtio-ports. */
const PORT_NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** A port of the virtio console. */
export interface PortConfig {
  /** By which the guest finds it. */
  readonly name: string;
  /** The unix socket at which the host's end listens; absent: nobody is there. */
  readonly socket?: FileReference;
}
/** The virtio socket device. */
export interface VsockConfig {
  /** The guest's context identifier. */
  readonly cid: number;
  /** The unix socket of the host's end; absent: nobody is there. */
  readonly socket?: FileReference;
}
const LEAST_CID = 3;
const MOST_CID = 0xffff_fffe;
export interface VirtioConfig {
  readonly rng: boolean;
  readonly balloon: boolean;
  /** A tablet and a keyboard. */
  readonly input: boolean;
  /** A GPU beside the VGA. */
  readonly gpu: boolean;
  /** Absent: there is none. */
  readonly vsock?: VsockConfig;
  /** By number, without gaps. */
  readonly ports: readonly PortConfig[];
}

/** With `tomei.paravirt = "off"` the guest has none of them, and each key that asks for one is warned of. */
export function readVirtio(values: Values, problems: Problems, paravirt: ParavirtMode): VirtioConfig {
  const none = { rng: false, balloon: false, input: false, gpu: false, ports: [] };
  const has = (device: string): boolean => values.boolean(`tomei.${device}.present`) ?? false;
  const devices = { rng: has('rng'), balloon: has('balloon'), input: has('input'), gpu: has('gpu') };
  const vsock = readVsock(values, problems);
  const config = { ...devices, ports: readPorts(values, problems), ...(vsock === undefined ? {} : { vsock }) };
  if (paravirt !== 'off') return config;
  for (const key of [
    ...[...Object.keys(devices), 'vsock'].map((device) => `tomei.${device}.present`),
    ...portKeys('name'),
  ]) {
    const entry = values.find(key);
    const what = `${key} does nothing with tomei.paravirt = "off": the guest finds no paravirtual device`;
    if (entry !== undefined) problems.warn('vmx.unused', entry, what);
  }
  return none;
}
function readVsock(values: Values, problems: Problems): VsockConfig | undefined {
  const present = values.boolean('tomei.vsock.present') ?? false;
  const entry = values.find('tomei.vsock.cid');
  const cid = values.whole('tomei.vsock.cid') ?? LEAST_CID;
  const socket = values.file('tomei.vsock.fileName');
  if (entry !== undefined && (cid < LEAST_CID || cid > MOST_CID)) {
    const what = `${entry.key} = "${entry.value.slice(0, 40)}": a guest has ${LEAST_CID} to ${MOST_CID}`;
    problems.error('vmx.value', entry, what);
    return undefined;
  }
  if (!present) return undefined;
  return socket === undefined ? { cid } : { cid, socket };
}

const portKeys = (what: string): string[] =>
  Array.from({ length: CONSOLE_PORT_COUNT }, (_, i) => `tomei.port${i}.${what}`);

function readPorts(values: Values, problems: Problems): PortConfig[] {
  const ports: PortConfig[] = [];
  for (let i = 0; i < CONSOLE_PORT_COUNT; i++) {
    const entry = values.find(`tomei.port${i}.name`);
    const name = values.text(`tomei.port${i}.name`);
    if (entry === undefined || name === undefined) continue;
    if (!PORT_NAME.test(name)) {
      const what = `${entry.key} = "${name.slice(0, 40)}": a name has 1 to 64 letters, digits, dots, hyphens and underscores`;
      problems.error('vmx.value', entry, what);
    } else if (ports.some((port) => port.name === name)) {
      problems.error('vmx.value', entry, `${entry.key} = "${name}": another port has this name`);
    } else {
      const socket = values.file(`tomei.port${i}.fileName`);
      ports.push(socket === undefined ? { name } : { name, socket });
    }
  }
  return ports;
}
