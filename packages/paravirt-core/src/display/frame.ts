/** Pictures of the screen: what a renderer gives, and what it works on. */

/** A finished picture. */
export interface Frame {
  /** Dots. */
  readonly width: number;
  readonly height: number;
  /** Rows from the top, four bytes a dot: red, green, blue, 255. */
  readonly rgba: Uint8Array;
}

/** What is lit in this frame of the parts that blink. */
export interface BlinkPhase {
  readonly cursor: boolean;
  readonly text: boolean;
}

/** Dots being written: one 32-bit word each, rows from the top. */
export interface Canvas {
  readonly width: number;
  readonly height: number;
  readonly dots: Uint32Array;
}
