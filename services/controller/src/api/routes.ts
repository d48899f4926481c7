/** The HTTP API. Handlers check, call and show; what is done lies in `Guests` and `Pool`. */
import { fastifySwagger } from '@fastify/swagger';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, FastifyPluginAsync, RawServerDefault } from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { RunPhase } from '@tomei/contracts';
import type { GuestRecords, Log } from '@tomei/service';
import type { GuestMemory } from '../guest-memory.ts';
import type { Guests } from '../guests.ts';
import type { Pool } from '../registration.ts';
import type { Runners } from '../runners.ts';
import { diskView, eventView, fileView, guestView, runnerView, statsView } from '../views.ts';
import { errorHandler } from './errors.ts';
import { guard } from './guard.ts';
import * as schemas from './schemas.ts';
import { admit, watch, type WatchParts } from './watch.ts';

const POOL_MS = 30_000;
const OVER: ReadonlySet<string> = new Set(['RUN_PHASE_ENDED', 'RUN_PHASE_CRASHED'] satisfies RunPhase[]);

export interface ApiParts extends WatchParts {
  readonly guests: Guests;
  readonly memory: GuestMemory;
  readonly records: GuestRecords;
  readonly runners: Runners;
  readonly pool: Pool;
  readonly log: Log;
}

/** All below `/api/v1`. */
export const apiRoutes =
  (parts: ApiParts): FastifyPluginAsync =>
  async (outer) => {
    // A context of its own: its schemas and its errors are nobody else's.
    await outer.register(
      async (plain) => {
        await plain.register(fastifySwagger, {
          openapi: {
            openapi: '3.1.0',
            info: {
              title: 'Tomei',
              version: '1',
              description:
                'Guests of a lab or a cluster. Answers that are no success have a stable code in error.code.',
            },
          },
          transform: jsonSchemaTransform,
          transformObject: jsonSchemaTransformObject,
        });
        const app = plain.withTypeProvider<ZodTypeProvider>();
        app.setValidatorCompiler(validatorCompiler);
        app.setSerializerCompiler(serializerCompiler);
        app.setErrorHandler(errorHandler(parts.log));
        guard(app);
        addGuests(app, parts);
        addMemory(app, parts);
        addPool(app, parts);
        addState(app, parts);
        app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
      },
      { prefix: '/api/v1' },
    );
  };

type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

function addGuests(app: App, { guests, records }: ApiParts): void {
  const guestAnswer = { 200: schemas.guestView, default: schemas.failure };
  app.get(
    '/guests',
    {
      schema: {
        summary: 'All guests',
        tags: ['guests'],
        response: { 200: z.object({ guests: z.array(schemas.guestView) }), default: schemas.failure },
      },
    },
    async () => ({
      guests: (await records.list()).map(guestView).toSorted((a, b) => a.name.localeCompare(b.name)),
    }),
  );
  app.post(
    '/guests',
    {
      schema: {
        summary: 'Register a .vmx of the pool, with its disks',
        tags: ['guests'],
        body: schemas.registerBody,
        response: {
          201: schemas.guestView.extend({ warnings: z.array(z.string()) }),
          default: schemas.failure,
        },
      },
    },
    async ({ body }, reply) => {
      const { guest, warnings } = await guests.register(body);
      return reply.code(201).send({ ...guestView(guest), warnings: [...warnings] });
    },
  );
  app.get(
    '/guests/:idOrName',
    { schema: { summary: 'One guest', tags: ['guests'], params: schemas.guestParams, response: guestAnswer } },
    async ({ params }) => guestView(await guests.find(params.idOrName)),
  );
  app.delete(
    '/guests/:idOrName',
    {
      schema: {
        summary: 'Power it off and forget it; its files stay in the pool',
        tags: ['guests'],
        params: schemas.guestParams,
        response: { 202: schemas.guestView, default: schemas.failure },
      },
    },
    async ({ params }, reply) => reply.code(202).send(guestView(await guests.remove(params.idOrName))),
  );
  app.post(
    '/guests/:idOrName/power',
    {
      schema: {
        summary: 'Power on, off, reset, or shut down',
        description:
          'Answers when it is wanted; `phase` follows. Off is at once; shutdown presses the power button (ACPI), and powers off a guest that has not ended by itself in time.',
        tags: ['guests'],
        params: schemas.guestParams,
        body: schemas.powerBody,
        response: { 202: schemas.guestView, default: schemas.failure },
      },
    },
    async ({ params, body }, reply) =>
      reply.code(202).send(guestView(await guests.power(params.idOrName, body.action, body.graceSeconds))),
  );
}

function addMemory(app: App, { memory }: ApiParts): void {
  const answer = { 200: schemas.memoryView, default: schemas.failure };
  app.get(
    '/guests/:idOrName/memory',
    {
      schema: {
        summary: 'What memory a running guest has, and what it does with it',
        description:
          'Statistics are asked for anew; of a driver that takes longer than a second they are the last ones.',
        tags: ['guests'],
        params: schemas.guestParams,
        response: answer,
      },
    },
    ({ params }) => memory.of(params.idOrName),
  );
  app.put(
    '/guests/:idOrName/memory',
    {
      schema: {
        summary: 'Take memory from a running guest by its balloon, or give it back',
        description:
          'Answers when the driver has been asked; `bytes` follows. A guest that starts anew has all of its memory.',
        tags: ['guests'],
        params: schemas.guestParams,
        body: schemas.memoryBody,
        response: answer,
      },
    },
    ({ params, body }) => memory.of(params.idOrName, body.wantedMiB),
  );
}

function addPool(app: App, { pool }: ApiParts): void {
  app.get(
    '/files',
    {
      schema: {
        summary: 'Files of the pool',
        tags: ['pool'],
        querystring: schemas.filesQuery,
        response: { 200: z.object({ files: z.array(schemas.fileView) }), default: schemas.failure },
      },
    },
    async ({ query }) => {
      const { files } = await pool.calls.list({ folder: query.folder }, { deadlineMs: POOL_MS });
      return { files: files.map(fileView) };
    },
  );
  app.get(
    '/disk',
    {
      schema: {
        summary: 'What a disk of the pool is',
        tags: ['pool'],
        querystring: schemas.diskQuery,
        response: { 200: schemas.diskView, default: schemas.failure },
      },
    },
    async ({ query }) => diskView(await pool.calls.info({ path: query.path }, { deadlineMs: POOL_MS })),
  );
  app.post(
    '/disks',
    {
      schema: {
        summary: 'Make an empty disk',
        tags: ['pool'],
        body: schemas.diskBody,
        response: { 201: schemas.diskView, default: schemas.failure },
      },
    },
    async ({ body }, reply) => {
      const { path, sizeBytes, type = '' } = body;
      const { info } = await pool.calls.create({ path, sizeBytes, createType: type }, { deadlineMs: POOL_MS });
      return reply.code(201).send(diskView(info!));
    },
  );
}

function addState(app: App, { guests, records, runners, events, feed, clients }: ApiParts): void {
  app.get(
    '/runners',
    {
      schema: {
        summary: 'All runners',
        tags: ['cluster'],
        response: { 200: z.object({ runners: z.array(schemas.runnerView) }), default: schemas.failure },
      },
    },
    () => ({ runners: runners.list().map(runnerView) }),
  );
  app.get(
    '/stats',
    {
      schema: {
        summary: 'What running guests have done, and where their time went',
        description:
          'Counts from the start of a run, as of the last heartbeat: rates are the difference of two answers.',
        tags: ['guests'],
        response: { 200: z.object({ guests: z.array(schemas.statsView) }), default: schemas.failure },
      },
    },
    async () => ({
      guests: (await records.list())
        .flatMap((guest) => {
          // Of the runs that are told of it, the last one.
          const run = runners.runsOf(guest.id).toSorted((a, b) => b.report.run - a.report.run)[0];
          const isOver = run === undefined || OVER.has(run.report.phase);
          const view = isOver ? undefined : statsView(guest, run);
          return view === undefined ? [] : [view];
        })
        .toSorted((a, b) => a.name.localeCompare(b.name)),
    }),
  );
  app.get(
    '/events',
    {
      schema: {
        summary: 'The last events, oldest first',
        tags: ['cluster'],
        querystring: schemas.eventsQuery,
        response: { 200: z.object({ events: z.array(schemas.eventView) }), default: schemas.failure },
      },
    },
    async ({ query }) => {
      // A guest that was deleted has events still, under its id.
      const id = query.guest === undefined ? undefined : ((await guests.lookUp(query.guest))?.id ?? query.guest);
      const fits = id === undefined ? undefined : { noun: 'guest', id };
      const last = events.last(
        query.limit,
        (e) => fits === undefined || (e.noun === fits.noun && e.subjectId === fits.id),
      );
      return { events: last.map(({ sequence, event }) => eventView(sequence, event)) };
    },
  );
  app.get(
    '/watch',
    {
      schema: {
        summary: 'State and changes as server-sent events',
        description:
          'Events: guest (a guest, all of them at first), guest-gone ({id}), runner, runner-gone ({id}), synced (the first state is complete), event (with its sequence as id; Last-Event-ID goes on behind it).',
        tags: ['cluster'],
      },
    },
    (request, reply) => {
      const header = request.headers['last-event-id'];
      const after = typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
      admit({ feed, events, clients });
      reply.hijack();
      watch(reply.raw, after, { feed, events, clients });
    },
  );
}
