import type { rendezvous } from '@tryst/protocol'
import type { HttpHeader, ProxiedRequest } from './http-proxy.ts'

const METHODS = ['GET', 'POST', 'PUT', 'DELETE'] as const
const MAX_PATH_LENGTH = 2_048
const MAX_HEADER_LENGTH = 1_024

/** What the API has a use for. Addresses, hosts and encodings are not the client's to name. */
const HEADERS = ['content-type', 'authorization']

/** Printable ASCII, without what a URL parser would turn into something else. */
const PLAIN_PATH = /^\/api\/[!-[\]-~]*$/

/**
 * The request as it may go to the API, or why it may not: only routes of the API are reached, and nothing that reads
 * paths in another way than we do can be led elsewhere.
 *
 * @param pathPrefix in front of the path where clients know the API by a URL with a path; empty: nothing
 */
export function readProxiedRequest(
  { method, path, headers, body }: rendezvous.HttpProxyRequest,
  pathPrefix: string,
): ProxiedRequest | { readonly refusal: string } {
  const known = METHODS.find((one) => one === method)
  if (!known) return { refusal: 'no such method' }
  const inside = pathPrefix !== '' && path.startsWith(`${pathPrefix}/`) ? path.slice(pathPrefix.length) : path
  if (inside.length > MAX_PATH_LENGTH || !PLAIN_PATH.test(inside) || leadsElsewhere(inside)) {
    return { refusal: 'no such path' }
  }
  const kept: HttpHeader[] = []
  for (const header of headers) {
    const name = (header.name ?? '').toLowerCase()
    const value = header.value ?? ''
    if (!HEADERS.includes(name) || kept.some((one) => one.name === name)) continue
    if (value.length > MAX_HEADER_LENGTH || !/^[ -~]*$/.test(value)) return { refusal: 'no such header' }
    kept.push({ name, value })
  }
  return { method: known, path: inside, headers: kept, body }
}

function leadsElsewhere(path: string): boolean {
  const [segments = ''] = path.split(/[?#]/)
  return (
    path.includes('#') || segments.includes('//') || segments.split('/').some((part) => /^(\.|%2e){1,2}$/i.test(part))
  )
}
