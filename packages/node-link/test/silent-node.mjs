/** A node in a process of its own, which knows nothing. Arguments: incarnation, port. Says where it listens. */
import { NodeLinks } from '../dist/index.js'

const [incarnation, port] = process.argv.slice(2)
const nothing = () => undefined
const links = await NodeLinks.open({
  secretKey: Buffer.from(process.env.LINK_TEST_KEY ?? '', 'base64'),
  incarnation,
  name: incarnation,
  version: '1.2.3',
  listen: { host: '127.0.0.1', port: Number(port) },
  handle: {
    push: () => 'not-mine',
    forget: nothing,
    holds: (ids) => ids.map(nothing),
    answer: () => new Promise(nothing),
    ticketFor: nothing,
    recall: nothing,
    hasStore: () => true,
  },
  onStream: () => false,
  events: { opened: nothing, lost: nothing, refused: nothing, unreachable: nothing },
})
console.log(links.address)
// Nothing else keeps it alive then.
process.stdin.resume().on('end', () => links.close())
