/** Opens a database as a user without rights and prints what came of it. */
import { DatabaseOpenError, SqliteIdentityStore } from '@tryst/state-sqlite'

const NOBODY = 65_534
if (process.getuid() === 0) {
  process.setgroups([])
  process.setgid(NOBODY)
  process.setuid(NOBODY)
}

try {
  const store = new SqliteIdentityStore({ path: process.argv[2] })
  console.log(JSON.stringify({ peers: store.count() }))
  await store.close()
} catch (error) {
  if (!(error instanceof DatabaseOpenError)) throw error
  console.log(JSON.stringify({ reason: error.reason, message: error.message }))
}
