import { sessionBrokerContract } from '../src/contract/index.ts'
import { SharedSessions } from '../src/contract/shared-sessions.ts'
import { FakeClock } from './fake-clock.ts'

sessionBrokerContract('the memory of one process', async () => {
  const sessions = new SharedSessions({ clock: new FakeClock(), delay: async () => undefined })
  const brokers = [1, 2, 3].map((number) => sessions.broker(`node ${number}`, async () => undefined))
  return {
    relay(number) {
      const broker = brokers[number - 1]
      if (!broker) throw new Error(`there is no relay ${number}`)
      return { node: `node ${number}`, broker }
    },
    issue: async (uuid, device) => sessions.book.issue(uuid, device),
    settled: async () => {
      for (let i = 0; i < 5; i++) await undefined
    },
    dispose: async () => undefined,
  }
})
