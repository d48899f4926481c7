/** Serial ports of a `.vmx`: `serial0.*` to `serial3.*`. */
import type { FileReference } from './guest-config.ts';
import type { Problems } from './problem.ts';
import type { Values } from './values.ts';

/** VMware's kinds of far end, and `console`: this program's terminal, for ports that name no other. */
export const SERIAL_TYPES = ['console', 'pipe', 'file', 'device', 'thinprint', 'network'] as const;
export type SerialType = (typeof SERIAL_TYPES)[number];

export interface SerialConfig {
  /** 0..3: COM1..COM4. */
  readonly index: number;
  readonly type: SerialType;
  /** The pipe, file, device or URI as written; absent for `console` and `thinprint`. */
  readonly fileName?: string;
  /** The same as an absolute path; absent for `network`, whose name is a URI. */
  readonly file?: FileReference;
  /** `pipe.endPoint` / `network.endPoint`: which side waits for the other. */
  readonly endPoint: 'server' | 'client';
  /** `startConnected`; true when absent. */
  readonly connected: boolean;
  readonly line: number;
}

export const SERIAL_PORTS = 4;

export function readSerialPorts(values: Values, problems: Problems): SerialConfig[] {
  const ports: SerialConfig[] = [];
  for (let index = 0; index < SERIAL_PORTS; index++) {
    const name = `serial${index}`;
    const present = values.find(`${name}.present`);
    if (present === undefined || values.boolean(`${name}.present`) !== true) continue;
    const type = values.word(`${name}.fileType`, SERIAL_TYPES) ?? 'console';
    const named = type === 'pipe' || type === 'file' || type === 'device' || type === 'network';
    const fileName = values.text(`${name}.fileName`);
    if (named && fileName === undefined) {
      const what = `${name}.fileType is "${type}", but ${name}.fileName is not set`;
      problems.error('vmx.missing-key', present, what);
      continue;
    }
    const file = named && type !== 'network' ? values.file(`${name}.fileName`) : undefined;
    const endPointKey = type === 'network' ? `${name}.network.endPoint` : `${name}.pipe.endPoint`;
    ports.push({
      index,
      type,
      ...(named && fileName !== undefined ? { fileName } : {}),
      ...(file === undefined ? {} : { file }),
      endPoint: values.word(endPointKey, ['server', 'client']) ?? 'server',
      connected: values.boolean(`${name}.startConnected`) ?? true,
      line: present.line,
    });
  }
  return ports;
}
