/**
 * The wire from the interrupt controllers to the processor: with a local APIC the 8259 pair's INTR arrives at its pin LINT0
 * and reaches the processor where the APIC lets it through (Intel SDM vol. 3, 11.5.1 and 11.1); without one it arrives directly.
 */
import type { Parts } from './device.ts';

interface Controller {
  readonly name: string;
  readonly parts: Parts;
  requests: boolean;
}

/** What the processor reads when it acknowledges and no controller is there: the open bus. */
const OPEN_BUS_VECTOR = 0xff;

export class InterruptPin {
  level = false;
  private external: Controller | undefined;
  private local: Controller | undefined;
  private readonly changed: ((level: boolean) => void) | undefined;

  constructor(changed?: (level: boolean) => void) {
    this.changed = changed;
  }

  /** Wires a device that has an acknowledge cycle; others are passed over. */
  connect(name: string, parts: Parts): void {
    if (parts.acknowledge === undefined) return;
    const controller = { name, parts, requests: false };
    if (parts.localPin === undefined) this.external = controller;
    else this.local = controller;
    this.update();
  }

  /** A controller drives its request output; also called when a local APIC starts or stops passing on the other's. */
  request(name: string, level: boolean): void {
    if (name === this.external?.name && this.external.requests !== level) {
      this.external.requests = level;
      this.local?.parts.localPin?.(0, level);
    }
    if (name === this.local?.name) this.local.requests = level;
    this.update();
  }

  /** The local APIC's own interrupts come first. */
  acknowledge(): number {
    const { local, external } = this;
    if (local?.requests === true || external === undefined) return local?.parts.acknowledge?.() ?? OPEN_BUS_VECTOR;
    return external.parts.acknowledge?.() ?? OPEN_BUS_VECTOR;
  }

  private update(): void {
    const { local, external } = this;
    const passed = external?.requests === true && (local?.parts.passesExternal?.() ?? true);
    const level = passed || local?.requests === true;
    if (level === this.level) return;
    this.level = level;
    this.changed?.(level);
  }
}
