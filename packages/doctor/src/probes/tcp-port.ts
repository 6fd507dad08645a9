import { connect } from 'node:net'

/** What became of a connection. `unreachable`: there is no way from here, in this address family, say. */
export type TcpAnswer =
  | { readonly kind: 'open'; readonly ms: number; readonly ownIp: string }
  | { readonly kind: 'refused' | 'timeout' }
  | { readonly kind: 'unreachable'; readonly code: string }

const NO_WAY = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])

/** Connects and closes at once. */
export function tryTcp(host: string, port: number, limitMs: number): Promise<TcpAnswer> {
  const startedMs = performance.now()
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const settle = (answer: TcpAnswer) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => settle({ kind: 'timeout' }), limitMs)
    socket.on('connect', () => {
      const ms = Math.round(performance.now() - startedMs)
      settle({ kind: 'open', ms, ownIp: socket.localAddress ?? '' })
    })
    socket.on('error', ({ code = 'error' }: NodeJS.ErrnoException) => {
      if (code === 'ETIMEDOUT' || code === 'EHOSTUNREACH') settle({ kind: 'timeout' })
      else if (NO_WAY.has(code)) settle({ kind: 'unreachable', code })
      else settle({ kind: 'refused' })
    })
  })
}

/** For the evidence of a finding. */
export function describeAnswer(answer: TcpAnswer | undefined): string {
  switch (answer?.kind) {
    case 'open':
      return `connected in ${answer.ms} ms`
    case 'refused':
      return 'refused: nothing listens there'
    case 'timeout':
      return 'no answer: a firewall, or a port that is not forwarded'
    case 'unreachable':
      return `no way there from here (${answer.code})`
    case undefined:
      return 'not tried'
  }
}
