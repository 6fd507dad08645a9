import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { requestRelay, TcpPeer, until, WebSocketPeer } from './peers.ts'
import { freePort, RunningProgram } from './running-program.ts'

const programs: RunningProgram[] = []
const closers: (() => void)[] = []

const run = async (options: Parameters<typeof RunningProgram.start>[0] = {}) => {
  const program = await RunningProgram.start(options)
  programs.push(program)
  return program
}
const openTcp = async (port: number) => {
  const peer = await TcpPeer.open(port)
  closers.push(() => peer.close())
  return peer
}
const pair = async (program: RunningProgram, licenceKey = '') => {
  const [b, a] = [await openTcp(program.port), await openTcp(program.port)]
  b.send(requestRelay({ uuid: 'x', licenceKey }))
  a.send(requestRelay({ uuid: 'x', licenceKey }))
  b.sendBytes(Buffer.from('b'))
  a.sendBytes(Buffer.from('a'))
  await until('the two meet', () => b.received.length === 1 && a.received.length === 1)
  return [b, a] as const
}

afterEach(async () => {
  for (const close of closers.splice(0)) close()
  for (const program of programs.splice(0)) await program.remove()
})

describe('the program', () => {
  it('makes the key files of its folder, tells the key, and serves clients that present it', async () => {
    const program = await (await run({ args: ['-k', '_'] })).listening()
    const key = await readFile(join(program.folder, 'id_ed25519.pub'), 'utf8')
    expect(program.lines).toContain(`Key: ${key}`)
    expect(program.lines).toContain(`Listening on tcp :${program.port}`)
    expect(program.lines).toContain(`Listening on websocket :${program.port + 2}`)
    await pair(program, key)
    const stranger = await openTcp(program.port)
    stranger.send(requestRelay({ uuid: 'x', licenceKey: 'wrong' }))
    await until('the stranger is turned away', () => stranger.hasEnded)
    const mentions = (line: string) => /^Relay authentication failed from 127\.0\.0\.1:\d+ - invalid key$/.test(line)
    await until('a line for fail2ban', () => program.lines.some(mentions))
  })

  it('serves anybody without a key, and warns of it', async () => {
    const program = await (await run()).listening()
    expect(program.lines.join('\n')).toMatch(/anybody may use this relay/)
    await pair(program, 'whatever')
  })

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)(
    'ends with 0 at once on %s, cutting what is relayed',
    async (signal) => {
      const program = await (await run()).listening()
      const [b, a] = await pair(program)
      program.child.kill(signal)
      expect(await program.ended(3_000)).toBe(0)
      await until('both are cut', () => b.hasEnded && a.hasEnded)
    },
  )

  it('lets those who wait meet their partner before it ends', async () => {
    const program = await (await run()).listening()
    const b = await openTcp(program.port)
    b.send(requestRelay({ uuid: 'x' }))
    await until('it waits', () => program.lines.some((line) => line.startsWith('New relay request')))
    program.child.kill('SIGTERM')
    await until('it is stopping', () => program.lines.includes('stopping'))
    const a = await openTcp(program.port)
    a.send(requestRelay({ uuid: 'x' }))
    expect(await program.ended(5_000)).toBe(0)
    expect(program.lines.some((line) => line.endsWith('got paired'))).toBe(true)
  })

  it('does not wait for partners longer than 8 s', async () => {
    const program = await (await run()).listening()
    const b = await openTcp(program.port)
    b.send(requestRelay({ uuid: 'x' }))
    await until('it waits', () => program.lines.some((line) => line.startsWith('New relay request')))
    const startedAt = performance.now()
    program.child.kill('SIGTERM')
    expect(await program.ended(10_000)).toBe(0)
    expect(performance.now() - startedAt).toBeGreaterThan(7_500)
  }, 15_000)

  it('lets relayed sessions go on for DRAIN_SECONDS, or until they end', async () => {
    const program = await (await run({ env: { DRAIN_SECONDS: '60' } })).listening()
    const [b, a] = await pair(program)
    program.child.kill('SIGTERM')
    await until('it is stopping', () => program.lines.includes('stopping'))
    a.sendBytes(Buffer.from('still here'))
    await until('the session goes on', () => b.received.length === 11)
    await expect(TcpPeer.open(program.port)).rejects.toThrow()
    a.close()
    expect(await program.ended(5_000)).toBe(0)
  })

  it('ends at once when it is told twice', async () => {
    const program = await (await run({ env: { DRAIN_SECONDS: '60' } })).listening()
    await pair(program)
    program.child.kill('SIGTERM')
    await until('it is stopping', () => program.lines.includes('stopping'))
    program.child.kill('SIGTERM')
    await program.ended(2_000)
  })

  it('does not start a second time on a port, and says who has it', async () => {
    const first = await (await run()).listening()
    const second = await run({ port: first.port })
    expect(await second.ended()).toBe(1)
    expect(second.lines.join('\n')).toContain(`TCP port ${first.port} is in use by`)
    expect(second.lines.join('\n')).toContain(String(first.child.pid))
    const third = await run({ port: first.port - 2 })
    expect(await third.ended()).toBe(1)
    expect(third.lines.join('\n')).toContain(`TCP port ${first.port} is in use by`)
  })

  it('reads its lists at start and again on SIGHUP, ranges too', async () => {
    const files = {
      'blocklist.txt': '203.0.113.34 comment\n\n 203.0.113.36\n',
      'blacklist.txt': '203.0.113.37\nnonsense\n',
    }
    const program = await (await run({ files, env: { CONSOLE: 'Y' } })).listening()
    expect(program.lines).toContain('#blacklist(blacklist.txt): 1')
    expect(program.lines).toContain('#blocklist(blocklist.txt): 2')
    const ask = async (command: string) => {
      const peer = await openTcp(program.port)
      peer.sendBytes(Buffer.from(command))
      await until('an answer', () => peer.hasEnded)
      return String(peer.received)
    }
    expect(await ask('B')).toBe('203.0.113.34\n203.0.113.36\n')
    expect(await ask('b 203.0.113.37')).toBe('true\n')
    await writeFile(join(program.folder, 'blocklist.txt'), '203.0.113.0/24\n2001:db8::/32\n')
    program.child.kill('SIGHUP')
    await until(
      'the list is read again',
      () => program.lines.filter((line) => line.startsWith('#blocklist')).length === 2,
    )
    expect(await ask('B 203.0.113.99')).toBe('true\n')
    expect(await ask('B 2001:db8:1::1')).toBe('true\n')
    expect(await ask('B 198.51.100.1')).toBe('false\n')
    const blocked = await WebSocketPeer.open(program.port + 2, { headers: { 'X-Real-IP': '203.0.113.5' } })
    await until('a blocked client is refused', () => blocked.isClosed)
  })

  it('relays for clients on its own machine unless the console is asked for', async () => {
    const program = await (await run()).listening()
    const peer = await openTcp(program.port)
    peer.sendBytes(Buffer.from('h'))
    await pair(program)
    expect(peer.received.length).toBe(0)
  })

  it('lists what is wrong with its settings, all at once', async () => {
    const program = await run({ env: { SINGLE_BANDWIDTH: 'x', TOTAL_BANDWIDTH: '-1' } })
    expect(await program.ended()).toBe(1)
    expect(program.errors).toContain('SINGLE_BANDWIDTH')
    expect(program.errors).toContain('TOTAL_BANDWIDTH')
  })

  it('survives garbage on both ports and serves the next client', async () => {
    const program = await (await run({ args: ['-k', '_'] })).listening()
    const key = await readFile(join(program.folder, 'id_ed25519.pub'), 'utf8')
    for (let i = 0; i < 200; i++) {
      const peer = await TcpPeer.open(i % 2 ? program.port : program.port + 2)
      const bytes = Buffer.alloc(1 + ((i * 37) % 5000), (i * 101) % 256)
      for (let at = 0; at < bytes.length; at++) bytes[at] = (bytes[at] ?? 0) ^ ((at * i * 31) & 0xff)
      peer.sendBytes(bytes)
      if (i % 3 === 0) peer.socket.resetAndDestroy()
      else closers.push(() => peer.close())
    }
    await pair(program, key)
    expect(program.status).toBeUndefined()
  })
})

describe('a reader that stops', () => {
  const PAIRS = 20
  /** What a pair of TCP connections may hold: one read of at most 256 KiB in each direction. */
  const BOUND_BYTES = 2 * 256 * 1024

  it('makes the sender wait, costs a bounded amount of memory, and gets all of it later', async () => {
    const port = await freePort()
    const program = await (
      await run({ port, env: { SINGLE_BANDWIDTH: '100000', TOTAL_BANDWIDTH: '100000' } })
    ).listening()
    const before = program.rssBytes
    const chunk = Buffer.alloc(1024 * 1024, 5)
    const total = 24 * chunk.length
    const pairs: { from: TcpPeer; to: TcpPeer; arrived: number }[] = []
    for (let i = 0; i < PAIRS; i++) {
      const [from, to] = [await openTcp(port), await openTcp(port)]
      to.socket.removeAllListeners('data')
      to.socket.pause()
      from.send(requestRelay({ uuid: String(i) }))
      to.send(requestRelay({ uuid: String(i) }))
      for (let sent = 0; sent < total; sent += chunk.length) from.sendBytes(chunk)
      pairs.push({ from, to, arrived: 0 })
    }
    const unsent = () => pairs.map(({ from }) => from.socket.writableLength).join()
    let last = ''
    await until('all senders are stuck', () => {
      const stuck = last === unsent()
      last = unsent()
      return stuck
    })
    await new Promise((resolve) => setTimeout(resolve, 500))
    for (const { from } of pairs) expect(from.socket.writableLength).toBeGreaterThan(0)
    // The program's own growth while it warms up is no part of the bound.
    expect(program.rssBytes - before).toBeLessThan(PAIRS * BOUND_BYTES + 24 * 1024 * 1024)
    for (const one of pairs) {
      one.to.socket.on('data', (bytes) => {
        one.arrived += bytes.length
      })
      one.to.socket.resume()
    }
    await until('all of it has arrived', () => pairs.every(({ arrived }) => arrived === total), 30_000)
  }, 60_000)
})

describe('metrics', () => {
  it('are served where they are asked for, and follow the relay', async () => {
    const metricsPort = await freePort()
    const program = await (await run({ env: { METRICS_BIND: `127.0.0.1:${metricsPort}` } })).listening()
    await pair(program)
    const text = async (path: string) => (await fetch(`http://127.0.0.1:${metricsPort}${path}`)).text()
    const metrics = await text('/metrics')
    expect(metrics).toMatch(/^tryst_relay_pairs 1$/m)
    expect(metrics).toMatch(/^tryst_relay_paired_total 1$/m)
    expect(metrics).toMatch(/^tryst_relay_bytes_total 2$/m)
    expect(metrics).toMatch(/^tryst_relay_turned_away_total\{reason="key_mismatch"\} 0$/m)
    expect(await text('/readyz')).toBe('ready\n')
  })
})
