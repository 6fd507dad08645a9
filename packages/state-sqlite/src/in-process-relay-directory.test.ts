import { relayDirectoryContract } from '@tryst/rendezvous/contract'
import { InProcessRelayDirectory } from './in-process-relay-directory.ts'

relayDirectoryContract('InProcessRelayDirectory', async () => {
  let nowMs = 0
  const directory = new InProcessRelayDirectory(() => nowMs)
  const passTime = async (ms: number) => {
    nowMs += ms
  }
  return { directory, announcer: directory, passTime, dispose: async () => {} }
})
