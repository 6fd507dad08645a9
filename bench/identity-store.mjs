/**
 * What it costs to store a registration: time and processor time for each, with SQLITE_SYNC=normal and full, one after
 * the other and many in one turn of the event loop. Usage: node bench/identity-store.mjs [folder]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteIdentityStore } from '@tryst/state-sqlite'

const DEVICES = 20_000
const folder = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'tryst-'))
// Ids of stock clients are drawn at random.
const idOf = (device) => String(100_000_000 + ((device * 514_229) % 900_000_000))
const bytes = new Uint8Array(32).fill(7)
const µs = (value) => `${(value / DEVICES).toFixed(1).padStart(7)} µs`

for (const durability of ['normal', 'full']) {
  for (const atOnce of [1, 10, 50]) {
    const store = new SqliteIdentityStore({ path: join(folder, `${durability}-${atOnce}.sqlite3`), durability })
    const register = (device) => store.create({ id: idOf(device), uuid: bytes, publicKey: bytes, ip: '203.0.113.7' })
    const cpu = process.cpuUsage()
    const startMs = performance.now()
    for (let device = 0; device < DEVICES; device += atOnce) {
      await Promise.all(Array.from({ length: atOnce }, (_, index) => register(device + index)))
    }
    const elapsed = (performance.now() - startMs) * 1000
    const { user, system } = process.cpuUsage(cpu)
    console.log(
      `${durability.padEnd(6)} ${String(atOnce).padStart(2)} at once: ${µs(elapsed)}, processor ${µs(user + system)}`,
    )
    await store.close()
  }
}
rmSync(folder, { recursive: true })
