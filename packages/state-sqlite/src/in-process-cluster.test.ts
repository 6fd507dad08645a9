import { clusterContract } from '@tryst/rendezvous/contract'
import { InProcessCluster, InProcessHub } from './in-process-cluster.ts'

clusterContract('InProcessCluster', async (nodes) => {
  const hub = new InProcessHub()
  return { clusters: Array.from({ length: nodes }, () => new InProcessCluster(hub)), dispose: async () => {} }
})
