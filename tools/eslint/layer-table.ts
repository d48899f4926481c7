/** Who may import whom. The arrows of docs/architecture.md, as data; `layers.ts` enforces them. */

/** Any workspace package. */
export const EVERY_PACKAGE = '*';

/** By folder of a workspace: the packages (`@tomei/<name>`) that its shipped files may import. */
export const WORKSPACE_LAYERS: Readonly<Record<string, readonly string[]>> = {
  'packages/built': [],
  'packages/kit': [],
  'packages/vmx': ['kit'],
  'packages/vmdk': ['kit'],
  'packages/rfb': ['kit'],
  'packages/paravirt-core': ['built', 'kit'],
  'packages/guest': ['built', 'kit', 'vmx', 'vmdk', 'paravirt-core', 'contracts', 'service'],
  'packages/testkit': ['kit'],
  'packages/contracts': ['kit'],
  'packages/service': ['kit', 'contracts'],
  'packages/web': ['kit'],
  'packages/cli': [EVERY_PACKAGE, 'lab'],
  // Services know packages, never each other: between them there are only the contracts.
  'services/controller': [EVERY_PACKAGE],
  'services/vcpu-runner': [EVERY_PACKAGE],
  'services/disk-service': [EVERY_PACKAGE],
  'services/console-gateway': [EVERY_PACKAGE],
  // All four in one process: the only place that knows more than one of them.
  'services/lab': [EVERY_PACKAGE, 'controller', 'vcpu-runner', 'disk-service', 'console-gateway'],
  tests: [EVERY_PACKAGE, 'lab', 'vcpu-runner'],
};

/** What a test may import besides what its workspace may. */
export const TEST_PACKAGES: readonly string[] = ['testkit', 'kit'];

/** Folders of packages/paravirt-core/src: what each may import. Files directly in src/ may import all. */
export const CORE_LAYERS: Readonly<Record<string, readonly string[]>> = {
  // The processor.
  wasm: [],
  numerics: [],
  isa: [],
  core: ['isa', 'wasm', 'numerics'],
  jit: ['isa', 'core', 'wasm', 'numerics'],
  // The board.
  machine: [],
  display: [],
  devices: ['machine', 'display'],
  paravirt: ['machine'],
  firmware: ['machine'],
  // Assembles its ROM with the processor's table.
  vmi: ['isa', 'machine'],
  // The only place that knows both.
  vm: ['wasm', 'numerics', 'isa', 'core', 'jit', 'machine', 'display', 'devices', 'paravirt', 'firmware', 'vmi'],
};
