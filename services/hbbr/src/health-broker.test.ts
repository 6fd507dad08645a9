import { describe, expect, it } from '@jest/globals'
import type { Meeting, SessionBroker } from '@tryst/relay'
import { HEALTH_DEVICE, healthSessionName } from '@tryst/service/health-session'
import { HealthBroker } from './health-broker.ts'

const KEY = new Uint8Array(64).fill(7)

function broker() {
  const asked: string[] = []
  const others: SessionBroker = {
    requiresTickets: true,
    meet: async ({ uuid }): Promise<Meeting> => {
      asked.push(`meet ${uuid}`)
      return { kind: 'no-ticket' }
    },
    met: (uuid) => asked.push(`met ${uuid}`),
    leave: (uuid) => asked.push(`leave ${uuid}`),
    dial: async () => undefined,
  }
  const meet = (uuid: string) => health.meet({ uuid, name: 'x', device: '' })
  const health = new HealthBroker(others, KEY)
  return { asked, health, meet }
}

describe('a relay that carries only what was introduced', () => {
  it('lets the session of a health check in, and asks nobody about it', async () => {
    const { asked, health, meet } = broker()
    const uuid = healthSessionName(KEY)
    expect(await meet(uuid)).toEqual({ kind: 'wait', device: HEALTH_DEVICE })
    health.met(uuid)
    health.leave(uuid, 'x')
    expect(asked).toEqual([])
  })

  it.each([healthSessionName(undefined), healthSessionName(new Uint8Array(64)), 'x'])(
    'leaves %s to the broker',
    async (uuid) => {
      const { asked, health, meet } = broker()
      expect(await meet(uuid)).toEqual({ kind: 'no-ticket' })
      health.met(uuid)
      health.leave(uuid, 'x')
      expect(asked).toEqual([`meet ${uuid}`, `met ${uuid}`, `leave ${uuid}`])
    },
  )
})
