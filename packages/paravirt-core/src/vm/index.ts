/** The machine, for whoever runs one. */
export { HostClock, InstructionClock, type MachineClock } from './clocks.ts';
export { Machine, type MachineBackends, type MachineConfig, type SavedMachine, type SliceEnd } from './machine.ts';
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
