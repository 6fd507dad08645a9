import { defineScript } from './redis-script.ts'

/**
 * An ID server introduced a session. The device that was named first stays; what halves have done stays too.
 *
 * KEYS: the session. ARGV: device, lifetime ms.
 */
export const ISSUE_TICKET = defineScript(
  'issue-ticket',
  `
if redis.call('HSETNX', KEYS[1], 'id', ARGV[2]) == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 'OK'
`,
)

/**
 * A half looks for its partner: it takes the one that waits, or waits itself. Two halves are admitted. A half that was
 * told something is told the same again.
 *
 * Fields: id (device), n (halves admitted), wn and wh (relay and name of the half that waits), th (name of the half
 * that took it), jn and jh (relay and name of the one it took).
 *
 * KEYS: the session. ARGV: relay, half, named id, 1 where a ticket is required, lifetime ms. Returns what came of it,
 * the device, relay and half of the partner.
 */
export const MEET = defineScript(
  'meet',
  `
local row = redis.call('HMGET', KEYS[1], 'id', 'n', 'wn', 'wh', 'th', 'jn', 'jh')
local device, admitted = row[1] or '', tonumber(row[2] or 0)
local relay, half, named = ARGV[2], ARGV[3], ARGV[4]
local has_ticket = row[1] ~= false
if not has_ticket and ARGV[5] == '1' then return { 'no-ticket', '', '', '' } end
if has_ticket and named ~= '' and named ~= device then return { 'wrong-device', device, '', '' } end
if row[4] == half and row[3] == relay then return { 'wait', device, '', '' } end
if row[5] == half then return { 'join', device, row[6], row[7] } end
if row[4] then
  redis.call('HSET', KEYS[1], 'n', 2, 'th', half, 'jn', row[3], 'jh', row[4])
  redis.call('HDEL', KEYS[1], 'wn', 'wh')
  return { 'join', device, row[3], row[4] }
end
if admitted >= 2 then
  if has_ticket then return { 'used', device, '', '' } end
  -- Without tickets a name may be used again.
  redis.call('HDEL', KEYS[1], 'th', 'jn', 'jh')
end
redis.call('HSET', KEYS[1], 'n', 1, 'wn', relay, 'wh', half)
if not has_ticket then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
return { 'wait', device, '', '' }
`,
)

/** A half that waits goes away: its place is free again. KEYS: the session. ARGV: half. */
export const LEAVE_SESSION = defineScript(
  'leave-session',
  `
if redis.call('HGET', KEYS[1], 'wh') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'wn', 'wh')
  redis.call('HSET', KEYS[1], 'n', 0)
end
return 'OK'
`,
)

/** Both halves have met on one relay: nobody is admitted any more. KEYS: the session. */
export const MET = defineScript(
  'met',
  `
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'n', 2)
  redis.call('HDEL', KEYS[1], 'wn', 'wh')
end
return 'OK'
`,
)

/** The half that another was sent to is gone: both places are free again. KEYS: the session. ARGV: half that is gone. */
export const PARTNER_GONE = defineScript(
  'partner-gone',
  `
if redis.call('HGET', KEYS[1], 'jh') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'th', 'jn', 'jh')
  redis.call('HSET', KEYS[1], 'n', 0)
end
return 'OK'
`,
)
