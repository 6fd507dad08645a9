export { type AccessStoreFixture, accessStoreContract } from './access-store-contract.ts'
export { type ClusterFixture, clusterContract } from './cluster-contract.ts'
export { type IdentityStoreFixture, identityStoreContract } from './identity-store-contract.ts'
export { type RelayDirectoryFixture, relayDirectoryContract } from './relay-directory-contract.ts'
