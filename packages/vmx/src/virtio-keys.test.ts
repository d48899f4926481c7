import { describe, expect, it } from 'vitest';
import { parseVmx } from './dictionary.ts';
import { collectGuestConfig } from './guest-config.ts';
import { Problems } from './problem.ts';

function read(text: string) {
  const problems = new Problems('guest.vmx');
  const vmx = parseVmx(Buffer.from(text), 'guest.vmx');
  const config = collectGuestConfig(vmx, '/guests', problems);
  return {
    config,
    errors: problems.list.filter((p) => p.severity === 'error').map((p) => p.message),
    warnings: problems.warnings.map((p) => p.message),
  };
}

describe('paravirtual devices', () => {
  it('are those that are asked for', () => {
    const { config, errors } = read(
      'tomei.rng.present = "TRUE"\ntomei.port1.name = "org.example.agent"\ntomei.port1.fileName = "agent.sock"\ntomei.port3.name = "b"\n',
    );

    expect(errors).toEqual([]);
    expect(config.virtio).toMatchObject({
      rng: true,
      ports: [{ name: 'org.example.agent', socket: { path: '/guests/agent.sock' } }, { name: 'b' }],
    });
    const sockets = read('tomei.vsock.present = "TRUE"\ntomei.vsock.cid = "7"\ntomei.vsock.fileName = "v.sock"\n');
    expect(sockets.config.virtio.vsock).toMatchObject({ cid: 7, socket: { path: '/guests/v.sock' } });
    expect(read('tomei.vsock.present = "TRUE"\n').config.virtio.vsock).toEqual({ cid: 3 });
    expect(read('').config.virtio).toEqual({ rng: false, balloon: false, input: false, gpu: false, ports: [] });
  });

  it('are none in full mode, with a warning', () => {
    const { config, warnings } = read(
      'tomei.paravirt = "off"\ntomei.rng.present = "TRUE"\ntomei.port0.name = "a"\ntomei.vsock.present = "TRUE"\n',
    );

    expect(config.virtio).toEqual({ rng: false, balloon: false, input: false, gpu: false, ports: [] });
    expect(warnings).toEqual([
      expect.stringContaining('tomei.rng.present does nothing with tomei.paravirt = "off"'),
      expect.stringContaining('tomei.vsock.present does nothing'),
      expect.stringContaining('tomei.port0.name does nothing'),
    ]);
  });

  it.each([
    ['tomei.port0.name = "a/b"', 'a name has 1 to 64 letters'],
    ['tomei.port0.name = "a"\ntomei.port1.name = "a"', 'another port has this name'],
    ['tomei.vsock.cid = "2"', 'a guest has 3 to 4294967294'],
    ['tomei.vsock.cid = "4294967295"', 'a guest has 3 to 4294967294'],
    ['tomei.port4.name = "a"', 'is not a key of Tomei'],
  ])('refuses %s', (text, message) => {
    expect(read(`${text}\n`).errors).toEqual([expect.stringContaining(message)]);
  });
});

describe('network cards', () => {
  it('can be virtio ones, which full mode does not have', () => {
    const text = 'ethernet0.present = "TRUE"\nethernet0.virtualDev = "virtio"\n';

    expect(read(text).config.networks?.map((n) => n.device)).toEqual(['virtio']);
    const off = read(`${text}tomei.paravirt = "off"\n`);
    expect(off.config.networks?.map((n) => n.device)).toEqual(['e1000']);
    expect(off.warnings).toEqual([expect.stringContaining('tomei.paravirt = "off": the guest gets an e1000 instead')]);
  });
});
