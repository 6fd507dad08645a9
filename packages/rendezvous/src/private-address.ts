/** RFC 1918, carrier-grade NAT, link-local, unique local. */
const PRIVATE =
  /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|169\.254\.|f[cd][\da-f]{2}:|fe[89ab][\da-f]:)/

/**
 * Whether an address in plain form means something only in networks that use it. Loopback is not among them: who connects
 * from there is on this machine.
 */
export const isPrivate = (ip: string): boolean => PRIVATE.test(ip)
