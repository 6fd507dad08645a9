import type { Client } from './inbox.ts'
import { type Endpoint, TcpClient } from './tcp-client.ts'
import type { ScriptedClient } from './transcript.ts'
import { UdpClient } from './udp-client.ts'
import { WsClient } from './ws-client.ts'

/** The client that a transcript describes, on its transport and from its address. */
export function clientFor(scripted: ScriptedClient, server: Endpoint): Client {
  if (scripted.transport === 'udp') return new UdpClient(scripted.ip, server)
  if (scripted.transport === 'tcp') return new TcpClient(scripted.ip, server)
  return new WsClient(scripted.ip, server, scripted.path, scripted.headers)
}
