import type { Namespace } from '../src/site/namespace.ts'
import { ROUTER_KINDS, type RouterKind } from './behaviour.ts'
import type { Laboratory } from './laboratory.ts'

/** How a client is connected to the internet: `none` is a public address, `double` a router behind a provider's. */
export const HOME_KINDS = ['none', ...ROUTER_KINDS, 'double'] as const
export type HomeKind = (typeof HOME_KINDS)[number]

/** The routers from the client to the internet; each translates. */
export const ROUTERS: Readonly<Record<HomeKind, readonly RouterKind[]>> = {
  none: [],
  'full-cone': ['full-cone'],
  'address-restricted': ['address-restricted'],
  'port-restricted': ['port-restricted'],
  symmetric: ['symmetric'],
  double: ['port-restricted', 'port-restricted'],
}

/** Builds such a home and gives the machine in it. @param label of at most 11 characters */
export function homeOf(laboratory: Laboratory, label: string, kind: HomeKind): Namespace {
  const [nearest, carrier] = ROUTERS[kind]
  if (!nearest) return laboratory.machine(label)
  const upstream = carrier && laboratory.carrier(`${label}-cgn`, carrier).network
  const router = laboratory.router({ label: `${label}-nat`, kind: nearest, ...(upstream && { upstream }) })
  return laboratory.machine(label, router.network)
}
