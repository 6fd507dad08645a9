/** The fields of a heartbeat, found without decoding: the id's bytes are `datagram[idStart..idEnd]`. */
export interface Heartbeat {
  idStart: number
  idEnd: number
  serial: number
}

/**
 * Recognises the form in which every stock client writes RegisterPeer: `32 LEN 0a LEN id [10 serial]`, nothing else, with
 * an id in ASCII. Fills `into` and returns true; everything else is left to the full decoder.
 */
export function readHeartbeat(datagram: Uint8Array, into: Heartbeat): boolean {
  const length = datagram.length
  // Lengths above 127 take two bytes; no stock client has such an id.
  if (length < 5 || length > 0x81 || datagram[0] !== 0x32 || datagram[1] !== length - 2) return false
  if (datagram[2] !== 0x0a) return false
  const idEnd = 4 + (datagram[3] as number)
  if (idEnd > length || idEnd === 4) return false
  // What is not ASCII is text in UTF-8, which takes the decoder.
  for (let at = 4; at < idEnd; at++) if ((datagram[at] as number) > 0x7f) return false
  into.idStart = 4
  into.idEnd = idEnd
  into.serial = 0
  if (idEnd === length) return true
  if (idEnd + 2 !== length || datagram[idEnd] !== 0x10) return false
  const serial = datagram[idEnd + 1] as number
  if (serial > 0x7f) return false
  into.serial = serial
  return true
}
