import { defineScript } from './redis-script.ts'

/**
 * Puts a device in the list of those that wait, or notes that it still does. KEYS: listed devices, those that wait,
 * ARGV: member, why, ip, source, time, age after which time and address are noted anew, most of one id, most of one
 * source, most of all. Members are uuid, key and id, with a space between: the first two of 32 characters.
 */
export const ENLIST_DEVICE = defineScript(
  'enlist-device',
  `
local member, why, ip, source, time_ms = ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local first_ms = time_ms
local known = redis.call('HGET', KEYS[1], member)
if known then
  local device = cjson.decode(known)
  if device.state ~= 'pending' or time_ms - device.last < tonumber(ARGV[7]) then return 0 end
  first_ms = device.first
end
redis.call('HSET', KEYS[1], member, cjson.encode({
  state = 'pending', why = why, ip = ip, source = source, first = first_ms, last = time_ms
}))
redis.call('ZADD', KEYS[2], time_ms, member)
if known then return 1 end
local id = string.sub(member, 67)
local of_id, of_source, of_all = 0, 0, 0
for _, other in ipairs(redis.call('ZREVRANGE', KEYS[2], 0, -1)) do
  local device = cjson.decode(redis.call('HGET', KEYS[1], other))
  local is_of_id = string.sub(other, 67) == id
  local is_of_source = device.source == source
  if is_of_id then of_id = of_id + 1 end
  if is_of_source then of_source = of_source + 1 end
  of_all = of_all + 1
  if (is_of_id and of_id > tonumber(ARGV[8])) or (is_of_source and of_source > tonumber(ARGV[9]))
    or of_all > tonumber(ARGV[10]) then
    redis.call('ZREM', KEYS[2], other)
    redis.call('HDEL', KEYS[1], other)
  end
end
return 1`,
)

/**
 * The operator's word on a listed device. KEYS: listed devices, those that wait, those decided. ARGV: member, verdict,
 * time, most of those decided. Answers 0 where it is not listed.
 */
export const DECIDE_DEVICE = defineScript(
  'decide-device',
  `
local known = redis.call('HGET', KEYS[1], ARGV[2])
if not known then return 0 end
local device = cjson.decode(known)
device.state = ARGV[3]
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(device))
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
local too_many = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[5])
if too_many > 0 then
  for _, oldest in ipairs(redis.call('ZRANGE', KEYS[3], 0, too_many - 1)) do
    redis.call('ZREM', KEYS[3], oldest)
    redis.call('HDEL', KEYS[1], oldest)
  end
end
return 1`,
)

/**
 * Drops listed devices of an id: where ARGV[3] is a member, that one and those listed as new devices; else all. KEYS:
 * listed devices, those that wait, those decided, invites, notes (kept where ARGV[3] is a member). ARGV: id, member.
 * Answers how much was dropped.
 */
export const FORGET_DEVICE = defineScript(
  'forget-device',
  `
local id, member = ARGV[2], ARGV[3]
local dropped = 0
for _, set in ipairs({KEYS[2], KEYS[3]}) do
  for _, other in ipairs(redis.call('ZRANGE', set, 0, -1)) do
    if string.sub(other, 67) == id then
      local is_new = cjson.decode(redis.call('HGET', KEYS[1], other)).why == 'new-device'
      if member == '' or other == member or is_new then
        redis.call('ZREM', set, other)
        dropped = dropped + redis.call('HDEL', KEYS[1], other)
      end
    end
  end
end
dropped = dropped + redis.call('HDEL', KEYS[4], id)
if member == '' then dropped = dropped + redis.call('HDEL', KEYS[5], id) end
return dropped`,
)

/** KEYS: notes. ARGV: id before and after. */
export const MOVE_NOTE = defineScript(
  'move-note',
  `
local note = redis.call('HGET', KEYS[1], ARGV[2])
if not note then return 0 end
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[1], ARGV[3], note)
return 1`,
)

/** KEYS: tokens by hash, hashes by name. ARGV: name, hash, token as JSON. Answers 0 where the name is taken. */
export const ADD_TOKEN = defineScript(
  'add-token',
  `
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then
  return redis.call('HGET', KEYS[1], ARGV[3]) == ARGV[4] and 1 or 0
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
return 1`,
)

/** KEYS: tokens by hash, hashes by name. ARGV: name. Answers 0 where there is none. */
export const REVOKE_TOKEN = defineScript(
  'revoke-token',
  `
local hash = redis.call('HGET', KEYS[2], ARGV[2])
if not hash then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[1], hash)
return 1`,
)

/** KEYS: tokens by hash. ARGV: hash, time (ms), and 1 for a use or -1 for one that is given back. */
export const COUNT_TOKEN = defineScript(
  'count-token',
  `
local known = redis.call('HGET', KEYS[1], ARGV[2])
if not known then return 'unknown' end
local token = cjson.decode(known)
local uses = tonumber(ARGV[4])
if uses > 0 then
  if token.expires and token.expires <= tonumber(ARGV[3]) then return 'expired' end
  if token.left and token.left <= 0 then return 'used-up' end
end
token.used = token.used + uses
if token.left then token.left = token.left - uses end
redis.call('HSET', KEYS[1], ARGV[2], cjson.encode(token))
return 'accepted'`,
)
