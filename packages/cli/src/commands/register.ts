/** `tomei register` and `tomei delete`: which guests a cluster or lab knows. */
import type { Command } from 'commander';
import { TomeiError } from '@tomei/kit';
import type { ClusterApi } from '../cluster/api.ts';
import { addServerOptions, clientOf, print, printJson, type ServerFlags } from '../cluster/command.ts';
import type { GuestView } from '../cluster/views.ts';

export function addRegisterCommands(program: Command): void {
  addServerOptions(program.command('register').description('make a guest of the pool known to a cluster or lab'))
    .argument('<guest.vmx>', 'its place in the pool of the server, such as tiny/tiny.vmx')
    .option('--name <name>', 'its name; without it displayName of the .vmx')
    .addHelpText(
      'after',
      `
The pool is the folder that disk-service serves; of a lab, the folder given by --pool. A file elsewhere on this machine is
not part of it: copy the guest's folder there first. A lab registers what its pool has when it starts.

Examples:
  tomei register tiny/tiny.vmx
  tomei register tiny/tiny.vmx --name second`,
    )
    .action(async (vmx: string, flags: ServerFlags & { readonly name?: string }) => {
      const { api, json } = await clientOf(flags);
      const guest = await register(api, vmx, flags.name);
      if (json) printJson(guest);
      else print(`${guest.name} is registered; power it on with: tomei power on ${quoted(guest.name)}`);
    });

  addServerOptions(program.command('delete').description('forget a guest, after powering it off; its files stay'))
    .argument('<guest>', 'its name or id')
    .addHelpText('after', '\nExample:\n  tomei delete tiny')
    .action(async (name: string, flags: ServerFlags) => {
      const { api, json } = await clientOf(flags);
      const guest = await api.remove(name);
      if (json) printJson(guest);
      else print(`${guest.name} is being deleted; its files in the pool stay`);
    });
}

/** Whoever gives a path of this machine is told which files of the pool have that name. */
async function register(api: ClusterApi, vmx: string, name: string | undefined): Promise<GuestView> {
  try {
    return await api.register(vmx, name);
  } catch (error) {
    const near = error instanceof TomeiError && !error.code.startsWith('server.') ? await sameNames(api, vmx) : [];
    if (near.length === 0 || near.includes(vmx)) throw error;
    throw new TomeiError(
      (error as TomeiError).code,
      `${(error as TomeiError).message}; the pool has ${near.join(', ')}`,
      {
        cause: error,
      },
    );
  }
}
async function sameNames(api: ClusterApi, vmx: string): Promise<string[]> {
  const base = vmx.slice(vmx.lastIndexOf('/') + 1);
  const files = await api.files().catch(() => []);
  return files.map(({ path }) => path).filter((path) => path === base || path.endsWith(`/${base}`));
}
/** As a shell wants it. */
const quoted = (name: string): string => (/^[\w.+-]+$/.test(name) ? name : `'${name}'`);
