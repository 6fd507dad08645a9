import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { findPortOwner } from './port-owner.ts'

const onLinux = process.platform === 'linux' ? describe : describe.skip

onLinux(`the program that has a port${process.platform === 'linux' ? '' : ' (known on Linux only)'}`, () => {
  it.each(['127.0.0.1', '::'])('is found for TCP on %s', async (host) => {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    expect(await findPortOwner(port, 'tcp')).toEqual({ name: expect.any(String), pid: process.pid })
    expect(await findPortOwner(port, 'udp')).toBeUndefined()
    server.close()
    await once(server, 'close')
    expect(await findPortOwner(port, 'tcp')).toBeUndefined()
  })

  it('is found for UDP', async () => {
    const socket = createSocket('udp4').bind(0, '127.0.0.1')
    await once(socket, 'listening')
    expect(await findPortOwner(socket.address().port, 'udp')).toMatchObject({ pid: process.pid })
    socket.close()
  })

  it.each([
    ['/usr/sbin/nginx\0-g\0daemon off;\0', 'nginx'],
    ['/opt/node/bin/node\0--import\0file:///x.js\0/srv/bin/hbbr\0-k\0_\0', 'hbbr'],
    ['node\0', 'node'],
    ['', 'kworker'],
  ])('is called what people call it: %j', async (commandLine, name) => {
    const proc = mkdtempSync(join(tmpdir(), 'tryst-proc-'))
    mkdirSync(join(proc, 'net'))
    const socket = '0: 00000000:5275 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4242 1'
    writeFileSync(join(proc, 'net', 'tcp'), `  sl  local_address\n   ${socket}\n`)
    mkdirSync(join(proc, '77', 'fd'), { recursive: true })
    symlinkSync('socket:[4242]', join(proc, '77', 'fd', '5'))
    writeFileSync(join(proc, '77', 'cmdline'), commandLine)
    writeFileSync(join(proc, '77', 'comm'), 'kworker\n')
    expect(await findPortOwner(21109, 'tcp', proc)).toEqual({ name, pid: 77 })
    rmSync(proc, { recursive: true })
  })

  it('is unknown where the system does not tell', async () => {
    expect(await findPortOwner(21116, 'tcp', '/nowhere')).toBeUndefined()
  })
})
