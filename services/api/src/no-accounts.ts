import type { ApiPorts } from './ports.ts'

/**
 * A server on which nobody has an account and nothing is recorded: it says so in the form that stock clients take for
 * an answer, so that they neither show an error nor ask again and again.
 */
export const noAccounts: ApiPorts = {
  accounts: {
    loginOptions: async () => [],
    login: async () => ({ refusal: 'This server has no accounts: use it without logging in' }),
    findSession: async () => undefined,
  },
  devices: {
    heartbeat: async () => ({}),
    // Anything else makes a device send it again every two minutes, for ever.
    inventory: async () => 'updated',
    inventoryVersion: async () => 'none',
  },
  deployments: { deploy: async () => 'NOT_ENABLED' },
  audit: { add: async () => {} },
}
