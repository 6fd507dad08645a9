/** Registers devices and changes their keys as fast as it can, and prints each id and key that was acknowledged. */
import { writeSync } from 'node:fs'
import { SqliteIdentityStore } from '@tryst/state-sqlite'

const [path, durability, prefix] = process.argv.slice(2)
const store = new SqliteIdentityStore({ path, durability })
const key = (number) => new Uint8Array(32).fill(number)

async function register(id) {
  const { identity } = await store.create({ id, uuid: key(7), publicKey: key(1), ip: '203.0.113.7' })
  writeSync(1, `${id} 1\n`)
  if (await store.update(identity, { publicKey: key(2), ip: '203.0.113.8' })) writeSync(1, `${id} 2\n`)
}

for (let round = 0; ; round++) {
  await Promise.all(Array.from({ length: 1 + (round % 20) }, (_, index) => register(`${prefix}-${round}-${index}`)))
}
