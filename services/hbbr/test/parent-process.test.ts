import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { requestRelay, TcpPeer, until } from './peers.ts'
import { freePort } from './running-program.ts'

const PROGRAM = fileURLToPath(new URL('../bin/hbbr', import.meta.url))
const DEVICE = '123456789'

describe('the program under a parent that hands tickets over', () => {
  let folder: string
  let port: number
  let child: ChildProcess
  let status: number | null | undefined
  const peers: TcpPeer[] = []
  const comes = async (request: Parameters<typeof requestRelay>[0]) => {
    const peer = await TcpPeer.open(port)
    peers.push(peer)
    peer.send(requestRelay(request))
    peer.sendBytes(Buffer.from('x'))
    return peer
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hbbr-'))
    port = await freePort()
    status = undefined
    child = spawn(PROGRAM, ['-p', String(port)], {
      cwd: folder,
      env: { PATH: `${dirname(process.execPath)}:/usr/bin:/bin`, TICKETS_FROM_PARENT: 'Y', RELAY_REQUIRE_TICKET: 'Y' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    child.once('exit', (code) => {
      status = code
    })
    let isReady = false
    child.on('message', () => {
      isReady = true
    })
    await until('the program listens', () => isReady || status !== undefined)
    expect(status).toBeUndefined()
  })

  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.close()
    if (status === undefined) child.kill('SIGKILL')
    await until('the end', () => status !== undefined)
    await rm(folder, { recursive: true })
  })

  it('relays what was introduced, early or late, and nothing else', async () => {
    const b = await comes({ uuid: 'known' })
    const stranger = await comes({ uuid: 'made up' })
    child.send({ ticket: { uuid: 'known', device: DEVICE } })
    const wrong = await comes({ uuid: 'known', id: '987654321' })
    await until('the wrong one is turned away', () => wrong.hasEnded)
    const a = await comes({ uuid: 'known', id: DEVICE })
    await until('the two meet', () => a.received.length > 0 && b.received.length > 0)
    const third = await comes({ uuid: 'known', id: DEVICE })
    await until('the third is turned away', () => third.hasEnded)
    expect([stranger.hasEnded, stranger.received.length]).toEqual([false, 0])
  })

  it('waits for what was introduced before it was told to stop, and for nothing else', async () => {
    child.send({ ticket: { uuid: 'known', device: DEVICE } })
    const stranger = await comes({ uuid: 'made up' })
    child.kill('SIGTERM')
    const b = await comes({ uuid: 'known' })
    const a = await comes({ uuid: 'known', id: DEVICE })
    await until('the two meet', () => a.received.length > 0 && b.received.length > 0)
    a.close()
    stranger.close()
    await until('the end', () => status !== undefined, 5_000)
    expect(status).toBe(0)
  })
})
