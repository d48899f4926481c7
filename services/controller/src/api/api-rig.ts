/** For tests: the HTTP API of a controller over a real pool service, with a real bus and store in memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fastify, type FastifyInstance, type LightMyRequestResponse } from 'fastify';
import { PoolService, type PoolFile } from '@tomei/contracts';
import { TomeiError } from '@tomei/kit';
import { MemoryBus, MemoryStore, Metrics, quietLog, serve, startRpcServer, type RpcServer } from '@tomei/service';
import { startController, type Controller } from '../controller.ts';

const VMX = `.encoding = "UTF-8"
displayName = "tiny"
memsize = "64"
ide0:0.present = "TRUE"
ide0:0.fileName = "tiny.vmdk"
serial0.present = "TRUE"
serial0.fileType = "pipe"
serial0.fileName = "x"
`;
/** What is in the pool, by place. */
export const POOL_FILES: Readonly<Record<string, string>> = {
  'tiny/tiny.vmx': VMX,
  'tiny/odd.vmx': 'displayName = "tiny two"\nmemsize = "5"\n',
  'tiny/screen.vmx': `${VMX.replace('"tiny"', '"screen"')}RemoteDisplay.vnc.enabled = "TRUE"\nRemoteDisplay.vnc.port = "5901"\nRemoteDisplay.vnc.password = "s3cr3t-and-long"\n`,
  'tiny/other.vmx': `${VMX.replace('"tiny"', '"other"')}RemoteDisplay.vnc.enabled = "TRUE"\nRemoteDisplay.vnc.port = "5901"\n`,
  'tiny/nodisk.vmx': VMX.replace('tiny.vmdk', 'gone.vmdk'),
};
const missing = (path: string): TomeiError => new TomeiError('pool.missing', `${path} does not exist in the pool`);

function startPool(folder: string): Promise<RpcServer> {
  return startRpcServer({
    bind: `unix:${join(folder, 'pool.sock')}`,
    services: [
      serve(PoolService, {
        list: () =>
          Promise.resolve({
            files: Object.keys(POOL_FILES).map((path): PoolFile => ({
              path,
              kind: 'POOL_FILE_KIND_VMX',
              sizeBytes: 1,
              modifiedMs: 0,
            })),
          }),
        info: ({ path }) =>
          path === 'tiny/tiny.vmdk'
            ? Promise.resolve({ path, createType: 'monolithicSparse', sizeBytes: 1024, allocatedBytes: 512 })
            : Promise.reject(new TomeiError('disk.missing', `${path} does not exist in the pool`)),
        create: ({ path, sizeBytes, createType }) => Promise.resolve({ info: { path, sizeBytes, createType } }),
        async *fetch({ path }) {
          await Promise.resolve();
          const text = POOL_FILES[path];
          if (text === undefined) throw missing(path);
          yield { sizeBytes: text.length, data: Buffer.from(text) };
        },
      }),
    ],
  });
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export class ApiRig {
  readonly bus = new MemoryBus();
  readonly store = new MemoryStore();
  readonly app: FastifyInstance = fastify({ forceCloseConnections: true, routerOptions: { maxParamLength: 500 } });
  controller!: Controller;
  private pool!: RpcServer;
  private folder!: string;

  static async start(): Promise<ApiRig> {
    const rig = new ApiRig();
    const { bus, store, app } = rig;
    rig.folder = await mkdtemp(join(tmpdir(), 'tomei-api-'));
    rig.pool = await startPool(rig.folder);
    rig.controller = await startController(
      { log: quietLog(), metrics: new Metrics('controller'), bus, store },
      { disks: rig.pool.target },
    );
    await app.register(rig.controller.routes);
    return rig;
  }
  async close(): Promise<void> {
    await this.controller.close();
    await this.app.close();
    await this.pool.close();
    await rm(this.folder, { recursive: true, force: true });
  }
  call(
    method: Method,
    path: string,
    payload?: object | string,
    headers: Record<string, string> = {},
  ): Promise<LightMyRequestResponse> {
    return this.app.inject({ method, url: `/api/v1${path}`, headers, ...(payload === undefined ? {} : { payload }) });
  }
  /** Registers `tiny/tiny.vmx`; returns its id. */
  async register(): Promise<string> {
    return (await this.call('POST', '/guests', { vmx: 'tiny/tiny.vmx' })).json<{ id: string }>().id;
  }
}
