/**
 * What the memory of an ID server holds per device: RSS of a process of its own that registers devices in a
 * PresenceTable and nothing else, and what a heartbeat costs there. Usage: node bench/presence-memory.mjs [devices]
 */
import { spawnSync } from 'node:child_process'
import { PresenceTable } from '@tryst/rendezvous'

const devices = Number(process.argv[2] ?? 1_000_000)

if (process.argv[3] === undefined) {
  const script = import.meta.filename
  const { status } = spawnSync(process.execPath, [script, String(devices), 'measure'], { stdio: 'inherit' })
  process.exit(status ?? 1)
}

// Ids and addresses arrive as fresh strings with every datagram.
const idOf = (device) => Buffer.from(String(100_000_000 + device)).toString()
const ipOf = (device) => `10.${device >>> 16}.${(device >>> 8) & 255}.${device & 255}`
const rssBytes = () => process.memoryUsage.rss()

const table = new PresenceTable({ maxPeers: devices })
// What the garbage of arriving strings takes belongs to the process, not to its devices.
for (let device = 0; device < devices; device++) table.touch(idOf(device), ipOf(device), 50_000, Date.now())
const before = rssBytes()
for (let device = 0; device < devices; device++) table.register(idOf(device), ipOf(device), 50_000, Date.now())
const registered = rssBytes()

for (let device = 0; device < devices; device++) table.touch(idOf(device), ipOf(device), 50_001, Date.now())
const heartbeats = rssBytes()

const ids = Array.from({ length: 1000 }, (_, device) => idOf(device * 7))
const ips = ids.map((_, device) => ipOf(device * 7))
const rounds = 2000
const start = process.hrtime.bigint()
for (let round = 0; round < rounds; round++) {
  for (let at = 0; at < ids.length; at++) table.touch(ids[at], ips[at], 50_002, 1e12 + round)
}
const nsPerTouch = Number(process.hrtime.bigint() - start) / (rounds * ids.length)

const perDevice = (bytes) => Math.round((bytes - before) / devices)
console.log(`${table.size} devices`)
console.log(`RSS per device after registration: ${perDevice(registered)} bytes`)
console.log(
  `RSS per device after a heartbeat each: ${perDevice(heartbeats)} bytes (process: ${Math.round(heartbeats / 2 ** 20)} MiB)`,
)
console.log(`a heartbeat in the table: ${nsPerTouch.toFixed(0)} ns`)
