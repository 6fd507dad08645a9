import { defineScript } from './redis-script.ts'

/**
 * Renews the lease of a node and the announcements that came with it, and tells of all others.
 *
 * A lease that lapsed while nobody could renew anything says nothing about its node: when the newest renewal of all is
 * older than what a live node may let pass, those that were alive then get one lease more, once.
 *
 * KEYS: leases, renewals, info, relay leases, relay info, epoch. ARGV: incarnation, lease ms, interval ms, info, drawn
 * epoch, then for each relay its address and incarnation as one name, lease ms and announcement.
 */
export const RENEW_LEASE = defineScript(
  'renew-lease',
  `
local leases, renewals, infos, relay_leases, relay_infos = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local incarnation, lease, interval = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local function text(number) return string.format('%.0f', number) end

local newest = redis.call('ZRANGE', renewals, -1, -1, 'WITHSCORES')
local last = tonumber(newest[2] or now_ms)
if last > now_ms + interval then
  -- The clock was set back: what lies ahead would never end.
  for _, node in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    redis.call('ZADD', leases, text(now_ms + lease), node)
    redis.call('ZADD', renewals, text(now_ms), node)
  end
  for _, relay in ipairs(redis.call('ZRANGE', relay_leases, 0, -1)) do
    redis.call('ZADD', relay_leases, text(now_ms + lease), relay)
  end
end
if now_ms - last > lease - interval then
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', renewals, text(last - lease), '+inf')) do
    redis.call('ZADD', leases, 'GT', text(now_ms + lease), node)
  end
end
for _, relay in ipairs(redis.call('ZRANGEBYSCORE', relay_leases, text(last), text(now_ms))) do
  local announced = cjson.decode(redis.call('HGET', relay_infos, relay) or '{}')
  local relay_lease = announced.leaseMs or 0
  local renewed = tonumber(redis.call('ZSCORE', renewals, announced.node or '') or 0)
  if now_ms - last > relay_lease - interval and renewed + relay_lease >= last then
    redis.call('ZADD', relay_leases, text(now_ms + relay_lease), relay)
  end
end

redis.call('ZADD', leases, text(now_ms + lease), incarnation)
redis.call('ZADD', renewals, text(now_ms), incarnation)
redis.call('HSET', infos, incarnation, ARGV[5])
for at = 7, #ARGV, 3 do
  redis.call('ZADD', relay_leases, text(now_ms + ARGV[at + 1]), ARGV[at])
  redis.call('HSET', relay_infos, ARGV[at], ARGV[at + 2])
end

for _, node in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', text(now_ms))) do
  redis.call('ZREM', leases, node)
  redis.call('ZREM', renewals, node)
  redis.call('HDEL', infos, node)
end
for _, relay in ipairs(redis.call('ZRANGEBYSCORE', relay_leases, '-inf', text(now_ms))) do
  redis.call('ZREM', relay_leases, relay)
  redis.call('HDEL', relay_infos, relay)
end

redis.call('SET', KEYS[6], ARGV[6], 'NX')
return { redis.call('GET', KEYS[6]), redis.call('HGETALL', infos), redis.call('HGETALL', relay_infos) }
`,
)

/**
 * Ends announcements of a node, and its lease too where `whole` is 1. KEYS as above; ARGV: incarnation, whole, then the
 * names of its relays.
 */
export const WITHDRAW_LEASE = defineScript(
  'withdraw-lease',
  `
for at = 4, #ARGV do
  redis.call('ZREM', KEYS[4], ARGV[at])
  redis.call('HDEL', KEYS[5], ARGV[at])
end
if ARGV[3] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[2])
  redis.call('HDEL', KEYS[3], ARGV[2])
end
return 'OK'
`,
)
