/** The lab's own use of its HTTP API, without a network in between. */
import type { FastifyInstance } from 'fastify';
import { errorOf } from '@tomei/service';
import { z } from 'zod';

const trouble = z.object({
  error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean().default(false) }),
});
const guest = z.object({ id: z.string(), name: z.string(), vmxPath: z.string() });
const files = z.object({ files: z.array(z.object({ path: z.string(), kind: z.string() })) });
const runners = z.object({ runners: z.array(z.object({ state: z.string() })) });

/** A guest as far as a lab cares. */
export type LabGuest = z.infer<typeof guest>;

export class LabApi {
  private readonly app: FastifyInstance;
  constructor(app: FastifyInstance) {
    this.app = app;
  }
  /** Every `.vmx` of the pool, by its place there. */
  async vmxFiles(): Promise<string[]> {
    const answer = await this.ask('GET', '/api/v1/files', files);
    return answer.files.filter(({ kind }) => kind === 'vmx').map(({ path }) => path);
  }
  /** Throws what the controller answers, such as `vmx.malformed`. */
  register(vmx: string): Promise<LabGuest> {
    return this.ask('POST', '/api/v1/guests', guest, { vmx });
  }
  async powerOn(id: string): Promise<void> {
    await this.ask('POST', `/api/v1/guests/${encodeURIComponent(id)}/power`, guest, { action: 'on' });
  }
  async hasRunner(): Promise<boolean> {
    const answer = await this.ask('GET', '/api/v1/runners', runners);
    return answer.runners.some(({ state }) => state === 'ready');
  }

  private async ask<T>(method: 'GET' | 'POST', url: string, schema: z.ZodType<T>, body?: object): Promise<T> {
    const answer = await this.app.inject({ method, url, ...(body === undefined ? {} : { payload: body }) });
    const json: unknown = answer.json();
    if (answer.statusCode < 300) return schema.parse(json);
    throw errorOf(trouble.parse(json).error);
  }
}
