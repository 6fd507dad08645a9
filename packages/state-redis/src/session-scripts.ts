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
 * told something is told the same again. A half is called by its relay and its name there.
 *
 * Fields: id (device), n (halves admitted), wn and wh (the half that waits), tn and th (the half that took it), jn and jh
 * (the one that was taken).
 *
 * KEYS: the session. ARGV: relay, half, named id, 1 where a ticket is required, lifetime ms, relay and name of a half
 * that was found gone (or empty). Returns what came of it, the device, relay and name of the partner.
 */
export const MEET = defineScript(
  'meet',
  `
local row = redis.call('HMGET', KEYS[1], 'id', 'n', 'wn', 'wh', 'tn', 'th', 'jn', 'jh')
local device, admitted = row[1] or '', tonumber(row[2] or 0)
local relay, half, named = ARGV[2], ARGV[3], ARGV[4]
local waits = row[4] and true or false
local has_taken = row[5] == relay and row[6] == half
if not row[1] and ARGV[5] == '1' then return { 'no-ticket', '', '', '' } end
if row[1] and named ~= '' and named ~= device then return { 'wrong-device', device, '', '' } end

if ARGV[8] ~= '' and waits and row[3] == ARGV[7] and row[4] == ARGV[8] then
  redis.call('HDEL', KEYS[1], 'wn', 'wh')
  waits, admitted = false, 0
end
if ARGV[8] ~= '' and has_taken and row[7] == ARGV[7] and row[8] == ARGV[8] then
  redis.call('HDEL', KEYS[1], 'tn', 'th', 'jn', 'jh')
  has_taken, admitted = false, 0
end

if waits and row[3] == relay and row[4] == half then return { 'wait', device, '', '' } end
if has_taken then return { 'join', device, row[7], row[8] } end
if waits then
  redis.call('HSET', KEYS[1], 'n', 2, 'tn', relay, 'th', half, 'jn', row[3], 'jh', row[4])
  redis.call('HDEL', KEYS[1], 'wn', 'wh')
  return { 'join', device, row[3], row[4] }
end
if admitted >= 2 then
  if row[1] then return { 'used', device, '', '' } end
  -- Without tickets a name may be used again.
  redis.call('HDEL', KEYS[1], 'tn', 'th', 'jn', 'jh')
end
redis.call('HSET', KEYS[1], 'n', 1, 'wn', relay, 'wh', half)
if not row[1] then redis.call('PEXPIRE', KEYS[1], ARGV[6]) end
return { 'wait', device, '', '' }
`,
)

/**
 * A half goes away. Did it wait, its place is free again; was it to join another, that one waits again.
 *
 * KEYS: the session. ARGV: relay, half.
 */
export const LEAVE_SESSION = defineScript(
  'leave-session',
  `
local row = redis.call('HMGET', KEYS[1], 'wn', 'wh', 'tn', 'th', 'jn', 'jh')
if row[1] == ARGV[2] and row[2] == ARGV[3] then
  redis.call('HDEL', KEYS[1], 'wn', 'wh')
  redis.call('HSET', KEYS[1], 'n', 0)
elseif row[3] == ARGV[2] and row[4] == ARGV[3] then
  redis.call('HDEL', KEYS[1], 'tn', 'th', 'jn', 'jh')
  redis.call('HSET', KEYS[1], 'n', 1, 'wn', row[5], 'wh', row[6])
end
return 'OK'
`,
)

/** Both halves have met on one relay: nobody else is admitted. KEYS: the session. */
export const MET = defineScript(
  'met',
  `
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'n', 2)
  redis.call('HDEL', KEYS[1], 'wn', 'wh', 'tn', 'th', 'jn', 'jh')
end
return 'OK'
`,
)
