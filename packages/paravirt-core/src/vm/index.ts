/** The machine, for whoever runs one. */
export { VMI_MODES, type VmiMode } from '../vmi/mode.ts';
export { HostClock, InstructionClock, type MachineClock } from './clocks.ts';
export { InstructionTrace, type TraceOptions, type TraceStart } from './instruction-trace.ts';
export { MachineDebugger, type DebugRegister } from './machine-debugger.ts';
export type { DebuggerStop, Watch } from '../core/debug-registers.ts';
export { METERED_WORK, WorkMeter, type MeteredWork } from './work-meter.ts';
export type { TranslationCounts } from '../core/mmu.ts';
export { MachineProbe, type GuestPlace } from './machine-probe.ts';
export { Machine, type SliceEnd } from './machine.ts';
export { machinePlan, type FirmwareImages, type MachineConfig, type ToolsConfig } from './machine-config.ts';
export type { PointerEvent } from '../paravirt/absolute-pointer.ts';
export { LONGEST_SELECTION } from '../paravirt/backdoor-clipboard.ts';
export type { ParavirtMode } from '../paravirt/mode.ts';
export type { MachineBackends, NetworkCard } from './populate-board.ts';
export type { VirtioBackends } from './plug-virtio.ts';
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
export {
  refuseOtherMachine,
  refuseOtherShares,
  type SavedShare,
  type SnapshotConfig,
  type SnapshotState,
} from './snapshot-state.ts';
export type { MemoryArea } from './snapshot-pages.ts';
export { allocateMemory, planMemory, type MemoryPlan } from '../core/plan.ts';
export {
  SECTOR_BYTES,
  type BlockBackend,
  type BlockRequest,
  type BlockRequestKind,
} from '../devices/virtio/block-backend.ts';
export type { ShareBackend } from '../devices/virtio/9p-backend.ts';
export type { Balloon } from '../devices/virtio/balloon.ts';
export type { ConsolePort } from '../devices/virtio/console-backend.ts';
export type { RandomSource } from '../devices/virtio/random-source.ts';
export type { VsockBackend } from '../devices/virtio/vsock-backend.ts';
export {
  HOST_CID,
  LEAST_GUEST_CID,
  MOST_GUEST_CID,
  SHUTDOWN_RECEIVE,
  SHUTDOWN_SEND,
  VSOCK_HEADER_BYTES,
  VSOCK_OP,
  VSOCK_TYPE_STREAM,
  cutVsockPacket,
  decodeVsockHeader,
  encodeVsockPacket,
  type VsockHeader,
} from '../devices/virtio/vsock-packet.ts';
export { FLOPPY_SIZES } from '../devices/floppy/media.ts';
export type { IdeDrive } from '../devices/ide/drives.ts';
export { makeCable, type Cable, type CableOptions } from '../devices/cable.ts';
export type { NicBackend } from '../devices/nic-backend.ts';
export {
  HEAD_BYTES,
  LEAST_FRAME,
  MOST_UNCUT,
  decodeFrame,
  encodeFrame,
  encodeHead,
  isEncodedLength,
  wireFrames,
  type Offload,
} from '../devices/offload.ts';
export type { BootDevice } from '../devices/rtc-setup.ts';
export type { SerialBackend } from '../devices/uart16550.ts';
export type { DisplayState, DisplayView } from '../display/display-state.ts';
export { blinkAt, renderFrame } from '../display/render.ts';
export { CODE_PAGE_437 } from '../display/code-page-437.ts';
export { textOf } from '../display/text-screen.ts';
export { decodePng, encodePng } from '../display/png.ts';
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
