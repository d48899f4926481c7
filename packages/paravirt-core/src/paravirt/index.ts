/** The devices by which a guest finds its hypervisor: one line each, as in `devices/index.ts`. */
import { kvm } from './kvm.ts';
import { vmwareBackdoor } from './vmware-backdoor.ts';

export const paravirtDevices = [
  ['kvm', kvm],
  ['vmware-backdoor', vmwareBackdoor],
] as const;
