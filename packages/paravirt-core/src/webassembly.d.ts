/**
 * The part of the WebAssembly JavaScript interface that Tomei uses. TypeScript has it in its DOM library only, and a
 * server has no DOM.
 */
declare namespace WebAssembly {
  type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | 'anyfunc' | 'externref';
  type ImportExportKind = 'function' | 'global' | 'memory' | 'table' | 'tag';
  type Imports = Record<string, Record<string, unknown>>;
  type Exports = Record<string, unknown>;

  class CompileError extends Error {}
  class LinkError extends Error {}
  class RuntimeError extends Error {}

  class Module {
    private readonly brand: 'module';
    constructor(bytes: ArrayBuffer | ArrayBufferView);
    static customSections(module: Module, name: string): ArrayBuffer[];
    static exports(module: Module): { readonly name: string; readonly kind: ImportExportKind }[];
    static imports(
      module: Module,
    ): { readonly module: string; readonly name: string; readonly kind: ImportExportKind }[];
  }

  class Instance {
    readonly exports: Exports;
    constructor(module: Module, imports?: Imports);
  }

  class Memory {
    /** A SharedArrayBuffer when the memory is shared. */
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
    /** Sizes in pages of 64 KiB. */
    constructor(descriptor: {
      readonly initial: number;
      readonly maximum?: number | undefined;
      readonly shared?: boolean | undefined;
    });
    grow(pages: number): number;
  }

  class Table {
    readonly length: number;
    constructor(descriptor: {
      readonly element: 'anyfunc' | 'externref';
      readonly initial: number;
      readonly maximum?: number | undefined;
    });
    get(index: number): unknown;
    set(index: number, value?: unknown): void;
    grow(by: number, value?: unknown): number;
  }

  class Global<T extends 'i32' | 'i64' | 'f32' | 'f64' = 'i32'> {
    value: T extends 'i64' ? bigint : number;
    constructor(
      descriptor: { readonly value: T; readonly mutable?: boolean | undefined },
      value?: T extends 'i64' ? bigint : number,
    );
  }

  function validate(bytes: ArrayBuffer | ArrayBufferView): boolean;
  function compile(bytes: ArrayBuffer | ArrayBufferView): Promise<Module>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
}
