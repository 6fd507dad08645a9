import { afterEach, describe, expect, it } from '@jest/globals'
import { type HealthServer, type Readiness, startHealthServer, startWantedHealthServer } from './health-server.ts'
import { createLogger } from './logger.ts'
import { createMetrics } from './metrics.ts'

const started: HealthServer[] = []
afterEach(() => Promise.all(started.splice(0).map((server) => server.close())))

async function start(readiness: () => Readiness, port = 0): Promise<HealthServer> {
  const server = await startHealthServer({ bind: { host: '127.0.0.1', port }, metrics: createMetrics(), readiness })
  started.push(server)
  return server
}

const get = async ({ address }: HealthServer, path: string) => {
  const response = await fetch(`http://${address.host}:${address.port}${path}`)
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

describe('the health server', () => {
  it('says that the process lives, and whether it wants work, and why not', async () => {
    let readiness: Readiness = { ready: true }
    const server = await start(() => readiness)
    expect(await get(server, '/livez')).toMatchObject({ status: 200, text: 'ok\n' })
    expect(await get(server, '/readyz')).toMatchObject({ status: 200, text: 'ready\n' })
    readiness = { ready: false, reason: 'draining' }
    expect(await get(server, '/readyz')).toMatchObject({ status: 503, text: 'not ready: draining\n' })
    expect(await get(server, '/livez')).toMatchObject({ status: 200 })
  })

  it('shows metrics in the form that Prometheus reads', async () => {
    const { status, type, text } = await get(await start(() => ({ ready: true })), '/metrics')
    expect(status).toBe(200)
    expect(type).toContain('text/plain; version=0.0.4')
    expect(text).toContain('nodejs_eventloop_lag_seconds')
  })

  it('has nothing else', async () => {
    expect((await get(await start(() => ({ ready: true })), '/')).status).toBe(404)
  })

  it('names the program that has its port', async () => {
    const { address } = await start(() => ({ ready: true }))
    await expect(start(() => ({ ready: true }), address.port)).rejects.toMatchObject({
      name: 'ListenError',
      code: 'EADDRINUSE',
      message: expect.stringContaining(`TCP port ${address.port} is in use`),
    })
  })

  it('can be closed twice, with a connection that is kept alive, and gives its port back', async () => {
    const server = await start(() => ({ ready: true }))
    await get(server, '/livez')
    await Promise.all([server.close(), server.close()])
    await server.close()
    await start(() => ({ ready: true }), server.address.port)
  })

  describe('as METRICS_BIND wants it', () => {
    const lines: string[] = []
    const destination = { write: (line: string) => void lines.push(line) }
    const log = createLogger({ service: 'hbbs', level: 'info', format: 'json', destination })
    const readiness = () => ({ ready: true }) as const
    const startWanted = (bind: Parameters<typeof startWantedHealthServer>[0]['bind']) =>
      startWantedHealthServer({ bind, log, metrics: createMetrics({ process: 'left out' }), readiness })

    it('is none when it is not set', async () => {
      expect(await startWanted(undefined)).toBeUndefined()
    })

    it('may be missing where the port may be taken, with a warning', async () => {
      const { address } = await start(readiness)
      await expect(startWanted({ ...address, whenTaken: 'fail' })).rejects.toThrow('is in use')
      expect(await startWanted({ ...address, whenTaken: 'warn' })).toBeUndefined()
      expect(lines.join('')).toMatch(/"level":"warn".*no metrics: TCP port \d+ is in use/)
    })
  })
})
