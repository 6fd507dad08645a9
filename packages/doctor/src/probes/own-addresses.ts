import { networkInterfaces } from 'node:os'

/** What is examined is this machine: container networks translate its own connections in any case. */
export const isOfThisMachine = (ip: string): boolean =>
  Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === ip))
