import { defineScript } from './redis-script.ts'

/**
 * A device came to a node: the record names that node from now on, under a version larger than all before it.
 *
 * Each step of a node on one device has a number larger than those before it; a second run of an older step is known by
 * it and changes nothing: by `n` while the node still holds the device, by `pn` once another took it.
 *
 * KEYS: the record. ARGV: owner, number, lifetime ms, ip, connection. Returns the version, the former
 * owner if it was another, and whom this owner took the device from if it had it already.
 */
export const CLAIM = defineScript(
  'claim',
  `
local row = redis.call('HMGET', KEYS[1], 'o', 'v', 'n', 'po', 'pn')
local owner, version = row[1] or '', tonumber(row[2] or 0)
local number = tonumber(ARGV[3])
if owner == ARGV[2] and tonumber(row[3] or 0) >= number then
  return { string.format('%.0f', version), '', row[4] or '' }
end
if row[4] == ARGV[2] and tonumber(row[5] or 0) >= number then
  return { string.format('%.0f', version), '', '' }
end
local mine = string.format('%.0f', math.max(version + 1, redis_time[1] * 1000000 + redis_time[2]))
redis.call('HSET', KEYS[1], 'o', ARGV[2], 'i', ARGV[5], 'c', ARGV[6], 'v', mine, 'n', ARGV[3])
local former, before = '', ''
if owner ~= '' and owner ~= ARGV[2] then
  former = owner
  redis.call('HSET', KEYS[1], 'po', owner, 'pn', row[3] or '0')
elseif owner ~= '' then
  before = row[4] or ''
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { mine, former, before }
`,
)

/**
 * Writes back what a node holds: a record that is missing, or says less than the node knows, becomes the node's; a
 * newer claim of another node stays. For many devices of one bucket.
 *
 * KEYS: records. ARGV: owner, number, lifetime ms, then for each device version, ip and connection. Returns for each
 * device whether it was held, had to be written or is lost, the version that stands, and the former or the standing other
 * owner.
 */
export const RESTORE = defineScript(
  'restore',
  `
local outcomes = {}
for k = 1, #KEYS do
  local at = 5 + (k - 1) * 3
  local version = tonumber(ARGV[at])
  local row = redis.call('HMGET', KEYS[k], 'o', 'v', 'n', 'po')
  local owner, stored = row[1] or '', tonumber(row[2] or 0)
  local outcome, other = 'held', ''
  if owner == ARGV[2] and stored >= version then
    -- The answer to a claim was lost: nobody has told the former owner.
    if stored > version then other = row[4] or '' end
    version = stored
    redis.call('PEXPIRE', KEYS[k], ARGV[4])
  elseif owner ~= '' and owner ~= ARGV[2] and stored > version then
    outcome, other, version = 'lost', owner, stored
  else
    outcome = 'written'
    -- Larger than what the node knows too: so it sees, should this answer be lost, that somebody is still to be told.
    if owner ~= '' then version = math.max(version, stored) + 1 end
    redis.call('HSET', KEYS[k], 'o', ARGV[2], 'i', ARGV[at + 1], 'c', ARGV[at + 2],
      'v', string.format('%.0f', version), 'n', ARGV[3])
    if owner ~= '' and owner ~= ARGV[2] then
      other = owner
      redis.call('HSET', KEYS[k], 'po', owner, 'pn', row[3] or '0')
    end
    redis.call('PEXPIRE', KEYS[k], ARGV[4])
  end
  outcomes[#outcomes + 1] = outcome
  outcomes[#outcomes + 1] = string.format('%.0f', version)
  outcomes[#outcomes + 1] = other
end
return outcomes
`,
)

/**
 * Devices are gone from a node. A record of another node, or of a later step of this one, stays.
 *
 * KEYS: records. ARGV: owner, number. Returns for each device the version that ended and the owner before.
 */
export const RELEASE = defineScript(
  'release',
  `
local ended = {}
for k = 1, #KEYS do
  local row = redis.call('HMGET', KEYS[k], 'o', 'n', 'v', 'po')
  local version, before = '', ''
  if row[1] == ARGV[2] and tonumber(row[2] or 0) < tonumber(ARGV[3]) then
    redis.call('DEL', KEYS[k])
    version, before = row[3], row[4] or ''
  end
  ended[#ended + 1] = version
  ended[#ended + 1] = before
end
return ended
`,
)
