/**
 * What an ID server needs for devices that keep a connection open and are idle: RSS and CPU.
 * Usage: node bench/kept-connections.mjs [tcp] [tcp-plain] [websocket] [connections ...]
 */
import { main } from './src/kept-connections.ts'

await main(process.argv.slice(2))
