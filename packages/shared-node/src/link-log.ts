import type { LinkEvents } from '@tryst/node-link'
import type { Logger } from '@tryst/service'

/** What happens between nodes, in the log. */
export function linkLog(log: Logger): LinkEvents {
  return {
    opened: (node, how) => log.info({ node: node.name, address: node.address, how }, 'node linked'),
    lost: (node, end) => log.info({ node: node.name, address: node.address, end }, 'node link ended'),
    refused: (source, reason, claims) =>
      log.warn({ source, reason, claims }, `a stranger at the port for nodes was turned away: ${reason}`),
    unreachable: (address, reason, err) => log.warn({ address, reason, err }, 'a node cannot be reached'),
  }
}
