export { type SessionBrokerFixture, sessionBrokerContract } from './session-broker-contract.ts'
export { type Dial, type HandOver, SharedSessions, type SharedSessionsOptions, seeded } from './shared-sessions.ts'
