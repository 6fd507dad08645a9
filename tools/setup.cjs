/**
 * First step of `npm start`, `npm test` and their like: makes a fresh clone ready, then goes on with the task itself.
 * It installs when the lockfile has changed, builds what has changed, and continues with a Node that is new enough.
 * Plain CommonJS without dependencies and in old syntax, since it is run by whatever Node the machine has.
 */
'use strict'

const { spawn } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

const ROOT = path.resolve(__dirname, '..')
const MODULES = path.join(ROOT, 'node_modules')
const STAMP = path.join(MODULES, '.tryst-installed')
const REQUIRED_NODE_MAJOR = 24
/** The Node that the npm package `node` brings; the file is linked into node_modules/.bin. */
const BROUGHT_NODE = path.join(MODULES, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')

/** What to run once everything is built; `build` alone stops there. */
const TASKS = {
  start: ['services/standalone/dist/main.js'],
  test: ['tools/test.mjs', 'test'],
  e2e: ['tools/test.mjs', 'test', '--filter=@tryst/e2e'],
  'test:long': ['tools/test.mjs', 'test:long'],
  bench: ['bench/main.mjs'],
  simulate: ['simulation/main.mjs'],
  nat: ['e2e/nat/write-page.mjs'],
  types: ['node_modules/turbo/bin/turbo', 'run', 'types', '--output-logs=errors-only', '--ui=stream'],
  'package:tar': ['packaging/tar.mjs'],
  'package:deb': ['packaging/deb.mjs'],
  build: undefined,
}

/** A fault that the person in front of the screen can mend: shown without a stack. */
class SetupError extends Error {}

main(process.argv[2], process.argv.slice(3)).catch((error) => {
  process.stderr.write(`\ntryst: ${error instanceof SetupError ? error.message : error.stack}\n`)
  process.exit(1)
})

async function main(task, args) {
  if (!Object.keys(TASKS).includes(task)) {
    throw new SetupError(`unknown task '${task}'; known: ${Object.keys(TASKS).join(', ')}`)
  }
  await install()
  const node = await newEnoughNode()
  await build(node, task === 'start' ? ['--filter=@tryst/standalone'] : [])
  if (TASKS[task] !== undefined) await replaceBy(node, TASKS[task].concat(args))
}

/** Everything that decides what an installation contains. */
function installStamp() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`)
  for (const file of ['package-lock.json', 'package.json', '.npmrc'])
    hash.update(fs.readFileSync(path.join(ROOT, file)))
  return hash.digest('hex')
}

async function install() {
  const stamp = installStamp()
  if (fs.existsSync(STAMP) && fs.readFileSync(STAMP, 'utf8') === stamp) return
  // A working copy keeps what it has and gets what is missing; `npm ci` would delete it under running programs.
  const clean = process.env.CI !== undefined || !fs.existsSync(path.join(MODULES, '.package-lock.json'))
  const args = clean ? ['ci'] : ['install', '--no-save']
  // The only script that is needed brings a Node; without scripts a machine that has its own downloads 50 MB less.
  if (isNewEnough()) args.push('--ignore-scripts')
  await npm(args, 'installing packages (only when the lockfile has changed)')
  fs.writeFileSync(STAMP, stamp)
}

function isNewEnough() {
  return Number(process.versions.node.split('.')[0]) >= REQUIRED_NODE_MAJOR
}

/** Path of a Node that can run the services: this one, or the one that was installed. */
async function newEnoughNode() {
  const link = path.join(MODULES, '.bin', 'node')
  if (isNewEnough()) {
    // Packages' scripts and `services/*/bin/*` find their Node in node_modules/.bin, wherever it comes from.
    if (process.platform !== 'win32' && !fs.existsSync(link)) {
      fs.rmSync(link, { force: true })
      fs.symlinkSync(process.execPath, link)
    }
    return process.execPath
  }
  if (fs.existsSync(BROUGHT_NODE)) return BROUGHT_NODE
  await npm(['rebuild', 'node', '--ignore-scripts=false'], `bringing Node ${REQUIRED_NODE_MAJOR}`)
  if (fs.existsSync(BROUGHT_NODE)) return BROUGHT_NODE
  throw new SetupError(
    `Node ${REQUIRED_NODE_MAJOR} or newer is needed, this is ${process.version}, and the npm package 'node' could not ` +
      `bring one for ${process.platform}-${process.arch}. Install Node ${REQUIRED_NODE_MAJOR} (https://nodejs.org), then try again.`,
  )
}

/** turbo keeps what it built; nothing changed costs it a fraction of a second. */
async function build(node, filter) {
  const turbo = path.join(MODULES, 'turbo', 'bin', 'turbo')
  const started = Date.now()
  const args = [turbo, 'run', 'build', '--output-logs=errors-only', '--ui=stream'].concat(filter)
  const { status, output } = await run(node, args, { title: 'building', quiet: true })
  if (status !== 0) throw new SetupError(`the build failed:\n${output}`)
  const seconds = (Date.now() - started) / 1000
  if (seconds > 2) say(`built in ${seconds.toFixed(1)} s`)
}

async function npm(args, title) {
  // Started by npm: the very same npm. Started by hand, or by another package manager: the one on the PATH.
  const own = /npm-cli\.c?js$/.test(process.env.npm_execpath || '') ? process.env.npm_execpath : undefined
  const { status, output } = own
    ? await run(process.execPath, [own].concat(args), { title })
    : await run('npm', args, { title, shell: process.platform === 'win32' })
  if (status === 0) return
  if (/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH)\b/.test(output)) {
    throw new SetupError(
      'the npm registry cannot be reached. Check the network, and `npm config get registry` and `npm config get proxy`; ' +
        'once installed, no network is needed.',
    )
  }
  if (/\b(UNABLE_TO_\w+|SELF_SIGNED_CERT_IN_CHAIN|CERT_\w+)\b/.test(output)) {
    throw new SetupError(
      "the npm registry's certificate is not trusted. Behind a proxy that opens connections, name its certificate in " +
        'NODE_EXTRA_CA_CERTS.',
    )
  }
  if (/\bEUSAGE\b/.test(output)) {
    throw new SetupError('package-lock.json does not fit package.json: run `npm install` and commit the lockfile.')
  }
  if (/\bENOSPC\b/.test(output)) throw new SetupError('the disk is full: about 500 MB are needed for node_modules.')
  if (/\b(EACCES|EPERM|EROFS)\b/.test(output)) throw new SetupError(`${ROOT} cannot be written by this user.`)
  throw new SetupError(`npm ${args.join(' ')} failed (status ${status}); the lines above say why.`)
}

/** Runs a program with signs of life and yields its status and what it printed on stderr (quiet: on both). */
function run(program, args, { title, quiet = false, shell = false }) {
  const child = spawn(program, args, { cwd: ROOT, shell, env: childEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] })
  const stopSigns = showProgress(title)
  let output = ''
  const keep = (stream, show) => {
    child[stream].setEncoding('utf8')
    child[stream].on('data', (text) => {
      output = (output + text).slice(-20000)
      if (show) process[stream].write(withoutEngineWarnings(text))
    })
  }
  keep('stdout', !quiet)
  keep('stderr', !quiet)
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      stopSigns()
      reject(error.code === 'ENOENT' ? new SetupError(`'${program}' was not found on the PATH.`) : error)
    })
    child.on('close', (code, signal) => {
      stopSigns()
      resolve({ status: code === null ? signal : code, output })
    })
  })
}

function childEnvironment() {
  const PATH = Object.keys(process.env).find((name) => name.toUpperCase() === 'PATH') || 'PATH'
  return Object.assign({}, process.env, {
    [PATH]: path.join(MODULES, '.bin') + path.delimiter + (process.env[PATH] || ''),
    TURBO_TELEMETRY_DISABLED: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
  })
}

/** npm complains about this old Node for packages that only the new one will run. */
function withoutEngineWarnings(text) {
  return text.replace(/^npm warn EBADENGINE.*\n/gm, '').replace(/^npm warn Unknown (user|project|env) config.*\n/gm, '')
}

/** Says what goes on: at once where it is known to take long, and every few seconds as long as it does. */
function showProgress(title) {
  const started = Date.now()
  const everyMs = process.stderr.isTTY ? 3000 : 15000
  const first = setTimeout(() => say(`${title} ...`), 1000)
  const timer = setInterval(() => say(`${title} ... ${Math.round((Date.now() - started) / 1000)} s`), everyMs)
  return () => {
    clearTimeout(first)
    clearInterval(timer)
  }
}

function say(text) {
  process.stderr.write(`tryst: ${text}\n`)
}

/**
 * Runs the task in the foreground: its output, its signals and its status are ours. (`npm start` says `exec`, because
 * npm sends its signals to a shell that would keep them.)
 */
function replaceBy(node, args) {
  const child = spawn(node, args, {
    cwd: ROOT,
    env: childEnvironment(),
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal))
  if (process.env.npm_lifecycle_event !== undefined) endWithParent(child)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      process.exitCode = code === null ? 128 + require('node:os').constants.signals[signal] : code
      // The channel only tells the child that we are gone; nothing is ever said over it.
      if (child.connected) child.disconnect()
      resolve()
    })
  })
}

/** An npm that is killed cannot say so; its child finds itself with another parent. */
function endWithParent(child) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    child.kill('SIGTERM')
  }, 1000)
  timer.unref()
}
