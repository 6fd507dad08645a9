import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeClientConfig } from '@tryst/protocol'
import { HtmlValidate, StaticConfigLoader } from 'html-validate'
import { type ServerFacts, statusPage } from '../src/status/status-page.ts'
import { STATUS_STYLE } from '../src/status/status-style.ts'
import { startApi, type TestApi } from './test-api.ts'

const FACTS: ServerFacts = {
  host: 'rd.example.org',
  idPort: 21_116,
  key: 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=',
  apiUrl: undefined,
}

const configIn = (page: string) =>
  [...page.matchAll(/<code>([^<]+)<\/code>/g)].map(([, text = '']) => decodeClientConfig(text)).find((one) => one)

describe('the status page', () => {
  it('shows the name, the key, the ports, and a text that clients import', () => {
    const page = statusPage(FACTS)
    expect(page).toContain('<h1>rd.example.org</h1>')
    expect(page).toContain(`<code>${FACTS.key}</code>`)
    for (const port of ['21114', '21115', '21116', '21117', '21118']) expect(page).toContain(port)
    expect(configIn(page)).toEqual({ host: 'rd.example.org', relay: '', api: '', key: FACTS.key })
  })

  it('names the port and the API where clients cannot derive them', () => {
    const page = statusPage({ ...FACTS, idPort: 30_000, apiUrl: 'https://rd.example.org' })
    expect(configIn(page)).toEqual({
      ...{ host: 'rd.example.org:30000', relay: '', api: 'https://rd.example.org', key: FACTS.key },
    })
    expect(page).toContain('29998')
  })

  it('says so while there is no key', () => {
    const page = statusPage({ ...FACTS, key: undefined })
    expect(page).toContain('The key is not there yet')
    expect(page).not.toContain('<svg')
  })

  it('takes no text for HTML', () => {
    const page = statusPage({ ...FACTS, host: '<script>alert("1")</script>', key: `"'&` })
    expect(page).not.toContain('<script')
    expect(page).toContain('&quot;&#39;&amp;')
  })

  it.each([
    ['with a key', FACTS],
    ['without one', { ...FACTS, key: undefined }],
    ['with an API', { ...FACTS, apiUrl: 'https://rd.example.org/x' }],
  ])('is valid and accessible HTML %s', async (_name, facts) => {
    const rules = { 'doctype-style': 'off', 'void-style': 'off', 'long-title': 'off' } as const
    const validator = new HtmlValidate(
      new StaticConfigLoader({ extends: ['html-validate:recommended', 'html-validate:a11y'], rules }),
    )
    const { results } = await validator.validateString(statusPage(facts))
    expect(
      results.flatMap(({ messages }) => messages.map(({ ruleId, message, line }) => [ruleId, message, line])),
    ).toEqual([])
  })

  it('has enough contrast in both colour schemes', () => {
    const schemes = [
      ...STATUS_STYLE.matchAll(/--ground: (#\w+); --text: (#\w+); --soft: (#\w+); --line: #\w+; --link: (#\w+)/g),
    ]
    expect(schemes).toHaveLength(2)
    for (const [, ground = '', text = '', soft = '', link = ''] of schemes) {
      for (const [front, back] of [
        [text, ground],
        [text, soft],
        [link, ground],
      ] as const) {
        expect({ front, back, contrast: contrastOf(front, back) >= 7 }).toEqual({ front, back, contrast: true })
      }
    }
  })
})

describe('the status page over HTTP', () => {
  let server: TestApi
  beforeAll(async () => {
    server = await startApi()
  })
  afterAll(() => server.api.close())

  it('allows nothing to run and nothing from elsewhere', async () => {
    const page = await server.get('/')
    const policy = page.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toMatch(/unsafe|script-src|http/)
    const text = await page.text()
    expect(text).not.toMatch(/<script|<style|\sstyle=|\son\w+=/)
    const loaded = [...text.matchAll(/(?:src|<link[^>]*href)="([^"]*)"/g)].map(([, url]) => url)
    expect(loaded).toEqual(['data:,', 'status.css'])
    expect((await server.get('/status.css')).headers.get('content-type')).toBe('text/css; charset=utf-8')
  })

  it('names the host that the browser was pointed at', async () => {
    expect(configIn(await (await server.get('/')).text())?.host).toBe('127.0.0.1')
  })

  it('is not there when it is not wanted', async () => {
    const without = await startApi({ describeServer: undefined })
    expect((await without.get('/')).status).toBe(404)
    await without.api.close()
  })
})

/** WCAG 2, relative luminance and contrast. */
function contrastOf(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminanceOf(one), luminanceOf(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

function luminanceOf(colour: string): number {
  const digits = colour.length === 4 ? [...colour.slice(1)].map((digit) => digit + digit) : colour.slice(1).match(/../g)
  const [red = 0, green = 0, blue = 0] = (digits ?? []).map((pair) => {
    const part = Number.parseInt(pair, 16) / 255
    return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
