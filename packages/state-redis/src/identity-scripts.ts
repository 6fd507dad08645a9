import { DECIDED_BY_RENAME } from './identity-record.ts'
import { defineScript } from './redis-script.ts'

/** For so long a mark of a given-up id stays after its hold is over: by then every node has seen it. */
export const KEEP_MARK_MS = 7 * 86_400_000

/** As far as a node may be wrong about Redis' time. */
const CLOCK_ERROR_MS = 1_000

/** Begins the scripts of identities. */
export const VERSION = `
local time_us = redis_time[1] * 1000000 + redis_time[2]
local function later_than(version)
  return string.format('%.0f', math.max(time_us, (tonumber(version) or 0) + 1))
end
local function whole(key)
  return redis.call('HMGET', key, 'guid', 'uuid', 'pk', 'ip', 'v', 'created', 'by', 'moved', 'reserved')
end
-- When the hold of a given-up id is over; nil while the change is not complete.
local function held_until(mark)
  return tonumber(string.match(mark, '^%d+'))
end
local function is_given_up(mark)
  local at = held_until(mark)
  return at ~= nil and at <= now_ms
end
-- Whether a device with this uuid may have an id where this stands.
local function is_free(guid, uuid, mark, asking)
  if not guid then return true end
  return mark and (uuid == asking or is_given_up(mark))
end
local function keep_mark(key, mark)
  local at = held_until(mark)
  if at then redis.call('PEXPIREAT', key, string.format('%.0f', at + ${KEEP_MARK_MS})) end
end
`

/**
 * For each key guid, uuid, pk, ip. Answers for each the whole identity that stands. Whoever reads its own guid there
 * has created it, also in a second run. An id that was given up goes to the device that had it, or is free again; nodes
 * that remember that device are told by \`by\`. What stood before is written again unchanged: WAIT then waits for it too, and
 * an id is told to be taken only when that will not be lost.
 */
export const CREATE_IDENTITIES = defineScript(
  'create-identities',
  `${VERSION}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 4
  local stored = redis.call('HMGET', key, 'guid', 'uuid', 'moved', 'v')
  if is_free(stored[1], stored[2], stored[3], ARGV[at + 1]) then
    if stored[1] then redis.call('DEL', key) end
    redis.call('HSET', key, 'guid', ARGV[at], 'uuid', ARGV[at + 1], 'pk', ARGV[at + 2], 'ip', ARGV[at + 3],
      'v', later_than(stored[4]), 'created', string.format('%.0f', now_ms))
    if stored[1] then redis.call('HSET', key, 'by', '${DECIDED_BY_RENAME}') end
  else
    redis.call('HSET', key, 'guid', stored[1])
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
  local before = redis.call('HMGET', key, 'uuid', 'pk', 'v', 'moved')
  if before[1] == ARGV[at] and before[2] == ARGV[at + 1] and not before[4] then
    redis.call('HSET', key, 'pk', ARGV[at + 2], 'ip', ARGV[at + 3], 'v', later_than(before[3]))
    answers[index] = whole(key)
  else
    answers[index] = 0
  end
end
return answers`,
)

/**
 * Frees ids: what stood there is marked as given up long ago, so that no node writes it back. Answers for each 0 where
 * nobody has it, else what stands. A second run finds it free.
 */
export const REMOVE_IDENTITIES = defineScript(
  'remove-identities',
  `${VERSION}
local answers = {}
for index, key in ipairs(KEYS) do
  local stored = redis.call('HMGET', key, 'guid', 'moved', 'v')
  if not stored[1] or (stored[2] and is_given_up(stored[2])) then
    answers[index] = 0
  else
    local mark = string.format('%.0f', now_ms - ${CLOCK_ERROR_MS}) .. ':'
    redis.call('HSET', key, 'moved', mark, 'v', later_than(stored[3]))
    keep_mark(key, mark)
    answers[index] = whole(key)
  end
end
return answers`,
)

/** In the place of a key: the device has its old id back. */
export const UNDO_MOVE = 'moved'

/**
 * What no replica has received was not acknowledged and is taken back. For each key the version that was written, then
 * pk and ip as before; '' and '' for an identity that was created; UNDO_MOVE and the key of the new id for a device that
 * has given its id up ('' where that key stays).
 */
export const UNDO_IDENTITIES = defineScript(
  'undo-identities',
  `${VERSION}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 3
  if redis.call('HGET', key, 'v') == ARGV[at] then
    if ARGV[at + 1] == '' then
      redis.call('DEL', key)
    elseif ARGV[at + 1] == '${UNDO_MOVE}' then
      redis.call('HDEL', key, 'moved')
      redis.call('PERSIST', key)
      redis.call('HSET', key, 'v', later_than(ARGV[at]))
      if ARGV[at + 2] ~= '' and redis.call('HGET', ARGV[at + 2], 'v') == ARGV[at] then redis.call('DEL', ARGV[at + 2]) end
    else
      redis.call('HSET', key, 'pk', ARGV[at + 1], 'ip', ARGV[at + 2], 'v', later_than(ARGV[at]))
    end
  end
end
return #KEYS`,
)

/**
 * Writes back what a node remembers. For each key guid, uuid, pk, ip, v, created, by, whether the address is owed ('1')
 * and the mark of an id that was given up ('' where it was not). Answers 'same', 'newer' (Redis has a later one),
 * 'renamed' (a later one, and the node does not know that the id was given up), 'restored' (it was missing or older),
 * 'moved' (only the address was owed) or 'other' (another device has the id), and the version that stands.
 */
export const WRITE_BACK_IDENTITIES = defineScript(
  'write-back-identities',
  `${VERSION}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 9
  local guid, uuid, pk, ip, version = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local mark = ARGV[at + 8]
  local stored = redis.call('HMGET', key, 'guid', 'uuid', 'pk', 'v', 'moved', 'by')
  local stored_version = tonumber(stored[4]) or 0
  local is_gone = stored[5] or stored[6] == '${DECIDED_BY_RENAME}'
  local outcome = 'same'
  local function write()
    redis.call('DEL', key)
    redis.call('HSET', key, 'guid', guid, 'uuid', uuid, 'pk', pk, 'ip', ip, 'v', version, 'created', ARGV[at + 5])
    if ARGV[at + 6] ~= '' then redis.call('HSET', key, 'by', ARGV[at + 6]) end
    if mark ~= '' then
      redis.call('HSET', key, 'moved', mark)
      keep_mark(key, mark)
    end
    outcome = 'restored'
  end
  if not stored[1] then
    write()
  elseif is_gone and stored_version > tonumber(version) then
    outcome = 'renamed'
  elseif stored[5] and stored_version < tonumber(version) then
    write()
  elseif stored[1] ~= guid then
    if mark ~= '' and stored_version > tonumber(version) then
      outcome = 'newer'
    elseif stored[2] ~= uuid or stored[3] ~= pk then
      outcome = 'other'
    end
  elseif stored_version > tonumber(version) then
    outcome = 'newer'
  elseif stored[4] ~= version and mark ~= '' then
    write()
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
