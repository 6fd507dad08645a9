import { claimServerKey, type RedisConnection, type RedisNode } from '@tryst/state-redis'

/**
 * Tells a Redis that may have lost it whose server this is. The key that stands there otherwise is nobody's of this
 * server, and an operator has to know.
 */
export function keepServerKey(
  { connection, node }: { readonly connection: RedisConnection; readonly node: RedisNode },
  publicKey: string,
  foreignKey: (stored: string) => void,
): void {
  let isDue = false
  connection.onChange((event) => {
    if (event.kind === 'lost-data-suspected' || (event.kind === 'up' && !event.isFirst)) isDue = true
  })
  // With the lease: as soon as Redis can be asked again, and at every turn until it was told.
  node.onTurn(() => {
    if (!isDue || connection.state !== 'up') return
    isDue = false
    claimServerKey(connection, publicKey).then(
      (stored) => {
        if (stored !== publicKey) foreignKey(stored)
      },
      () => {
        isDue = true
      },
    )
  })
}
