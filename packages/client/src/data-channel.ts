import type { OutgoingSessionMessage, SessionMessage } from '@tryst/protocol/session'

/**
 * Bytes of the application travel as blocks of a file transfer that nobody asked for. Stock peers look the job up by
 * its id, find none and drop the block, so a stock peer on the other side comes to no harm. Outside this package the
 * number means nothing.
 */
export const DATA_JOB_ID = 0x54727973

/** What one message carries; stock peers cut files into blocks of the same size. */
export const DATA_BLOCK_BYTES = 128 * 1024

export const dataMessage = (block: Uint8Array): OutgoingSessionMessage => ({
  fileResponse: { block: { id: DATA_JOB_ID, data: block } },
})

/** The application's bytes in a message, or undefined when it is none of ours. */
export function dataIn(message: SessionMessage): Uint8Array | undefined {
  const block = message.fileResponse?.block
  return block?.id === DATA_JOB_ID ? (block.data ?? undefined) : undefined
}

/** The pieces in which `bytes` are sent: views, not copies. */
export function* dataBlocks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += DATA_BLOCK_BYTES) yield bytes.subarray(at, at + DATA_BLOCK_BYTES)
}
