import { isLoopback } from '@tryst/rendezvous'
import { describeListenError } from '@tryst/service'
import { SharedStateError } from './open-redis.ts'

interface Place {
  readonly host: string
  readonly port: number
}

/** Why this node can't be reached where it wants to be, and what to do. */
export async function describeNodeAddressError(error: unknown, { host, port }: Place): Promise<SharedStateError> {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  if (code === 'EADDRNOTAVAIL')
    return new SharedStateError(`NODE_ADDRESS: ${host} is no address of this machine; name one of its own`)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return new SharedStateError(`NODE_ADDRESS: the name ${host} cannot be resolved; correct it, or name an address`)
  const { message } = await describeListenError(error, { port, protocol: 'tcp', setting: 'NODE_ADDRESS' })
  return new SharedStateError(`${message} (where other nodes reach this one)`)
}

/** Whether one of two nodes says that it is at loopback: then only nodes of the same machine reach it. */
export const isOutOfReach = (other: string, own: string): boolean =>
  isLoopback(hostOf(other)) !== isLoopback(hostOf(own))

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '')
