/** What tests share. Nothing that ships imports it. */
export { Qemu, qemuArguments, qemuMissing, type QemuOptions } from './qemu.ts';
