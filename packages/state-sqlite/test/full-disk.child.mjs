/** Fills the disk that a folder lies on with registrations, makes space, goes on, and prints what came of it. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseOpenError, SqliteIdentityStore } from '@tryst/state-sqlite'

const folder = process.argv[2]
const path = join(folder, 'db_v2.sqlite3')
const ballast = join(folder, 'ballast')
const bytes = new Uint8Array(32)
const acknowledged = []

const register = async (store, id) => {
  await store.create({ id, uuid: bytes, publicKey: bytes, ip: '203.0.113.7' })
  acknowledged.push(id)
}

const isLost = async (store, id) => (await store.find(id)) === undefined

function open() {
  try {
    return new SqliteIdentityStore({ path })
  } catch (error) {
    if (!(error instanceof DatabaseOpenError)) throw error
    console.log(JSON.stringify({ opening: error.reason, message: error.message }))
    process.exit()
  }
}

async function fill(store) {
  for (let peer = 0; ; peer++) {
    try {
      await register(store, `before-${peer}`)
    } catch (error) {
      return error
    }
  }
}

let store = open()
writeFileSync(ballast, new Uint8Array(300_000))
const refusal = await fill(store)
const acknowledgedWhileFilling = acknowledged.length > 0
const foundWhileFull = !(await isLost(store, acknowledged[0]))
rmSync(ballast)
await register(store, 'afterwards')
await store.close()

store = open()
let lost = 0
for (const id of acknowledged) if (await isLost(store, id)) lost++
const acceptedAfterwards = !(await isLost(store, 'afterwards'))
await store.close()
const { name, message } = refusal
console.log(
  JSON.stringify({ refusal: name, message, acknowledgedWhileFilling, foundWhileFull, acceptedAfterwards, lost }),
)
