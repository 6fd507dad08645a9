import { defineScript } from './redis-script.ts'

const VERSION = `
local time_us = redis_time[1] * 1000000 + redis_time[2]
local function later_than(version)
  return string.format('%.0f', math.max(time_us, (tonumber(version) or 0) + 1))
end
local function whole(key)
  return redis.call('HMGET', key, 'guid', 'uuid', 'pk', 'ip', 'v', 'created', 'by')
end
`

/**
 * For each key guid, uuid, pk, ip. Answers for each the whole identity that stands. Whoever reads its own guid there
 * has created it, also in a second run. What stood before is written again unchanged: WAIT then waits for it too, and
 * an id is told to be taken only when that will not be lost.
 */
export const CREATE_IDENTITIES = defineScript(
  'create-identities',
  `${VERSION}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 4
  local guid = redis.call('HGET', key, 'guid')
  if guid then
    redis.call('HSET', key, 'guid', guid)
  else
    redis.call('HSET', key, 'guid', ARGV[at], 'uuid', ARGV[at + 1], 'pk', ARGV[at + 2], 'ip', ARGV[at + 3],
      'v', later_than(0), 'created', string.format('%.0f', now_ms))
  end
  answers[index] = whole(key)
end
return answers`,
)

/**
 * For each key uuid, pk before, pk and ip after. Answers for each 0 where it is not as it was, else the whole identity.
 * A second run finds the new key where it looks for the old one, and changes nothing.
 */
export const UPDATE_IDENTITIES = defineScript(
  'update-identities',
  `${VERSION}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 4
  local before = redis.call('HMGET', key, 'uuid', 'pk', 'v')
  if before[1] == ARGV[at] and before[2] == ARGV[at + 1] then
    redis.call('HSET', key, 'pk', ARGV[at + 2], 'ip', ARGV[at + 3], 'v', later_than(before[3]))
    answers[index] = whole(key)
  else
    answers[index] = 0
  end
end
return answers`,
)

/**
 * What no replica has received was not acknowledged and is taken back. For each key the version that was written, then
 * pk and ip as before, or '' and '' for an identity that was created.
 */
export const UNDO_IDENTITIES = defineScript(
  'undo-identities',
  `${VERSION}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 3
  if redis.call('HGET', key, 'v') == ARGV[at] then
    if ARGV[at + 1] == '' then
      redis.call('DEL', key)
    else
      redis.call('HSET', key, 'pk', ARGV[at + 1], 'ip', ARGV[at + 2], 'v', later_than(ARGV[at]))
    end
  end
end
return #KEYS`,
)

/**
 * Writes back what a node remembers. For each key guid, uuid, pk, ip, v, created, by and whether the address is owed
 * ('1'). Answers 'same', 'newer' (Redis has a later one), 'restored' (it was missing or older), 'moved' (only the
 * address was owed) or 'other' (another device has the id), and the version that stands.
 */
export const WRITE_BACK_IDENTITIES = defineScript(
  'write-back-identities',
  `${VERSION}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 8
  local guid, uuid, pk, ip, version = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local stored = redis.call('HMGET', key, 'guid', 'uuid', 'pk', 'v')
  local outcome = 'same'
  if not stored[1] then
    redis.call('HSET', key, 'guid', guid, 'uuid', uuid, 'pk', pk, 'ip', ip, 'v', version, 'created', ARGV[at + 5])
    if ARGV[at + 6] ~= '' then redis.call('HSET', key, 'by', ARGV[at + 6]) end
    outcome = 'restored'
  elseif stored[1] ~= guid then
    if stored[2] ~= uuid or stored[3] ~= pk then outcome = 'other' end
  elseif (tonumber(stored[4]) or 0) > tonumber(version) then
    outcome = 'newer'
  elseif stored[4] ~= version then
    redis.call('HSET', key, 'uuid', uuid, 'pk', pk, 'ip', ip, 'v', version)
    outcome = 'restored'
  elseif ARGV[at + 7] == '1' then
    version = later_than(version)
    redis.call('HSET', key, 'ip', ip, 'v', version)
    outcome = 'moved'
  end
  answers[index] = outcome .. ' ' .. version
end
return answers`,
)
