/** A service as small as one can be, and one that can go wrong in every way: `run.test.ts` runs it as a process. */
import { TomeiError } from '@tomei/kit';
import { EventPublisher, defineConfig, field, runService, settings } from './index.ts';

const TROUBLES = ['none', 'start', 'bug-in-start', 'uncaught', 'rejection', 'slow-close', 'close'] as const;

const config = defineConfig({
  greeting: field('TOMEI_GREETING', settings.text(), { doc: 'What it says when it starts.' }),
  token: field('TOMEI_TOKEN', settings.whole({ max: 9 }), { doc: 'A secret digit.', default: undefined, secret: true }),
  trouble: field('TOMEI_TROUBLE', settings.oneOf(TROUBLES), { doc: 'How it goes wrong.', default: 'none' }),
});

await runService({
  name: 'example',
  config,
  uses: { bus: true, store: true },
  start: async ({ log, metrics, bus, store }, { greeting, token, trouble }) => {
    if (trouble === 'start') throw new TomeiError('example.broken', 'the example is broken: mend it');
    if (trouble === 'bug-in-start') throw new TypeError('a bug');
    metrics.counter({ name: 'tomei_example_starts_total', help: 'How often it has started.' }).inc();
    await store.put('example/greeting', greeting);
    const events = new EventPublisher({ bus, source: 'example', log });
    log.info({ greeting, token }, 'hello');
    if (trouble === 'uncaught') {
      setImmediate(() => {
        throw new Error('nobody catches this');
      });
    }
    if (trouble === 'rejection') void Promise.reject(new Error('nobody catches this'));
    let isClosed = false;
    return {
      readiness: () => undefined,
      close: async () => {
        if (isClosed) return;
        isClosed = true;
        events.emit({ noun: 'runner', subjectId: 'example', verb: 'left' });
        await events.close();
        log.info({}, 'closed');
        if (trouble === 'close') throw new Error('it cannot close');
        if (trouble === 'slow-close') await new Promise(() => undefined);
      },
    };
  },
});
