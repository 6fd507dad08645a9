import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, it } from '@jest/globals'

/** Recorded data of the reference implementation, kept outside the repository. */
export const vectorsDir = process.env.VECTORS_DIR ?? resolve(import.meta.dirname, '../../../../shared/vectors')

/** A suite about one file of the vectors folder; skipped, with the reason in its name, where the folder is missing. */
export function describeVectors<T>(file: string, suite: (vectors: T) => void): void {
  const path = join(vectorsDir, file)
  if (existsSync(path)) {
    describe(`vectors of ${file}`, () => suite(JSON.parse(readFileSync(path, 'utf8')) as T))
  } else {
    describe.skip(`vectors of ${file} (skipped: VECTORS_DIR names no folder that has it)`, () => {
      it('agrees with the reference', () => {})
    })
  }
}

/** Another file of the folder, for a suite that runs. */
export const readVectors = <T>(file: string): T => JSON.parse(readFileSync(join(vectorsDir, file), 'utf8')) as T

export const fromHex = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
