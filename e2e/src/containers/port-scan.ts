import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const LIMIT_MS = 2_000

/** Runs in the container: prints which of the targets accept a connection. */
const SCAN = `
const { connect } = require('node:net')
const isOpen = (target) =>
  new Promise((resolve) => {
    const [host, port] = target.split(':')
    const socket = connect({ host, port: Number(port), timeout: ${LIMIT_MS} })
    const finish = (open) => (socket.destroy(), resolve(open))
    socket.on('connect', () => finish(true)).on('error', () => finish(false)).on('timeout', () => finish(false))
  })
Promise.all(process.argv.slice(1).map(async (target) => ((await isOpen(target)) ? target : undefined))).then((found) =>
  console.log(JSON.stringify(found.filter(Boolean))),
)`

/** Which of these (`host:port`) accept a connection from a container in `network` that has no part in the stack. */
export async function openPorts(network: string, targets: readonly string[]): Promise<string[]> {
  const image = `tryst/hbbs:${process.env.TRYST_TAG ?? 'latest'}`
  const words = ['run', '--rm', '--network', network, '--entrypoint', 'node', image, '-e', SCAN, '--', ...targets]
  const { stdout } = await promisify(execFile)('docker', words)
  return JSON.parse(stdout) as string[]
}
