/** The words of RFC 4787 (UDP) and RFC 5382 (TCP) for what a router does with the addresses behind it. */
export type Dependence = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

export interface Behaviour {
  /** On what the port depends that the world sees of one port inside. */
  readonly mapping: Dependence
  /** On what it depends who may answer to that port: on nothing, or on whom the port inside has sent to before. */
  readonly filtering: Dependence
}

export const ROUTER_KINDS = ['full-cone', 'address-restricted', 'port-restricted', 'symmetric'] as const
export type RouterKind = (typeof ROUTER_KINDS)[number]

/** What each kind is by definition; a test proves that ours are so. */
export const BEHAVIOUR: Readonly<Record<RouterKind, Behaviour>> = {
  'full-cone': { mapping: 'endpoint-independent', filtering: 'endpoint-independent' },
  'address-restricted': { mapping: 'endpoint-independent', filtering: 'address-dependent' },
  'port-restricted': { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' },
  symmetric: { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' },
}
