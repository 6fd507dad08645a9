/**
 * Proves that lint stops every import against the direction of the packages: each line below is a breach, written into
 * a file of its own, and has to be reported as an error.
 */
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './workspaces.mjs'

const INNER = ['protocol', 'rendezvous', 'relay']
const BREACHES = [
  ...INNER.flatMap((inner) => [
    [inner, "import { createSocket } from 'node:dgram'\nexport const breach = createSocket"],
    [inner, "import type { Socket } from 'node:net'\nexport type Breach = Socket"],
    [inner, "import { WebSocket } from 'ws'\nexport const breach = WebSocket"],
    [inner, "import type { WebSocket } from 'ws'\nexport type Breach = WebSocket"],
    [inner, "export type Breach = import('ws').WebSocket"],
    [inner, "export { WebSocket } from 'ws'"],
    [inner, "export const breach = await import('ioredis')"],
    [inner, "import { fastify } from 'fastify'\nexport const breach = fastify"],
    [inner, "import type { Breach } from '@tryst/state-sqlite'\nexport type Reexported = Breach"],
    [inner, "export type { Breach } from '@tryst/transport'"],
    [inner, "import { breach } from '@tryst/service'\nexport const other = breach"],
    [inner, "import { breach } from '@tryst/hbbs'\nexport const other = breach"],
    [inner, 'export const breach = process.env.KEY'],
    [inner, 'export const breach = Date.now()'],
    [inner, 'export const breach = new Date()'],
    [inner, 'export const breach = performance.now()'],
  ]),
  ['protocol', "import type { Breach } from '@tryst/rendezvous'\nexport type Reexported = Breach"],
  ['relay', "import type { Breach } from '@tryst/rendezvous'\nexport type Reexported = Breach"],
  ['rendezvous', "import type { Breach } from '@tryst/relay'\nexport type Reexported = Breach"],
  ['client', "import type { Breach } from '@tryst/rendezvous'\nexport type Reexported = Breach"],
  ['transport', "import type { Breach } from '@tryst/hbbs'\nexport type Reexported = Breach"],
  ['state-sqlite', "import type { Breach } from '@tryst/hbbs'\nexport type Reexported = Breach"],
  ['node-link', "import type { Breach } from '@tryst/relay'\nexport type Reexported = Breach"],
  ['node-link', "import type { Breach } from '@tryst/state-redis'\nexport type Reexported = Breach"],
  ['node-link', 'export const breach = process.env.KEY'],
  ['state-redis', "import type { Breach } from '@tryst/hbbs'\nexport type Reexported = Breach"],
  ['state-redis', "import type { Breach } from '@tryst/node-link'\nexport type Reexported = Breach"],
  ['state-redis', "import type { Breach } from '@tryst/state-sqlite'\nexport type Reexported = Breach"],
  ['service', "import type { Breach } from '@tryst/hbbr'\nexport type Reexported = Breach"],
  ['service', "import type { Breach } from '@tryst/api'\nexport type Reexported = Breach"],
]
const ALLOWED = [
  ['rendezvous', "import type { Heartbeat } from '@tryst/protocol'\nexport type Allowed = Heartbeat"],
  ['relay', "import type { Heartbeat } from '@tryst/protocol'\nexport type Allowed = Heartbeat"],
  ['node-link', "import type { PeerId } from '@tryst/rendezvous'\nexport type Allowed = PeerId"],
  ['state-redis', "import type { Cluster } from '@tryst/rendezvous'\nexport type Allowed = Cluster"],
  ['client', "import type { Session } from '@tryst/protocol/session'\nexport type Allowed = Session"],
]

const missed = BREACHES.filter(([inner, code]) => !isRefused(inner, code))
const falselyRefused = ALLOWED.filter(([inner, code]) => isRefused(inner, code))
for (const [inner, code] of missed) console.error(`lint lets this pass in packages/${inner}: ${code.split('\n')[0]}`)
for (const [inner, code] of falselyRefused)
  console.error(`lint refuses this in packages/${inner}: ${code.split('\n')[0]}`)
process.exitCode = missed.length + falselyRefused.length === 0 ? 0 : 1

function isRefused(inner, code) {
  const file = join(ROOT, 'packages', inner, 'src', 'breach-of-boundary.ts')
  try {
    writeFileSync(file, `${code}\n`)
    const biome = join(ROOT, 'node_modules', '@biomejs', 'biome', 'bin', 'biome')
    return spawnSync(process.execPath, [biome, 'lint', file], { cwd: ROOT, stdio: 'ignore' }).status !== 0
  } finally {
    rmSync(file, { force: true })
  }
}
