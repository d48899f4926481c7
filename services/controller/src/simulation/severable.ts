/** For tests: a bus and a store that can be taken away from one service, as if its process had died in the middle of what it did. */
import type { Bus, Store } from '@tomei/service';

export interface Severable {
  readonly bus: Bus;
  readonly store: Store;
  /** From now on nothing that it asks for is done, and nothing reaches it. */
  sever(): void;
}

const forever = new Promise<never>(() => undefined);

export function severable(bus: Bus, store: Store): Severable {
  let severed = false;
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, key) {
        const value: unknown = Reflect.get(object, key);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          if (severed) return key === 'publish' ? undefined : forever;
          const guarded = args.map((arg) =>
            typeof arg !== 'function'
              ? arg
              : (...given: unknown[]): unknown =>
                  severed ? undefined : (arg as (...a: unknown[]) => unknown)(...given),
          );
          const result: unknown = (value as (...a: unknown[]) => unknown).apply(object, guarded);
          // The answer comes too late.
          return result instanceof Promise ? result.then((answer: unknown) => (severed ? forever : answer)) : result;
        };
      },
    });
  return { bus: wrap(bus), store: wrap(store), sever: () => (severed = true) };
}
