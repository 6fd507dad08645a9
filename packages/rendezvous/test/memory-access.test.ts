import { accessStoreContract } from '../src/contract/access-store-contract.ts'
import { MemoryAccess } from './memory-access.ts'

accessStoreContract('MemoryAccess', async () => {
  const store = new MemoryAccess()
  return {
    open: async () => store,
    interrupt: async () => {
      store.failing = true
      return async () => {
        store.failing = false
      }
    },
    dispose: async () => {},
  }
})
