const NAME = /^probe-(udp|tcp|websocket)-[0-9a-f]{8}$/

/**
 * The id of a device with which an ID server probes itself.
 *
 * @param tag eight digits, different for every node
 */
export const probeId = (transport: 'udp' | 'tcp' | 'websocket', tag: string): string => `probe-${transport}-${tag}`

/** Whether an id is called like one of a probe; anybody may call a device so. */
export const looksLikeProbe = (id: string): boolean => NAME.test(id)
