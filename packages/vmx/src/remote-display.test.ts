import { describe, expect, it } from 'vitest';
import { TomeiError } from '@tomei/kit';
import { parseVmx } from './dictionary.ts';
import { readGuestConfig } from './guest-config.ts';

const read = (...lines: string[]) =>
  readGuestConfig(parseVmx(new TextEncoder().encode(lines.join('\n')), '/guests/g/tiny.vmx'), '/guests/g');
const failure = (...lines: string[]): string => {
  try {
    read(...lines);
  } catch (error) {
    if (error instanceof TomeiError) return `${error.code}: ${error.message} ${JSON.stringify(error.data)}`;
    throw error;
  }
  return 'nothing thrown';
};
const ON = 'RemoteDisplay.vnc.enabled = "TRUE"';

describe('RemoteDisplay.vnc', () => {
  it.each([
    ['no keys', []],
    ['enabled = FALSE', ['RemoteDisplay.vnc.enabled = "FALSE"', 'RemoteDisplay.vnc.port = "5901"']],
    ['a port alone', ['RemoteDisplay.vnc.port = "5901"']],
  ])('is off with %s', (_, lines) => {
    expect(read(...lines).config).not.toHaveProperty('vnc');
  });

  it('is on without a password on VMware’s port when nothing else is said', () => {
    expect(read(ON).config.vnc).toEqual({ port: 5900, password: '' });
  });

  it('takes port and password, whatever the case of the keys', () => {
    const { config, warnings } = read(
      'remotedisplay.VNC.Enabled = "yes"',
      'remotedisplay.vnc.port = "5907"',
      'remotedisplay.vnc.password = "s3 cret|22"',
    );
    expect(config.vnc).toEqual({ port: 5907, password: 's3 cret"' });
    expect(warnings).toEqual([]);
  });

  it('lets the keys of the family through that have no effect here', () => {
    const { config, warnings } = read(
      ...[
        ON,
        'RemoteDisplay.vnc.keyMap = "de"',
        'RemoteDisplay.vnc.ip = "127.0.0.1"',
        'RemoteDisplay.maxConnections = "-1"',
      ],
      'RemoteDisplay.vnc.webSocket.port = "6000"',
    );
    expect(config.vnc).toEqual({ port: 5900, password: '' });
    expect(warnings).toEqual([]);
  });

  it.each([
    ['0', 'RemoteDisplay.vnc.port = "0": a TCP port is 1 to 65535'],
    ['65536', 'RemoteDisplay.vnc.port = "65536": a TCP port is 1 to 65535'],
    ['vnc', 'RemoteDisplay.vnc.port = "vnc" is not a whole number'],
  ])('refuses port %s, naming the line', (port, what) => {
    expect(failure(ON, `RemoteDisplay.vnc.port = "${port}"`)).toContain(`vmx.value: /guests/g/tiny.vmx:2: ${what}`);
  });
  it('refuses a switch that is neither on nor off', () => {
    expect(failure('RemoteDisplay.vnc.enabled = "maybe"')).toContain('vmx.value: /guests/g/tiny.vmx:1:');
  });

  it('never prints a password, also when it is wrong', () => {
    const text = failure(ON, 'RemoteDisplay.vnc.password = "pässwort"');
    expect(text).toContain('vmx.value: /guests/g/tiny.vmx:2: RemoteDisplay.vnc.password: use printable ASCII');
    expect(text).not.toContain('wort"');
    const { config, warnings } = read(ON, 'RemoteDisplay.vnc.password = "correct horse"');
    expect(config.vnc?.password).toBe('correct horse');
    expect(warnings).toEqual([
      expect.objectContaining({ code: 'vmx.unused', line: 2, key: 'RemoteDisplay.vnc.password' }),
    ]);
    expect(JSON.stringify(warnings)).not.toContain('horse');
  });

  it('does not open to everybody what VMware would have kept behind an encoded password', () => {
    const key = 'RemoteDisplay.vnc.key = "Gx0LGwAcGBoBHBwd"';
    expect(failure(ON, key)).toContain('vmx.unsupported: /guests/g/tiny.vmx:2: RemoteDisplay.vnc.key');
    expect(failure(ON, key)).not.toContain('Gx0L');
    expect(read(ON, key, 'RemoteDisplay.vnc.password = "secret"').config.vnc?.password).toBe('secret');
    expect(read(key).config).not.toHaveProperty('vnc');
  });
});
