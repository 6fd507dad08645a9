import type { Socket } from 'node:net'

const COMMAND_TIMEOUT_MS = 1_000
const COMMAND_MAX_BYTES = 1_024

/**
 * The operator's text console: one command in one read, its answer, the end. Input that is no UTF-8 gets no answer.
 *
 * @param run what a command answers
 */
export function serveTextConsole(socket: Socket, run: (command: string) => string): void {
  socket.setTimeout(COMMAND_TIMEOUT_MS, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.once('data', (chunk: Buffer) => {
    let command: string
    try {
      command = new TextDecoder('utf-8', { fatal: true }).decode(chunk.subarray(0, COMMAND_MAX_BYTES))
    } catch {
      socket.destroy()
      return
    }
    socket.end(run(command))
  })
}
