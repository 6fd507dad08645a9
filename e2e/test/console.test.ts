import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { RawConnection } from '../src/site/raw-connection.ts'
import { RawDevice } from '../src/site/raw-device.ts'
import { Site } from '../src/site/site.ts'
import { askConsole } from '../src/transcripts/console-client.ts'

// Starting processes takes its time on a busy machine.
jest.setTimeout(60_000)

let site: Site | undefined
afterEach(() => site?.close())

const CONSOLE = { env: { CONSOLE: 'Y' } }

function ask(at: Site, port: 'natTest' | 'relay', command: string): Promise<string> {
  const step = { console: port === 'natTest' ? 'nat' : 'relay', command, answer: '' } as Parameters<
    typeof askConsole
  >[0]
  return askConsole(step, '127.0.0.1', { ip: '127.0.0.1', port: at.ports[port] })
}

describe('with CONSOLE=Y', () => {
  it('the ID server answers commands from loopback on its second port', async () => {
    site = await Site.start({ programs: ['hbbs'], hbbs: CONSOLE })
    expect((await ask(site, 'natTest', 'h')).split('\n')).toContain('relay-servers(rs) <separated by ,>')
    expect(await ask(site, 'natTest', 'aur')).toBe('ALWAYS_USE_RELAY: false\n')
    expect(await ask(site, 'natTest', 'aur Y')).toBe('')
    expect(await ask(site, 'natTest', 'aur')).toBe('ALWAYS_USE_RELAY: true\n')
    expect(await ask(site, 'natTest', 'no such command')).toBe('')
    // The protocol is still served on the main port, and the WebSocket port has no console.
    const device = await RawDevice.online(site)
    for (const port of ['main', 'webSocket'] as const) {
      const connection = await RawConnection.open(site, port)
      const { onlineResponse } = await connection.ask({ onlineRequest: { id: '1', peers: [device.id] } })
      expect(onlineResponse?.states?.[0]).toBe(0x80)
    }
  })

  it('the relay answers commands from loopback on its port', async () => {
    site = await Site.start({ hbbr: CONSOLE })
    expect((await ask(site, 'relay', 'h')).split('\n').filter((line) => line !== '')).toHaveLength(12)
    expect(await ask(site, 'relay', 'sb')).toBe('128Mb/s\n')
    expect(await ask(site, 'relay', 'Ba 203.0.113.1|203.0.113.2')).toBe('')
    expect(await ask(site, 'relay', 'B 203.0.113.1')).toBe('true\n')
    expect(await ask(site, 'relay', 'u')).toBe('')
  })
})

describe('by default', () => {
  it.each(['natTest', 'relay'] as const)('there is no console, but the protocol, for loopback (%s)', async (port) => {
    site = await Site.start()
    // As a frame this is a header that announces 26 bytes, and 26 bytes that are no message.
    expect(await ask(site, port, `h${' '.repeat(26)}`)).toBe('')
    expect(await site.controller().queryOnline(['1'])).toEqual(new Map([['1', false]]))
  })
})
