/** Registers each id that it is told, 100 times at once with other uuids each time, and prints who has it. */
import { createInterface } from 'node:readline'
import { RedisConnection, RedisIdentityStore } from '@tryst/state-redis'

const [settings, first] = process.argv.slice(2)
const connection = await RedisConnection.open(JSON.parse(settings))
const store = await RedisIdentityStore.open(connection, { maxDevices: 10_000 })
console.log('ready')

const register = (id, number) => {
  const bytes = new Uint8Array(32).fill(number)
  return store.create({ id, uuid: bytes, publicKey: bytes, ip: '203.0.113.7' })
}

for await (const id of createInterface(process.stdin)) {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => register(id, Number(first) + index)))
  const winners = answers.filter(({ created }) => created).map(({ identity }) => identity.uuid[0])
  const owners = [...new Set(answers.map(({ identity }) => identity.uuid[0]))]
  console.log(JSON.stringify({ winners, owners }))
}
await store.close()
connection.close()
