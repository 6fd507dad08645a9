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
 * A half looks for its partner: it takes the one that waits, or waits itself. A half that asks again is told the same
 * again, with what is known of the other by then. A half is called by its relay and its name there.
 *
 * Fields: id (device), wn and wh (relay and name of the half that waits), jn and jh (of the one that was sent to it), over.
 *
 * KEYS: the session. ARGV: relay, half, named id, 1 where a ticket is required, lifetime ms, relay and name of a half
 * that was found gone (or empty). Returns what came of it, the device, relay and name of the other half.
 */
export const MEET = defineScript(
  'meet',
  `
local row = redis.call('HMGET', KEYS[1], 'id', 'wn', 'wh', 'jn', 'jh', 'over')
local has_ticket, device = row[1] ~= false, row[1] or ''
local relay, half, named = ARGV[2], ARGV[3], ARGV[4]
if not has_ticket and ARGV[5] == '1' then return { 'no-ticket', '', '', '' } end
if has_ticket and named ~= '' and named ~= device then return { 'wrong-device', device, '', '' } end
if row[6] then
  if has_ticket then return { 'used', device, '', '' } end
  -- Without tickets a name may be used again.
  redis.call('HDEL', KEYS[1], 'wn', 'wh', 'jn', 'jh', 'over')
  row = {}
end
local waits, joins = row[3] and true or false, row[5] and true or false
if joins and row[4] == relay and row[5] == half then
  if waits and not (row[2] == ARGV[7] and row[3] == ARGV[8]) then return { 'join', device, row[2], row[3] } end
  redis.call('HDEL', KEYS[1], 'wn', 'wh', 'jn', 'jh')
  waits, joins = false, false
end
if not waits or (row[2] == relay and row[3] == half) then
  redis.call('HSET', KEYS[1], 'wn', relay, 'wh', half)
  if not has_ticket then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
  return { 'wait', device, '', '' }
end
if joins then return { 'busy', device, row[4], row[5] } end
redis.call('HSET', KEYS[1], 'jn', relay, 'jh', half)
return { 'join', device, row[2], row[3] }
`,
)

/**
 * A half goes away: the place where it waited is free, or the half that it was to join waits for another.
 *
 * KEYS: the session. ARGV: relay, half.
 */
export const LEAVE_SESSION = defineScript(
  'leave-session',
  `
local row = redis.call('HMGET', KEYS[1], 'wn', 'wh', 'jn', 'jh')
if row[1] == ARGV[2] and row[2] == ARGV[3] then
  redis.call('HDEL', KEYS[1], 'wn', 'wh')
elseif row[3] == ARGV[2] and row[4] == ARGV[3] then
  redis.call('HDEL', KEYS[1], 'jn', 'jh')
end
return 'OK'
`,
)

/** Two halves have met: nobody else is admitted. KEYS: the session. */
export const MET = defineScript(
  'met',
  `
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'over', 1) end
return 'OK'
`,
)
