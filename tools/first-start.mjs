/**
 * Tries what a new user does: clones the repository into an empty folder and types `npm start`, on a machine whose
 * Node is too old, with a given major version of npm. Passes when a device can register, when SIGTERM ends everything,
 * and when the second start listens within 3 s.
 *
 *     node tools/first-start.mjs 11
 */
import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeRendezvous, encodeRendezvous } from '@tryst/protocol'
import { ROOT } from './workspaces.mjs'

const OLD_NODE = '20'
const FIRST_START_LIMIT_MS = 300_000
const SECOND_START_LIMIT_MS = 3_000
const CLOSE_LIMIT_MS = 10_000

const npmMajor = process.argv[2] ?? '11'
const work = mkdtempSync(join(tmpdir(), 'tryst-first-start-'))
let running
try {
  const path = oldMachine()
  const clone = join(work, 'clone')
  run('git', ['clone', '--quiet', ROOT, clone])
  const idPort = await freePorts()

  const first = await startAndRegister(clone, path, idPort, FIRST_START_LIMIT_MS)
  console.log(`first start with Node ${OLD_NODE} and npm ${npmMajor}: a device registered after ${seconds(first)}`)
  await stop()
  const second = await startAndRegister(clone, path, idPort, SECOND_START_LIMIT_MS)
  console.log(`second start: a device registered after ${seconds(second)}`)
  await stop()
} catch (error) {
  console.error(`first start with npm ${npmMajor} failed: ${error.message}`)
  if (running) console.error(readFileSync(running.log, 'utf8').slice(-6000))
  process.exitCode = 1
} finally {
  if (running?.child.exitCode === null) running.child.kill('SIGTERM')
  await running?.ended
  rmSync(work, { recursive: true, force: true })
}

/** A PATH on which `node` is old and `npm` is the wanted one. */
function oldMachine() {
  const bin = join(work, 'bin')
  const tools = join(work, 'tools')
  mkdirSync(bin)
  mkdirSync(tools)
  const node = `node-${process.platform}-${process.arch}`
  run('npm', ['install', '--prefix', tools, '--no-save', `${node}@${OLD_NODE}`, `npm@${npmMajor}`])
  symlinkSync(join(tools, 'node_modules', node, 'bin', 'node'), join(bin, 'node'))
  symlinkSync(join(tools, 'node_modules', 'npm', 'bin', 'npm-cli.js'), join(bin, 'npm'))
  return [bin, '/usr/bin', '/bin'].join(delimiter)
}

/** Ours without what npm, turbo and CI have put there. */
function userEnvironment() {
  const own = Object.entries(process.env).filter(([name]) => !/^(npm_|turbo_|ci$|init_cwd$|node_options$)/i.test(name))
  return Object.fromEntries(own)
}

async function startAndRegister(clone, path, idPort, limitMs) {
  const log = join(work, 'start.log')
  const output = openSync(log, 'w')
  const startedMs = performance.now()
  const child = spawn('npm', ['start'], {
    cwd: clone,
    env: { ...userEnvironment(), PATH: path, PORT: String(idPort) },
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  running = { child, log, ended: once(child, 'exit') }
  await Promise.race([
    deviceRegisters(idPort, limitMs),
    running.ended.then(([code, signal]) => {
      throw new Error(`npm start ended by itself (${signal ?? `status ${code}`})`)
    }),
  ])
  return performance.now() - startedMs
}

/** Sends a registration like a stock client's until the ID server has stored it. */
async function deviceRegisters(idPort, limitMs) {
  const socket = createSocket('udp4')
  const request = encodeRendezvous({
    registerPk: { id: '123456789', uuid: Buffer.from('first-start'), pk: Buffer.alloc(32, 7) },
  })
  let answer
  socket.on('message', (bytes) => {
    answer = decodeRendezvous(bytes).registerPkResponse ?? answer
  })
  socket.on('error', () => {}) // Nobody listens yet.
  const endMs = performance.now() + limitMs
  try {
    while (answer === undefined) {
      if (performance.now() > endMs) throw new Error(`no registration was answered within ${seconds(limitMs)}`)
      socket.send(request, idPort, '127.0.0.1')
      await sleep(50)
    }
  } finally {
    socket.close()
  }
  if (answer.result !== 0) throw new Error(`the registration was answered with result ${answer.result}`)
}

async function stop() {
  const startedMs = performance.now()
  running.child.kill('SIGTERM')
  const [code, signal] = await Promise.race([
    running.ended,
    sleep(CLOSE_LIMIT_MS, undefined, { ref: false }).then(() => {
      throw new Error(`npm start did not end within ${seconds(CLOSE_LIMIT_MS)} of SIGTERM`)
    }),
  ])
  if (code !== 0) throw new Error(`npm start ended with ${signal ?? `status ${code}`} on SIGTERM`)
  console.log(`SIGTERM ended it after ${seconds(performance.now() - startedMs)}`)
  running = undefined
}

/**
 * A port that nobody uses, like its neighbours, for the ID server. Below those that the system gives to outgoing
 * connections, which can take one that was free a moment ago.
 */
async function freePorts() {
  for (let port = 21_200; port < 32_000; port += 10) {
    const free = await Promise.all([-2, -1, 0, 1, 2, 3].map((offset) => isFree(port + offset)))
    if (free.every((each) => each)) return port
  }
  throw new Error('no six free ports in a row')
}

async function isFree(port) {
  const server = createServer()
  const listening = await new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, () => resolve(true))
  })
  server.close()
  return listening
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${error?.message ?? `status ${status}`}`)
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`
}
