/**
 * What RedisStore does on the server, each in one step that nothing comes between. Values are kept as `<version> <value>`.
 *
 * Versions and epochs are microseconds of the server's clock, or one more than the last one when that is larger: they go on
 * growing even when a server comes back with less than it had acknowledged.
 */

/** All keys of the store in Redis. */
export const KEYS = {
  values: 'tomei:values',
  /** The same keys as a sorted set, for lists. */
  index: 'tomei:index',
  version: 'tomei:version',
  epochs: 'tomei:epochs',
  lease: (name: string): string => `tomei:lease:${name}`,
} as const;

const LATER = `
local function later(last)
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  last = tonumber(last or '0')
  if now <= last then now = last + 1 end
  return string.format('%.0f', now)
end`;
const VERSION_OF = `
local function version_of(values, key)
  local current = redis.call('HGET', values, key)
  return current and string.match(current, '^(%d+) ') or '0'
end`;

export const SCRIPTS = {
  /** KEYS values, index, version; ARGV key, value, expected version or nothing. Answers whether it was done, and the version. */
  tomeiPut: {
    numberOfKeys: 3,
    lua: `${LATER}${VERSION_OF}
local version = version_of(KEYS[1], ARGV[1])
if ARGV[3] ~= '' and ARGV[3] ~= version then return {0, version} end
local new = later(redis.call('GET', KEYS[3]))
redis.call('SET', KEYS[3], new)
redis.call('HSET', KEYS[1], ARGV[1], new .. ' ' .. ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return {1, new}`,
  },
  /** KEYS values, index; ARGV key, expected version or nothing. Answers whether it was done, and the version that there was. */
  tomeiDelete: {
    numberOfKeys: 2,
    lua: `${VERSION_OF}
local version = version_of(KEYS[1], ARGV[1])
if ARGV[2] ~= '' and ARGV[2] ~= version then return {0, version} end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return {1, version}`,
  },
  /** KEYS values, index; ARGV first and last key as ZRANGEBYLEX has them. Answers key, value, key, value, and so on. */
  tomeiList: {
    numberOfKeys: 2,
    readOnly: true,
    lua: `
local keys = redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2])
local found = {}
for _, key in ipairs(keys) do
  found[#found + 1] = key
  found[#found + 1] = redis.call('HGET', KEYS[1], key)
end
return found`,
  },
  /** KEYS lease, epochs; ARGV name, owner, milliseconds. Answers the epoch, or nothing while somebody else holds it. */
  tomeiAcquire: {
    numberOfKeys: 2,
    lua: `${LATER}
local held = redis.call('GET', KEYS[1])
if held then
  local epoch, owner = string.match(held, '^(%d+) (.*)$')
  if owner ~= ARGV[2] then return false end
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return epoch
end
local epoch = later(redis.call('HGET', KEYS[2], ARGV[1]))
redis.call('HSET', KEYS[2], ARGV[1], epoch)
redis.call('SET', KEYS[1], epoch .. ' ' .. ARGV[2], 'PX', ARGV[3])
return epoch`,
  },
  /** KEYS lease; ARGV what is to be in it, milliseconds. Answers 1 when it was. */
  tomeiRenew: {
    numberOfKeys: 1,
    lua: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`,
  },
  /** KEYS lease; ARGV what is to be in it. */
  tomeiRelease: {
    numberOfKeys: 1,
    lua: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`,
  },
} as const;

type Arguments = readonly (string | number)[];
/** ioredis's client with the scripts as commands. */
export interface ScriptedRedis {
  tomeiPut(...args: Arguments): Promise<[number, string]>;
  tomeiDelete(...args: Arguments): Promise<[number, string]>;
  tomeiList(...args: Arguments): Promise<string[]>;
  tomeiAcquire(...args: Arguments): Promise<string | null>;
  tomeiRenew(...args: Arguments): Promise<number>;
  tomeiRelease(...args: Arguments): Promise<number>;
}
