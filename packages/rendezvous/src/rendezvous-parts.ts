import { Admissions } from './admissions.ts'
import { RelayChooser } from './choose-relay.ts'
import { Clones } from './clones.ts'
import { ControlGate } from './control-gate.ts'
import { Counters } from './counters.ts'
import { DevicePlaces } from './device-places.ts'
import { DeviceRequests } from './device-requests.ts'
import { HeldIds } from './held-ids.ts'
import { unreportedSources } from './hidden-sources.ts'
import { IdChanger } from './id-changer.ts'
import { Introducer } from './introducer.ts'
import { IpChanges } from './ip-changes.ts'
import { IssuedTickets } from './issued-tickets.ts'
import { KeptConnections } from './kept-connections.ts'
import { LegacyUpdates } from './legacy-updates.ts'
import { OnlineAnswers } from './online-answers.ts'
import type { PeerId } from './peer-identity.ts'
import { PresenceTable } from './presence-table.ts'
import { ProxiedRequests } from './proxied-requests.ts'
import { PunchLog } from './punch-log.ts'
import { Registrar } from './registrar.ts'
import { RegistrationLimiter } from './registration-limits.ts'
import type { RendezvousPorts } from './rendezvous-ports.ts'
import { DEFAULT_OLD_ID_HOLD_MS, type RendezvousSettings } from './settings.ts'
import { SignedIdentities } from './signed-identities.ts'
import { UdpNatTest } from './udp-nat-test.ts'

export type RendezvousParts = ReturnType<typeof composeParts>

/**
 * Makes what the ID server consists of, and tells each what it needs of the others.
 *
 * @param onIdChanged a device has another id from now on
 */
export function composeParts(
  settings: RendezvousSettings,
  ports: RendezvousPorts,
  onIdChanged: (from: PeerId, to: PeerId) => void,
) {
  const { identities, cluster, events, clock, random, attempts } = ports
  const { limits, keepAliveMs, maxKeptDevices } = settings
  const counters = new Counters()
  const ipChanges = new IpChanges()
  const punchLog = new PunchLog()
  const sources = ports.sources ?? unreportedSources()
  const isHidden = (ip: string) => sources.isHidden(ip)
  const limiter = new RegistrationLimiter(limits, isHidden)
  const rule = settings.allowControl ?? 'anyone'
  const presence = new PresenceTable({
    maxPeers: settings.maxDevices,
    sources: rule === 'registered' ? 'indexed' : 'plain',
  })
  const kept = new KeptConnections(keepAliveMs)
  const places = new DevicePlaces({
    ...{ presence, kept, cluster, events, clock, maxKeptDevices },
    onKept: ports.onKept ?? (() => undefined),
  })
  const gate = new ControlGate({ rule, accounts: ports.accounts, presence, cluster, clock })
  const relays = new RelayChooser(settings.relayServers, {
    directory: ports.announcedRelays,
    fallback: settings.fallbackRelay,
    defaultPort: settings.relayPort,
    rules: settings.relayRules,
    random,
  })
  const legacy = new LegacyUpdates(settings, { counters, events, clock })
  const proxied = new ProxiedRequests({
    ...{ proxy: ports.httpProxy, pathPrefix: settings.apiPathPrefix ?? '', counters, events },
  })
  const tickets = new IssuedTickets({ tickets: ports.tickets, clock, events })
  const signed = new SignedIdentities(ports.signer, identities, cluster)
  const admissions = new Admissions({ mode: settings.accessMode ?? 'open', access: ports.access, clock, events })
  const clones = new Clones({
    ...{ heal: settings.healClones ?? false, presence, counters, events, clock },
    ipElsewhere: (id) => places.ipElsewhere(id),
  })
  const holdMs = settings.oldIdHoldMs ?? DEFAULT_OLD_ID_HOLD_MS
  const heldIds = new HeldIds({
    ...{ identities, admissions, events, holdMs },
    isOnline: (id) => places.isOnlineAnywhere(id),
  })
  const idChanger = new IdChanger({
    ...{ mode: settings.idChanges ?? 'on', holdMs, identities, admissions, limits, counters, events, clock },
    ...{ limiter, isHidden, onChanged: onIdChanged },
  })
  const registrar = new Registrar({
    ...{ admissions, heldIds, clones, limiter, ipChanges },
    ...{ identities, presence, places, signed, limits, keepAliveMs, counters, events, clock },
  })
  const requests = new DeviceRequests({
    ...{ identities, cluster, presence, tickets, counters, events, clock, places, attempts },
    idMaxBytes: limits.idMaxBytes,
  })
  const introducer = new Introducer({
    ...{ settings, cluster, requests, signed, relays, tickets, counters, events, clock, random },
    ...{ gate, isHidden, punchLog, attempts },
  })
  const udpNatTest = new UdpNatTest({
    ...{ cluster, presence, counters, clock },
    hasConnection: ports.hasConnection ?? (() => false),
  })
  const onlineAnswers = new OnlineAnswers({ presence, cluster, gate, counters, events, clock })
  return {
    ...{ counters, ipChanges, punchLog, sources, limiter, presence, kept, places, relays, legacy, proxied, tickets },
    ...{ signed, clones, idChanger, registrar, introducer, udpNatTest, onlineAnswers },
  }
}
