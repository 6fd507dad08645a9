/** Where a baseline listens: `node <baseline> <host> <port>`. */
export function listenAddress(): { host: string; port: number } {
  const [host, port] = process.argv.slice(2)
  if (host === undefined || !(Number(port) > 0)) throw new Error(`usage: node ${process.argv[1]} <host> <port>`)
  return { host, port: Number(port) }
}
