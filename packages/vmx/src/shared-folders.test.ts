import { describe, expect, it } from 'vitest';
import { parseVmx } from './dictionary.ts';
import { collectGuestConfig } from './guest-config.ts';
import { Problems } from './problem.ts';
import { refuseSharedFolders } from './shared-folders.ts';

function read(...lines: string[]) {
  const problems = new Problems('guest.vmx');
  const vmx = parseVmx(Buffer.from(lines.map((line) => `${line}\n`).join('')), 'guest.vmx');
  const { shares } = collectGuestConfig(vmx, '/guests', problems);
  const errors = problems.list.filter((p) => p.severity === 'error').map((p) => p.message);
  return { shares, errors, warnings: problems.warnings.map((p) => p.message) };
}
/** A folder as VMware writes it; `undefined` leaves a key out. */
function folder(index: number, keys: Readonly<Record<string, string | undefined>> = {}): string[] {
  const all = {
    ...{ present: 'TRUE', enabled: 'TRUE', readAccess: 'TRUE', writeAccess: 'TRUE' },
    ...{ hostPath: 'work', guestName: `share${index}`, expiration: 'never', ...keys },
  };
  return Object.entries(all).flatMap(([key, value]) =>
    value === undefined ? [] : [`sharedFolder${index}.${key} = "${value}"`],
  );
}

describe('shared folders', () => {
  it('are those that are present and enabled, relative to the .vmx', () => {
    const { shares, errors, warnings } = read(
      ...folder(0),
      ...folder(2, { hostPath: '/srv/music', guestName: 'My Music', writeAccess: 'FALSE' }),
      ...folder(3, { enabled: 'FALSE' }),
      ...folder(4, { present: 'FALSE', hostPath: undefined }),
      'sharedFolder.maxNum = "5"',
      'isolation.tools.hgfs.disable = "FALSE"',
    );

    expect(shares).toEqual([
      { tag: 'share0', readOnly: false, folder: expect.objectContaining({ path: '/guests/work', line: 5 }) as object },
      { tag: 'My Music', readOnly: true, folder: expect.objectContaining({ path: '/srv/music' }) as object },
    ]);
    expect([errors, warnings]).toEqual([[], []]);
    expect(read().shares).toBeUndefined();
  });
  it('are for reading unless they say otherwise', () => {
    expect(read(...folder(0, { writeAccess: undefined })).shares).toMatchObject([{ readOnly: true }]);
  });

  it.each<[string, string[], RegExp]>([
    ['full virtualization', [...folder(0), 'tomei.paravirt = "off"'], /sharedFolder0\.present does nothing with tomei\.paravirt = "off"/],
    ['sharing switched off', [...folder(0), 'isolation.tools.hgfs.disable = "TRUE"'], /isolation\.tools\.hgfs\.disable is TRUE/],
    ['a number beyond maxNum', [...folder(1), 'sharedFolder.maxNum = "1"'], /sharedFolder\.maxNum is 1: the guest does not find sharedFolder1/],
    ['a ninth place', folder(8), /8 shared folders at most/],
    ['no word of being enabled', folder(0, { enabled: undefined }), /sharedFolder0\.enabled is not TRUE/],
    ['no right to read', folder(0, { readAccess: undefined }), /sharedFolder0\.readAccess is not TRUE/],
  ])('are none with %s, and that is warned of', (_what, lines, warning) => {
    const { shares, errors, warnings } = read(...lines);

    expect([shares, errors]).toEqual([undefined, []]);
    expect(warnings).toEqual([expect.stringMatching(warning)]);
  }); // prettier-ignore

  it.each<[string, string[], RegExp]>([
    ['no path', folder(0, { hostPath: undefined }), /guest\.vmx:1: .*sharedFolder0\.hostPath is not set/],
    ['no name', folder(0, { guestName: '' }), /sharedFolder0\.guestName is not set/],
    ['a name that is too long', folder(0, { guestName: 'ü'.repeat(128) }), /1 to 255 bytes/],
    ['a name with a control character', folder(0, { guestName: 'a|0Ab' }), /no control characters/],
    ['one name twice', [...folder(0), ...folder(1, { guestName: 'share0' })], /sharedFolder1\.guestName = "share0": another/],
    ['an end', folder(0, { expiration: 'session' }), /guest\.vmx:7: sharedFolder0\.expiration = "session"/],
    ['a present that is no word', folder(0, { present: 'maybe' }), /sharedFolder0\.present = "maybe" is neither/],
  ])('are refused with %s', (_what, lines, error) => {
    expect(read(...lines).errors).toEqual([expect.stringMatching(error)]);
  }); // prettier-ignore

  it('are none of a cluster', () => {
    const problems = new Problems('a/b.vmx');
    const config = collectGuestConfig(parseVmx(Buffer.from(folder(0).join('\n')), 'a/b.vmx'), '/a', problems);
    expect(() => refuseSharedFolders(config, 'a/b.vmx')).toThrow(
      /^a\/b\.vmx:5: sharedFolder0\.hostPath: .*no folder of a host/,
    );
    const { shares: _, ...without } = config;
    expect(() => refuseSharedFolders(without, 'a/b.vmx')).not.toThrow();
  });
  it('follow no links of the host, and say so', () => {
    const { shares, warnings } = read(...folder(0, { followSymlinks: 'TRUE' }));
    expect(shares).toHaveLength(1);
    expect(warnings).toEqual([expect.stringMatching(/sharedFolder0\.followSymlinks: .* never on the host/)]);
  });
});
