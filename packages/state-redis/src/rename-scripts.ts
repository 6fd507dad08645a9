import { DECIDED_BY_RENAME } from './identity-record.ts'
import { VERSION } from './identity-scripts.ts'
import { defineScript } from './redis-script.ts'

/** A reservation that nobody confirms lapses after this. */
export const RESERVED_MS = 60_000

const MARKS = `${VERSION}
local function id_in(mark)
  return string.sub(mark, string.find(mark, ':', 1, true) + 1)
end
local function mark_until(id, hold_ms)
  return string.format('%.0f', now_ms + tonumber(hold_ms)) .. ':' .. id
end
`

/**
 * A device takes another id, on one Redis: for each key of an old id the key of the new one, uuid, new id and how long
 * the old one is held (ms). Answers for each the outcome, what stands at both, and '1' where the device had the new id
 * already. A second run finds it done.
 */
export const RENAME_IDENTITIES = defineScript(
  'rename-identities',
  `${MARKS}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 4
  local new_key, uuid, new_id = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local old = redis.call('HMGET', key, 'guid', 'uuid', 'pk', 'ip', 'v', 'created', 'moved')
  local new = redis.call('HMGET', new_key, 'guid', 'uuid', 'moved', 'v')
  local is_own = new[1] and new[2] == uuid and not new[3]
  local outcome = 'renamed'
  if not old[1] or old[2] ~= uuid then
    outcome = 'not-its-own'
  elseif old[7] then
    if not is_own or id_in(old[7]) ~= new_id then outcome = 'not-its-own' end
  elseif not is_own and not is_free(new[1], new[2], new[3], uuid) then
    outcome = 'taken'
  else
    local version = later_than(math.max(tonumber(old[5]) or 0, tonumber(new[4]) or 0))
    if not is_own then
      redis.call('DEL', new_key)
      redis.call('HSET', new_key, 'guid', old[1], 'uuid', uuid, 'created', old[6] or '0')
      if new[1] and new[2] ~= uuid then redis.call('HSET', new_key, 'by', '${DECIDED_BY_RENAME}') end
    end
    redis.call('HSET', new_key, 'pk', old[3], 'ip', old[4] or '', 'v', version)
    local mark = mark_until(new_id, ARGV[at + 3])
    redis.call('HSET', key, 'moved', mark, 'v', version)
    keep_mark(key, mark)
  end
  answers[index] = { outcome, whole(key), whole(new_key), is_own and '1' or '' }
end
return answers`,
)

/**
 * First step on a Cluster. For each key of a new id guid, uuid, pk, ip, created and old id. Answers 'taken', 'own' (the
 * device has the id or gave it up: what stands there stays) or 'reserved'.
 */
export const RESERVE_IDS = defineScript(
  'reserve-ids',
  `${MARKS}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 6
  local uuid = ARGV[at + 1]
  local stored = redis.call('HMGET', key, 'guid', 'uuid', 'moved', 'v', 'reserved')
  local outcome = 'reserved'
  if stored[1] and stored[2] == uuid and not stored[5] then
    outcome = 'own'
    -- Nobody else gets it while the next steps are taken.
    local at_ms = stored[3] and held_until(stored[3])
    if at_ms and at_ms < now_ms + ${RESERVED_MS} then
      redis.call('HSET', key, 'moved', mark_until(id_in(stored[3]), ${RESERVED_MS}))
    end
  elseif stored[5] and stored[5] == ARGV[at + 5] and stored[2] == uuid then
    redis.call('PEXPIRE', key, ${RESERVED_MS})
  elseif not stored[5] and is_free(stored[1], stored[2], stored[3], uuid) then
    redis.call('DEL', key)
    redis.call('HSET', key, 'guid', ARGV[at], 'uuid', uuid, 'pk', ARGV[at + 2], 'ip', ARGV[at + 3],
      'v', later_than(stored[4]), 'created', ARGV[at + 4], 'reserved', ARGV[at + 5])
    if stored[1] then redis.call('HSET', key, 'by', '${DECIDED_BY_RENAME}') end
    redis.call('PEXPIRE', key, ${RESERVED_MS})
  else
    outcome = 'taken'
  end
  answers[index] = outcome
end
return answers`,
)

/** Second step. For each key of an old id uuid and new id. Answers the whole identity, 0 where it is not the device's. */
export const MARK_MOVED = defineScript(
  'mark-moved',
  `${MARKS}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 2
  local stored = redis.call('HMGET', key, 'uuid', 'moved', 'v')
  local is_same = stored[2] and id_in(stored[2]) == ARGV[at + 1]
  if stored[1] ~= ARGV[at] or (stored[2] and not is_same) then
    answers[index] = 0
  else
    if not is_same then redis.call('HSET', key, 'moved', ':' .. ARGV[at + 1], 'v', later_than(stored[3])) end
    answers[index] = whole(key)
  end
end
return answers`,
)

/**
 * Third step: the device has the new id. Arguments as of the first. Answers the whole identity, 0 where the reservation
 * has lapsed.
 */
export const CONFIRM_IDS = defineScript(
  'confirm-ids',
  `${MARKS}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 6
  local stored = redis.call('HMGET', key, 'uuid', 'moved', 'v', 'reserved')
  if stored[1] ~= ARGV[at + 1] or (stored[4] and stored[4] ~= ARGV[at + 5]) then
    answers[index] = 0
  else
    if stored[2] then redis.call('HSET', key, 'guid', ARGV[at], 'created', ARGV[at + 4]) end
    redis.call('HDEL', key, 'reserved', 'moved')
    redis.call('PERSIST', key)
    redis.call('HSET', key, 'pk', ARGV[at + 2], 'ip', ARGV[at + 3], 'v', later_than(stored[3]))
    answers[index] = whole(key)
  end
end
return answers`,
)

/** Last step: for each key of an old id the new one and how long the old is held (ms). Answers what stands, or 0. */
export const COMPLETE_MOVES = defineScript(
  'complete-moves',
  `${MARKS}
local answers = {}
for index, key in ipairs(KEYS) do
  local at = 2 + (index - 1) * 2
  local stored = redis.call('HMGET', key, 'moved', 'v')
  if not stored[1] or id_in(stored[1]) ~= ARGV[at] then
    answers[index] = 0
  else
    local at_ms = held_until(stored[1])
    if not at_ms or at_ms < now_ms + tonumber(ARGV[at + 1]) then
      local mark = mark_until(ARGV[at], ARGV[at + 1])
      redis.call('HSET', key, 'moved', mark, 'v', later_than(stored[2]))
      keep_mark(key, mark)
    end
    answers[index] = whole(key)
  end
end
return answers`,
)

/** A change that came to nothing: for each key of an old id the new one. Answers what stands. */
export const ABANDON_MOVES = defineScript(
  'abandon-moves',
  `${MARKS}
local answers = {}
for index, key in ipairs(KEYS) do
  local stored = redis.call('HMGET', key, 'moved', 'v')
  if stored[1] == ':' .. ARGV[2 + (index - 1)] then
    redis.call('HDEL', key, 'moved')
    redis.call('HSET', key, 'v', later_than(stored[2]))
  end
  answers[index] = whole(key)
end
return answers`,
)
