import { describe, expect, it } from '@jest/globals'
import { decodeClientConfig } from '@tryst/protocol'
import { reachWarnings, type Welcome, welcomeText } from './welcome.ts'

const WELCOME: Welcome = {
  key: 'A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=',
  addresses: [{ host: 'hbbs.example.com', reach: 'everywhere' }],
  idPort: 21116,
  relayPort: 21117,
  apiPort: 21114,
  apiUrl: undefined,
  dataFolder: '/srv/tryst',
  metrics: ['http://127.0.0.1:21120/metrics'],
  warnings: [],
  to: 'file',
}

describe('the text that a start ends with', () => {
  it('holds the key, the address and a text that clients can import', () => {
    const lines = welcomeText(WELCOME).split('\n')
    const config = lines.map((line) => decodeClientConfig(line)).find((found) => found !== undefined)
    expect(config).toEqual({ host: 'hbbs.example.com', relay: '', api: '', key: WELCOME.key })
    expect(lines).toContain(`  Key           ${WELCOME.key}`)
    expect(lines).toContain('  ID server     hbbs.example.com')
  })

  it('names the ports that clients use, shifted with the ID server and the relay', () => {
    const text = welcomeText({ ...WELCOME, idPort: 30000, relayPort: 40000, apiPort: 29998 })
    expect(text).toContain('TCP 29998, 29999, 30000, 40000; UDP 30000')
    expect(text).toContain('TCP 30002, 40002 for clients that use WebSocket')
    expect(text).toContain('hbbs.example.com:30000')
  })

  it('names the API where clients cannot derive it, and in the text that they import', () => {
    const lines = welcomeText({ ...WELCOME, apiUrl: 'https://hbbs.example.com' }).split('\n')
    expect(lines).toContain('  API server    https://hbbs.example.com')
    const config = lines.map((line) => decodeClientConfig(line)).find((found) => found !== undefined)
    expect(config).toMatchObject({ api: 'https://hbbs.example.com' })
  })

  it('says nothing of a status page and its port where none was started', () => {
    const text = welcomeText({ ...WELCOME, apiPort: undefined })
    expect(text).toContain('TCP 21115, 21116, 21117; UDP')
    expect(text).not.toContain('Status page')
    expect(welcomeText(WELCOME)).toContain('Status page   http://hbbs.example.com:21114/')
  })

  it('draws the QR code in colours of its own on a terminal, and with plain characters elsewhere', () => {
    const blocks = (text: string) => text.split('\n').filter((line) => line.includes('█'))
    expect(blocks(welcomeText({ ...WELCOME, to: 'terminal' })).every((line) => line.includes('\x1b[97;40m'))).toBe(true)
    expect(blocks(welcomeText(WELCOME)).join('')).not.toContain('\x1b')
  })

  it('says that no key is needed where none is checked', () => {
    expect(welcomeText({ ...WELCOME, key: '' })).toContain('no key is checked')
  })

  it('ends with the warnings', () => {
    expect(welcomeText({ ...WELCOME, warnings: ['something'] }).trimEnd()).toMatch(/! something$/)
  })
})

describe('warnings about the reach of the address', () => {
  it('are silent for a public one', () => {
    expect(reachWarnings(WELCOME.addresses, 'data/.env')).toEqual([])
  })

  it.each([
    ['10.0.0.2', 'own network', /private address.*PUBLIC_HOST=.*data\/\.env/],
    ['127.0.0.1', 'this machine', /Only clients on this machine.*PUBLIC_HOST=.*data\/\.env/],
  ] as const)('name the remedy for %s', (host, reach, text) => {
    expect(reachWarnings([{ host, reach }], 'data/.env')).toEqual([expect.stringMatching(text)])
  })
})
