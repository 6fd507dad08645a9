import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { readIfThere, replaceFile, writeOnce } from './write-once.ts'

const USER = 'tryst'
const URL_FILE = 'redis-url'
const ACL_FILE = 'users.acl'
const PASSWORD_BYTES = 32

/**
 * The password of Redis, drawn once: in a URL for those who use Redis, and as a hash in the list of users that Redis
 * itself reads.
 */
export function openRedisAccess({ secrets, redis }: { readonly secrets: string; readonly redis: string }): boolean {
  const path = join(secrets, URL_FILE)
  const password = randomBytes(PASSWORD_BYTES).toString('hex')
  const made = writeOnce(path, `redis://${USER}:${password}@redis:6379/0\n`, 0o600)
  const kept = new URL(readIfThere(path)?.trim() ?? '').password
  replaceFile(join(redis, ACL_FILE), usersOf(kept), 0o600)
  return made
}

/** Nobody may do anything without the password but ask whether Redis is there. */
function usersOf(password: string): string {
  const hash = createHash('sha256').update(password).digest('hex')
  return [
    'user default off',
    'user health on nopass -@all +ping',
    `user ${USER} on #${hash} ~* &* +@all -@admin -debug -flushall -flushdb -keys -swapdb +cluster|info +cluster|slots +config|get`,
    '',
  ].join('\n')
}
