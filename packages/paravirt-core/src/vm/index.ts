/** The machine, for whoever runs one. */
export { HostClock, InstructionClock, type MachineClock } from './clocks.ts';
export { Machine, type MachineBackends, type MachineConfig, type SliceEnd } from './machine.ts';
export { SAVED_MACHINE_VERSION, type SavedMachine } from './saved-machine.ts';
export {
  SNAPSHOT_FORMAT_VERSION,
  readSnapshotMemory,
  readSnapshotState,
  writeSnapshot,
  type SnapshotSink,
  type SnapshotSource,
  type SnapshotTools,
} from './snapshot.ts';
export { refuseOtherMachine, type SnapshotConfig, type SnapshotState } from './snapshot-state.ts';
export type { MemoryArea } from './snapshot-pages.ts';
export { allocateMemory, planMemory, type MemoryPlan } from '../core/plan.ts';
export {
  SECTOR_BYTES,
  type BlockBackend,
  type BlockRequest,
  type BlockRequestKind,
} from '../devices/virtio/block-backend.ts';
export type { SerialBackend } from '../devices/uart16550.ts';
export type { DisplayState, DisplayView } from '../display/display-state.ts';
export { blinkAt, renderFrame } from '../display/render.ts';
export { textOf } from '../display/text-screen.ts';
export { encodePng } from '../display/png.ts';
export { FONT_8X16, FONT_HEIGHT } from '../display/font-8x16.ts';
export type { Frame } from '../display/frame.ts';
export {
  copyWithin,
  cutOut,
  findDamage,
  type CopiedRectangle,
  type Damage,
  type Rectangle,
} from '../display/damage.ts';
