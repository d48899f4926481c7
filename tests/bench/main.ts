/** `pnpm bench WHAT`: each benchmark is a module of its own that is loaded when it is asked for. */
const BENCHMARKS: Readonly<
  Record<string, { readonly about: string; readonly run: (args: readonly string[]) => Promise<number> }>
> = {
  engine: {
    about: 'loops on a bare processor',
    run: async (args) => (await import('./engine.ts')).benchEngine(args),
  },
  vmi: {
    about: 'each VMI call, natively and through its ROM',
    run: async (args) => (await import('./vmi.ts')).benchVmi(args),
  },
  peers: {
    about: 'a boot and 22 workloads beside QEMU TCG and v86',
    run: async (args) => (await import('./peers/main.ts')).benchPeers(args),
  },
  paravirt: {
    about: 'one image fully virtualized and paravirtualized: time, overhead, exits',
    run: async (args) => (await import('./paravirt/main.ts')).benchParavirt(args),
  },
  cluster: {
    about: 'disks through gRPC beside the local file, screens for 1, 10 and 50 viewers',
    run: async (args) => (await import('./cluster/main.ts')).benchCluster(args),
  },
};

const USAGE = `pnpm bench WHAT [options]; --help behind WHAT says more

${Object.entries(BENCHMARKS)
  .map(([name, { about }]) => `  ${name.padEnd(10)}${about}`)
  .join('\n')}`;

const [what = '', ...args] = process.argv.slice(2);
const chosen = Object.hasOwn(BENCHMARKS, what) ? BENCHMARKS[what] : undefined;
if (chosen === undefined) {
  const asked = what === '--help' || what === '-h';
  (asked ? console.log : console.error)(USAGE);
  process.exitCode = asked ? 0 : 2;
} else {
  try {
    process.exitCode = await chosen.run(args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 2;
  }
}
